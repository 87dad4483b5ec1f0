"""Makes the Python environments of run.py with uv. Standard library only: this runs before there is one."""

import contextlib
import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
TOOLS = Path(__file__).with_name("tools.txt")
MARK = "sdc-complete"
GIGABYTES = 8 if sys.platform == "linux" else 4  # elsewhere torch comes without CUDA
# Errors that more space or another folder can resolve.
ABOUT_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


class SetupError(Exception):
    """Something the user has to know or do; shown without a traceback."""


def say(text: str):
    print(text, flush=True)


@contextlib.contextmanager
def in_words():
    """End the program with a message instead of a traceback where the user can act on it."""
    try:
        yield
    except SetupError as error:
        sys.exit(f"\n{error}")
    except OSError as error:
        if error.errno not in ABOUT_THE_DISK:
            raise
        sys.exit(f"\n{error}\nThe cache is {cache_root()}; SDC_CACHE=FOLDER moves it elsewhere.")
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


def cache_root() -> Path:
    """For what can be deleted at any time. platformdirs would know it, but is not installed yet when this runs."""
    return folder("SDC_CACHE", "LOCALAPPDATA", "Library/Caches", "XDG_CACHE_HOME", ".cache")


def home_root() -> Path:
    """For what the user makes."""
    return folder("SDC_HOME", "APPDATA", "Library/Application Support", "XDG_DATA_HOME", ".local/share")


def folder(variable: str, windows: str, mac: str, linux: str, linux_default: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given).expanduser().resolve()
    if sys.platform == "darwin":
        return Path.home() / mac / "sdc"
    system = os.environ.get(windows if sys.platform == "win32" else linux)
    return Path(system or Path.home() / linux_default) / "sdc"


def prepare(version: str, cache: Path) -> Path:
    """Return the Python of the environment for a pinned ComfyUI, made on first use and when uv.lock has changed.

    After an interruption uv takes half-installed packages for complete ones. So an environment counts only once its
    mark is there; without it, the environment is made from scratch out of what was downloaded.
    """
    made_from = (REPO / "uv.lock").read_bytes() + f"{sys.version} {sys.base_prefix}".encode()
    env = cache / f"env-{version}-{hashlib.sha256(made_from).hexdigest()[:12]}"
    if not (env / MARK).exists():
        if shutil.disk_usage(cache).free < (1e9 if (cache / "uv").is_dir() else GIGABYTES * 1e9):
            raise SetupError(full(cache))
        say(f"Setting up {env} (once: a few minutes, {GIGABYTES} GB), or waiting for another run that does")
        sys.path.append(str(tools(cache)))
        from filelock import FileLock

        with FileLock(f"{env}.lock"):
            if not (env / MARK).exists():
                shutil.rmtree(env, ignore_errors=True)
                # On a terminal uv shows its progress, then a list of 150 packages.
                options = ["--project", REPO, *([] if sys.stderr.isatty() else ["--quiet"])]
                options += ["--only-group", "test", "--only-group", f"comfyui-{version}", "--no-install-project"]
                options += ["--python", sys.base_prefix, "--no-python-downloads"]
                uv(cache, "sync", "--frozen", *options, UV_PROJECT_ENVIRONMENT=str(env))
                (env / MARK).touch()
    return bin_path(env, "python")


def bin_path(env: Path, name: str) -> Path:
    return env / "Scripts" / f"{name}.exe" if os.name == "nt" else env / "bin" / name


def uv(cache: Path, *arguments, **variables: str):
    """Run uv. It keeps its downloads next to the environments, so that it can hard-link them."""
    variables = {"UV_CACHE_DIR": str(cache / "uv"), "UV_SYSTEM_CERTS": "1", **variables}
    run([tools(cache) / "bin" / ("uv.exe" if os.name == "nt" else "uv"), *arguments], cache, **variables)


def tools(cache: Path) -> Path:
    """A folder with uv, and with filelock and setuptools to import; pip fetches it the first time."""
    target = cache / f"tools-{hashlib.sha256(TOOLS.read_bytes()).hexdigest()[:12]}"
    if not target.is_dir():
        say("Fetching uv")
        with unpacked(target) as made:
            pip(cache, "install", "--quiet", "--no-user", "--require-hashes", "--target", made, "-r", TOOLS)
    return target


@contextlib.contextmanager
def unpacked(target: Path):
    """Yield a path; what is made there becomes `target`, unless another run was faster."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}-", ignore_cleanup_errors=True) as folder:
        made = Path(folder, "made")
        yield made
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def pip(cache: Path, *arguments, **variables: str):
    # An environment made by uv has no pip, but the Python it was made from does.
    python = sys.executable if importlib.util.find_spec("pip") else sys._base_executable
    variables = {
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **variables,
    }
    run([python, "-m", "pip", *arguments], cache, **variables)


def run(command: list, cache: Path, **variables: str):
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | variables
    code = subprocess.call([str(part) for part in command], env=environment, stdin=subprocess.DEVNULL)
    if code:
        raise SetupError(
            f"{Path(command[0]).name} failed with exit code {code}; its last lines above say why.\n"
            f"Run the same command again to continue. {full(cache)}"
        )


def full(cache: Path) -> str:
    free = shutil.disk_usage(cache).free / 1e9
    return f"The cache in {cache} needs {GIGABYTES} GB in all; {free:.1f} GB are free. SDC_CACHE=FOLDER moves it."
