"""`python run.py clean`: removes from the cache what nothing asks for any more, and never what a person made."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from . import comfyui, lock
from .environment import (
    MARK,
    UV_LOCK,
    SetupError,
    describe_python,
    environment_name,
    models_folder,
    say,
    size,
    try_lock,
)

# Folders of a ComfyUI that people put things into.
PERSONAL = ("custom_nodes", "input", "models", "output", "user")
# What the project itself writes into a folder of models, whole or, before a dot and a number, half.
OWN_MODELS = re.compile(r"(\.\d+-(\d+-)?)?sdc-(tiny|standin|complete)[\w.-]*")


class Found(NamedTuple):
    path: Path
    reason: str


def clean(cache: Path, python: Path, everything: bool, agreed: bool) -> int:
    """Show what can go, ask, remove it. Raises SetupError while somebody sets something up, or nobody can be asked."""
    for path in sorted(cache.glob("*.lock")):
        with path.open("a+b") as file:
            if not try_lock(file):
                raise SetupError(f"Another run.py is at work with {path.stem}. Clean when it has ended.")
    going = [found for found in find(cache, wanted(python, cache), everything) if keep_personal(found.path)]
    if not going:
        say(f"There is nothing to remove in {cache}")
        return 0
    say(f"In {cache} can be removed:")
    for found in going:
        say(f"  {size(found.path) / 1e9:6.2f} GB  {found.path.name}: {found.reason}")
    kept = sorted(path.name for path in set(cache.iterdir()) - {found.path for found in going} if path.is_dir())
    say(f"Kept: {', '.join(kept) or 'nothing else'}")
    if not agreed:
        try:
            agreed = input("No other run.py may be at work. Remove them? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            raise SetupError("Nobody is there to be asked: say --yes to remove them.") from None
    if not agreed:
        say("Nothing was removed.")
        return 0
    for found in going:
        remove(found.path)
    say("Removed.")
    return 0


def wanted(python: Path, cache: Path) -> set[str]:
    """Names of what this checkout uses by itself, when run by `python`."""
    described = describe_python(python)
    environments = [[*lock.paths(version), *more] for version in comfyui.PINNED for more in ([], [lock.BULK])]
    names = {environment_name(described, [UV_LOCK, *locks]) for locks in environments}
    return names | {models_folder(cache).name} | {f"comfyui-{version}" for version in comfyui.PINNED}


def find(cache: Path, wanted: set[str], everything: bool) -> list[Found]:
    """What can go: of the kinds of folders that run.py makes, those that nothing asks for; or all of them."""
    found = []
    for path in sorted(cache.iterdir()) if cache.is_dir() else []:
        name = path.name
        if not path.is_dir() or path.is_symlink():
            continue
        if name == "uv":  # it shares its files with the environments: without this, removing those frees nothing
            found.append(Found(path, "downloads, kept for the next environment"))
        elif name == "bytecode":
            found.append(Found(path, "compiled modules, which the next command makes again"))
        elif re.fullmatch("comfyui-[\\d.]+-.+", name):
            found.append(Found(path, "left by an interrupted download"))
        elif re.fullmatch("env-[0-9a-f]{12}|models-[0-9a-f]{12}|comfyui-[\\d.]+", name):
            if name not in wanted and not is_asked_for(path):
                found.append(
                    Found(path, "of another version" if (path / MARK).exists() or name[0] != "e" else "unfinished")
                )
            elif everything:
                found.append(Found(path, "in use; the next command makes it again"))
    return found


def is_asked_for(folder: Path) -> bool:
    """Whether something that an environment or a folder of models was used for still asks for it."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # older marks are empty
        return False
    for locks in mark.get("locks", []):
        with contextlib.suppress(OSError):  # that checkout is gone
            if environment_name(mark["python"], [Path(lock) for lock in locks]) == folder.name:
                return True
    for checkout in mark.get("checkouts", []):
        with contextlib.suppress(OSError):
            if models_folder(folder.parent, Path(checkout)) == folder:
                return True
    return False


def keep_personal(folder: Path) -> bool:
    """False, with a word about it, for a folder of models or a ComfyUI that somebody has put something into."""
    if folder.name.startswith("models-"):
        strange = [path for path in folder.rglob("*") if path.is_file() and not OWN_MODELS.fullmatch(path.name)]
    elif folder.name.startswith("comfyui-") and (folder / "main.py").is_file():
        # All of it was unpacked within a minute; ctime is when a file came, whatever date it brought along.
        unpacked = (folder / "main.py").stat().st_ctime
        files = (path for name in PERSONAL for path in (folder / name).rglob("*") if path.is_file())
        strange = [path for path in files if path.stat().st_ctime > unpacked + 600 and "__pycache__" not in path.parts]
    else:
        return True
    if strange:
        say(f"{folder} stays, since somebody has put {strange[0].relative_to(folder)} there.")
    return not strange


def remove(folder: Path):
    """An environment loses its mark first: what an interruption leaves of it counts as unfinished."""
    (folder / MARK).unlink(missing_ok=True)
    shutil.rmtree(folder)
