"""Makes the Python environments that development runs in. Standard library only: it runs before they exist.

This, and all that run.py imports, runs on Python 3.8 too: to say that it is too old, or to start a newer one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

OLDEST_PYTHON = (3, 11)
DEV = Path(__file__).resolve().parent
UV_LOCK = DEV / "locks" / "uv.txt"
MARK = "sdc-complete"  # in a folder that is whole; holds what it is used for, as JSON, so that `clean` keeps it
# What a whole environment takes while it is made; where torch comes without CUDA, less than half of it.
GIGABYTES = 8 if sys.platform == "linux" else 3.5
# What a file system says of a lock that somebody else has. Anything else means that it keeps no locks.
HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}


class SetupError(Exception):
    """Something the person at the terminal has to know or do; shown without a traceback."""


def say(text: str):
    print(text, flush=True)


def cache_root() -> Path:
    if given := os.environ.get("SDC_CACHE"):
        return Path(given).expanduser().resolve()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "sdc"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sdc"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sdc"


def home_root() -> Path:
    """Where lies what a person makes: unlike a cache, it is emptied by nobody else."""
    if given := os.environ.get("SDC_HOME"):
        return Path(given).expanduser().resolve()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "sdc"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "sdc"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "sdc"


def keep_bytecode(cache: Path):
    """Where Python is told to write no bytecode beside the sources, what is started from here keeps it in the cache.

    Without any, each start compiles torch and ComfyUI anew, which takes twice as long as all the rest of it.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(cache / "bytecode"))


def models_folder(cache: Path, repo: Path = DEV.parent) -> Path:
    """Where the models for trying out lie: a folder for each state of what they are made from."""
    digest = hashlib.sha256()
    made_by = repo / "dev" / "random_models.py", *sorted((repo / "nodes" / "tiny").glob("*.py"))
    for path in (*made_by, *sorted((repo / "weights").glob("*.safetensors"))):
        digest.update(path.read_bytes())
    return cache / f"models-{digest.hexdigest()[:12]}"


@contextlib.contextmanager
def locked(path: Path, what: str):
    """Hold a lock between processes. The system lets go of it when its holder ends, however that happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        waiting = False
        while not try_lock(file):
            if not waiting:
                say(f"Waiting: another run is {what}.")
                waiting = True
            time.sleep(0.2)
        yield


def try_lock(file) -> bool:
    """Whether the lock is ours now. Where the file system keeps no locks it is, with a warning: to wait is no use."""
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in HELD:
            return False
        say(f"{file.name} lies on a file system without locks ({error.strerror}).")
        say("Start no second run.py beside this one, or put the cache on another disk: SDC_CACHE=FOLDER")
    return True


def require_space(folder: Path, gigabytes: float, what: str):
    """Raise SetupError unless as much is free on the disk of `folder`, which need not exist."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SetupError(
            f"{what} takes {gigabytes:.1f} GB, and only {free:.1f} GB are free on the disk of {folder}.\n"
            "Free some (`python run.py clean` removes what is old in the cache), or use another disk: SDC_CACHE=FOLDER"
        )


def size(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def run_quietly(command: list, what: str, log: Path, env: dict | None = None):
    """Run an installer with its output in a log, tell how long it has been at it, show the log's end if it fails."""
    started = time.monotonic()
    said = 0.0
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
            )
        except OSError as error:
            raise SetupError(f"{what} failed: {error}") from None
        try:
            while (code := process.poll()) is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
                seconds = time.monotonic() - started
                if seconds - said >= 15:
                    say(f"  {what}: {seconds:.0f} s so far")
                    said = seconds
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if code:
        raise SetupError(f"{what} failed (exit code {code}). The end of {log}:\n\n{tail(log)}")


def tail(log: Path, lines: int = 25) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def bin_path(env: Path, name: str) -> Path:
    return env / "Scripts" / f"{name}.exe" if os.name == "nt" else env / "bin" / name


def describe_python(python: Path) -> dict:
    script = (
        "import json, platform, sys; print(json.dumps({'version': sys.version_info[:2],"
        " 'platform': f'{sys.implementation.name}-{sys.platform}-{platform.machine()}'}))"
    )
    try:
        return json.loads(subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise SetupError(f"{python} is not a working Python: {error}") from None


def environment_name(described: dict, locks: list[Path]) -> str:
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for lock in locks:
        digest.update(lock.read_bytes())
    return f"env-{digest.hexdigest()[:12]}"


def prepare(locks: list[Path], python: Path, cache: Path, gigabytes: float = GIGABYTES) -> Path:
    """Return the Python of an environment that holds exactly what `locks` say, making the environment if need be.

    A folder counts only once its mark is there, so what an interrupted run left behind is thrown away; what it
    had downloaded is kept in uv's cache. `gigabytes` must be free, less what is downloaded already.
    """
    described = describe_python(python)
    if tuple(described["version"]) < OLDEST_PYTHON:
        version = ".".join(map(str, described["version"]))
        raise SetupError(
            f"Python 3.11 or later is needed, and {python} is {version}; choose another one with --python."
        )
    locks = [UV_LOCK, *locks]
    env = cache / environment_name(described, locks)
    env_python, mark = bin_path(env, "python"), env / MARK
    if not (mark.exists() and env_python.exists()):
        with locked(cache / f"{env.name}.lock", "setting up this environment"):
            if not (mark.exists() and env_python.exists()):
                create(env, locks, python, cache, gigabytes)
                mark.touch()
    remember(env, "locks", [str(lock) for lock in locks], python=described)
    return env_python


def remember(folder: Path, key: str, entry, **about):
    """Write into a folder's mark what it is used for. In several checkouts that is more than one thing."""
    mark = folder / MARK
    try:
        known = json.loads(mark.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError):  # older marks are empty
        known = []
    if entry not in known:
        part = mark.with_name(f"{MARK}-{os.getpid()}")
        with contextlib.suppress(OSError):  # a cache that may only be read
            part.write_text(json.dumps({**about, key: [*known, entry]}), encoding="utf-8")
            part.replace(mark)


def create(env: Path, locks: list[Path], python: Path, cache: Path, gigabytes: float):
    say(f"Setting up the environment in {env}")
    if env.exists():
        say("  an earlier set-up did not finish: starting over")
        shutil.rmtree(env)
    if shutil.disk_usage(cache).free / 1e9 < gigabytes:
        # What is downloaded already takes no more room, since uv links to it; to add it up takes a while.
        require_space(cache, max(1, gigabytes - size(cache / "uv") / 1e9), "The environment")
    say(f"  once only; a few minutes and up to {gigabytes:.1f} GB of disk")
    if any(path.is_dir() for path in cache.glob("env-*")):
        say("  `python run.py clean` removes environments that nothing asks for any more")
    log = cache / f"{env.name}.log"
    log.unlink(missing_ok=True)
    env_python = bin_path(env, "python")
    started = time.monotonic()
    # On some Linux systems venv is a package of its own; its message, shown by run_quietly, says which.
    run_quietly([python, "-m", "venv", env], "making the virtual environment", log)
    pip = [env_python, "-m", "pip", "--disable-pip-version-check", "install", "--require-hashes"]
    arguments = [argument for lock in locks[1:] for argument in ("-r", lock)]
    try:
        run_quietly([*pip, "-r", locks[0]], "installing uv", log)
        install = [bin_path(env, "uv"), "pip", "install", "--python", env_python, "--system-certs", "--require-hashes"]
        run_quietly([*install, *arguments], "installing packages", log, uv_environment(cache))
    except SetupError as error:
        # uv reads neither pip's index nor its proxy settings, so pip may get through where uv does not.
        say(f"  {error}\n  Trying again with pip, which is slower.")
        run_quietly([*pip, *arguments], "installing packages with pip", log)
    say(f"  done in {time.monotonic() - started:.0f} s")


def uv_environment(cache: Path) -> dict:
    """uv's cache stays beside the environments: on one disk it can hard-link, and one folder to delete is enough."""
    env = {"UV_CACHE_DIR": str(cache / "uv"), **os.environ}
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    return env
