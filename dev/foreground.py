"""`python run.py comfyui`: ComfyUI to try things by hand, in a folder that keeps what the user makes."""

import argparse
import subprocess
import sys

from filelock import FileLock, Timeout

from . import models, server
from .environment import REPO, SetupError, home_root, say

PORT = 8188  # ComfyUI's own


def main(arguments: list[str], settings: dict) -> int:
    base = home_root() / "comfyui"
    server.make_base(base, REPO)
    try:
        # ComfyUI's database serves one process only.
        with FileLock(base / "run.lock", timeout=0):
            return wait_for(command(arguments, settings, base))
    except Timeout:
        raise SetupError(
            f"Another ComfyUI started by run.py is using {base}.\n"
            "Stop it first, or choose another folder: SDC_HOME=FOLDER"
        ) from None


def command(arguments: list[str], settings: dict, base) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--port", type=int)
    parser.add_argument("--cpu", "--directml", action="store_true")
    given, _ = parser.parse_known_args(arguments)
    say(f"Images and .sdc files go to {base / 'output'}; your models belong in {base / 'models'}")
    say("The models named sdc-tiny come with the pack; prompts do nothing with them.")
    places = [settings["comfyui"], sys.executable, base, [models.prepare()]]
    command = server.serve_command(*places, cpu=False if given.cpu else None)
    if given.port is None:
        port = next(port for port in range(PORT, PORT + 100) if server.is_free(port))
        if port != PORT:
            say(f"Port {PORT} is in use, perhaps by another ComfyUI; this one is at http://{server.HOST}:{port}")
        command += ["--port", str(port)]
    database = (base / "user" / "comfyui.db").as_posix()
    return [*command, "--database-url", f"sqlite:///{database}", *arguments]


def wait_for(command: list[str]) -> int:
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
