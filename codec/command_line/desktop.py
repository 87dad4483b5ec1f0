"""`python -m codec desktop`: file managers of Linux know `.sdc` files and show thumbnails, for one user.

By freedesktop's shared MIME database and the `.thumbnailer` files that GNOME's, Xfce's, KDE's and other file managers
read. docs/file-managers.md says what works where.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ..container import SIGNATURE
from ..errors import SdcError, SdcUnsupportedError
from .outputs import complain, write_to

MIME_TYPE = "image/x-sdc"
CODEC = Path(__file__).resolve().parents[1]
PACKAGES = "mime/packages/comfyui-sdc.xml"
THUMBNAILER = "thumbnailers/comfyui-sdc.thumbnailer"
UPDATE = "update-mime-database"
# What UPDATE makes of packages/. Once that is empty there is nothing in it.
GENERATED = (
    "aliases", "generic-icons", "globs", "globs2", "icons", "magic", "mime.cache", "subclasses", "treemagic", "types",
    "version", "XMLnamespaces",
)  # fmt: skip
# StarOffice's spreadsheets have the same extension. Where two types fit the name, the content decides: those are OLE
# files, which the system's database leaves out, and without that all of them would be taken for ours.
TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{type}">
    <comment>SDC image</comment>
    <comment xml:lang="ja">SDC 画像</comment>
    <comment xml:lang="zh_CN">SDC 图像</comment>
    <acronym>SDC</acronym>
    <expanded-acronym>Stable Diffusion Codec</expanded-acronym>
    <generic-icon name="image-x-generic"/>
    <magic priority="60"><match type="string" offset="0" value="{magic}"/></magic>
    <glob pattern="*.sdc"/>
  </mime-type>
  <mime-type type="application/vnd.stardivision.calc">
    <sub-class-of type="application/x-ole-storage"/>
  </mime-type>
</mime-info>
"""
ENTRY = """[Thumbnailer Entry]
TryExec={python}
Exec={command} thumbnail --force --size %s --output %o %i
MimeType={type};
"""
SANDBOX = Path("/usr")  # all that GNOME lets a thumbnailer see


def run(options):
    try:
        return ACTIONS[options.action]()
    except (SdcError, OSError) as error:
        complain(options.action, error)
        return 1


def install():
    _check_system(sys.platform)
    if importlib.util.find_spec("PIL") is None:
        raise SdcUnsupportedError("thumbnails need pillow beside numpy, and it is not installed")
    home = data_home()
    magic = "".join(f"\\x{byte:02x}" for byte in SIGNATURE)
    python = sys.executable
    command = " ".join(_quoted(part) for part in (python, str(CODEC)))
    for name, content in (
        (PACKAGES, TYPES.format(type=MIME_TYPE, magic=magic)),
        (THUMBNAILER, ENTRY.format(type=MIME_TYPE, python=_value(python), command=_value(command))),
    ):
        write_to(home / name, content.encode(), force=True)
        print(home / name)
    _update(home / "mime")
    if outside := _outside_of_sandbox():
        print(
            f"Nautilus, GNOME's file manager, shows no thumbnails yet: it lets thumbnailers see {SANDBOX} alone, and "
            f"{outside} is elsewhere. docs/file-managers.md says how to change that."
        )
    return 0


def uninstall():
    _check_system(sys.platform)
    home = data_home()
    for name in (PACKAGES, THUMBNAILER):
        with suppress(FileNotFoundError):
            (home / name).unlink()
            print(f"{home / name}: removed")
    mime = home / "mime"
    if mime.is_dir():
        _update(mime)
        if not any((mime / "packages").glob("*.xml")):
            for name in GENERATED:
                (mime / name).unlink(missing_ok=True)
    for folder in ("mime/image", "mime/application", "mime/packages", "mime", "thumbnailers"):
        with suppress(OSError):  # others have files there
            (home / folder).rmdir()
    return 0


ACTIONS = {"install": install, "uninstall": uninstall}


def data_home() -> Path:
    """Where the user's own types and thumbnailers are."""
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".local" / "share"


def _check_system(platform):
    if platform in ("win32", "darwin"):
        name = {"win32": "Windows", "darwin": "macOS"}[platform]
        raise SdcUnsupportedError(
            f"{name} takes thumbnails from signed native code alone, which this project does not have; "
            "`python -m codec page FILE.sdc` writes a page that shows the file in any browser"
        )
    if shutil.which(UPDATE) is None:
        raise SdcUnsupportedError(f"{UPDATE} is missing; install the package shared-mime-info")


def _update(folder):
    done = subprocess.run([UPDATE, str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise SdcUnsupportedError(f"{UPDATE} failed: {done.stderr.strip()}")


def _outside_of_sandbox() -> str | None:
    """What a thumbnailer needs and a sandbox with SANDBOX alone does not have."""
    found = {"Python": Path(sys.executable), "its library": Path(os.__file__), "this codec": CODEC}
    for name in ("numpy", "PIL", "zstandard"):
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            found[name] = Path(spec.origin)
    for name, path in found.items():
        # Of a virtual environment the link to Python counts too.
        if not all(each.is_relative_to(SANDBOX) for each in (path.absolute(), path.resolve())):
            return name
    return None


def _quoted(path: str) -> str:
    """A path as one word of a command line, for shells and for KDE, which knows double quotes alone."""
    path = path.replace("%", "%%")
    if all(letter.isalnum() or letter in "/._-+%,:=@" for letter in path):
        return path
    for special in '\\"$`':
        path = path.replace(special, f"\\{special}")
    return f'"{path}"'


def _value(text: str) -> str:
    """Text as a value of a key file."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
