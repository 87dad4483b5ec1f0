"""Makes the Python environments that development runs in. Standard library only: it runs before they exist."""

import contextlib
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
WEIGHTS = DEV.parent / "weights"  # what the project trained


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


def models_folder(cache: Path) -> Path:
    """Where the models for trying out lie: a folder for each state of what they are made from."""
    digest = hashlib.sha256()
    made_by = DEV / "standins.py", *sorted((DEV.parent / "nodes" / "tiny").glob("*.py"))
    for path in (*made_by, *sorted(WEIGHTS.glob("*.safetensors"))):
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
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


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


def prepare(locks: list[Path], python: Path, cache: Path) -> Path:
    """Return the Python of an environment that holds exactly what `locks` say, making the environment if need be.

    A folder counts only once its mark is there, so what an interrupted run left behind is thrown away; what it
    had downloaded is kept in uv's cache.
    """
    described = describe_python(python)
    if tuple(described["version"]) < OLDEST_PYTHON:
        raise SetupError("Python 3.11 or later is needed; choose one with --python.")
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for lock in (UV_LOCK, *locks):
        digest.update(lock.read_bytes())
    env = cache / f"env-{digest.hexdigest()[:12]}"
    env_python, mark = bin_path(env, "python"), env / "sdc-complete"
    if not (mark.exists() and env_python.exists()):
        with locked(cache / f"{env.name}.lock", "setting up this environment"):
            if not (mark.exists() and env_python.exists()):
                create(env, locks, python, cache)
                mark.touch()
    return env_python


def create(env: Path, locks: list[Path], python: Path, cache: Path):
    say(f"Setting up the environment in {env}")
    gigabytes = shutil.disk_usage(cache).free / 1e9
    say(f"  once only; a few minutes and up to 8 GB of disk ({gigabytes:.0f} GB are free)")
    if env.exists():
        say("  an earlier set-up did not finish: starting over")
        shutil.rmtree(env)
    log = cache / f"{env.name}.log"
    log.unlink(missing_ok=True)
    env_python = bin_path(env, "python")
    started = time.monotonic()
    # On some Linux systems venv is a package of its own; its message, shown by run_quietly, says which.
    run_quietly([python, "-m", "venv", env], "making the virtual environment", log)
    pip = [env_python, "-m", "pip", "--disable-pip-version-check", "install", "--require-hashes"]
    arguments = [argument for lock in locks for argument in ("-r", lock)]
    try:
        run_quietly([*pip, "-r", UV_LOCK], "installing uv", log)
        install = [bin_path(env, "uv"), "pip", "install", "--python", env_python, "--system-certs", "--require-hashes"]
        run_quietly([*install, *arguments], "installing packages", log, uv_environment(cache))
    except SetupError as error:
        # uv reads neither pip's index nor its proxy settings, so pip may get through where uv does not.
        say(f"  {error}\n  Trying again with pip, which is slower.")
        run_quietly([*pip, *arguments], "installing packages with pip", log)
    say(f"  done in {time.monotonic() - started:.0f} s")


def with_bytecode(cache: Path) -> dict:
    """This process's environment for a child. Where Python must leave no bytecode beside the sources, it keeps it in
    the cache instead: to compile ComfyUI and torch at every start doubles the time that a start takes."""
    env = dict(os.environ)
    if env.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in env:
        env["PYTHONPYCACHEPREFIX"] = str(cache / "bytecode")
    return env


def uv_environment(cache: Path) -> dict:
    """uv's cache stays beside the environments: on one disk it can hard-link, and one folder to delete is enough."""
    env = {"UV_CACHE_DIR": str(cache / "uv"), **os.environ}
    if "PIP_CERT" in env:
        env.setdefault("SSL_CERT_FILE", env["PIP_CERT"])
    return env
