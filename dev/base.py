"""The folder that `run.py comfyui` works in: a person's images, models and settings, and the one who works there."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .environment import SetupError, say, try_lock
from .server import is_free

PORT = 8188  # ComfyUI's own


def find_base(cache: Path, home: Path) -> Path:
    """The folder, moved here from the cache where an older version had made it there."""
    base, former = home / "comfyui", cache / "base"
    if not former.is_dir():
        return base
    if base.exists():
        say(f"Note: an older version kept images and models in {former}; what is used now is {base}")
        return base
    base.parent.mkdir(parents=True, exist_ok=True)
    try:
        former.rename(base)
    except OSError as error:  # another disk, or in use
        say(f"Your images and models lie in {former}, a cache that other programs may empty, and could not be moved")
        say(f"({error.strerror}). Move that folder to {base} yourself, or say with SDC_HOME where it should be.")
        return former
    say(f"Moved your images and models from {former} to {base}: other programs may empty a cache.")
    return base


@contextlib.contextmanager
def occupied(base: Path):
    """Hold the folder for as long as a ComfyUI works in it. Raises SetupError where another one does."""
    base.mkdir(parents=True, exist_ok=True)
    with (base / "run.lock").open("a+b") as file:
        if not try_lock(file):
            raise SetupError(
                f"A ComfyUI started by run.py is at work in {base}, and its database is for one alone.\n"
                "End that one first, or give this one a folder of its own: SDC_HOME=FOLDER"
            )
        yield


def choose_port(arguments: list[str]) -> int | None:
    """A port for a ComfyUI with these arguments; None where they name one, which is looked at."""
    for number, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--port":
            value = value or "".join(arguments[number + 1 : number + 2])
            if value.isdigit() and not is_free(int(value)):
                raise SetupError(f"Port {value} is in use, perhaps by another ComfyUI. Choose another one: --port N")
            return None
    for port in range(PORT, PORT + 100):
        if is_free(port):
            if port != PORT:
                say(f"Port {PORT} is in use, perhaps by another ComfyUI; this one is at http://127.0.0.1:{port}")
            return port
    raise SetupError(f"The ports from {PORT} to {PORT + 99} are all in use. Choose another one: --port N")
