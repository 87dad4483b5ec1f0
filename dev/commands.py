"""The commands of run.py. Standard library only: this runs before there is an environment."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import comfyui
from .environment import SetupError, cache_root, in_words

# Name: the module whose `main(arguments, settings)` runs, the dependency group it needs, what it does.
COMMANDS = {
    "demo": ("dev.demo", "demo", "images through a shipped workflow, with the tiny models or yours"),
    "comfyui": ("dev.foreground", "demo", "start ComfyUI with this pack, to try things by hand"),
    "test": ("dev.suite", "test", "run the tests; arguments go to pytest"),
    "bench": ("benchmarks.harness.command", "bench", "measure, as README and docs/results.md show it; alone: a list"),
    "bulk": ("sdc_pack.bulk.command", "bulk", "a folder of images to .sdc files, or back, by all cores and cards"),
    "train": ("dev.train.command", "train", "train the tiny models of weights/"),
    "models": ("dev.models", "demo", "write the tiny models into a models folder of ComfyUI"),
    "templates": ("dev.templates", "page", "save the shipped workflows anew, through a real page: [NAME ...]"),
    "images": ("dev.readme_images", "page", "make the images of README anew: [NAME ...]"),
}


def main(argv: list[str]) -> int:
    options, arguments = parse(argv)
    module, group, _ = COMMANDS[options.command]
    with in_words():
        cache = cache_root()
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"{error}\nSDC_CACHE=FOLDER moves the cache elsewhere.") from None
        if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
            # Without bytecode every start compiles torch and ComfyUI again, which takes longer than everything else.
            os.environ.setdefault("PYTHONPYCACHEPREFIX", str(cache / "bytecode"))
        folder, python = comfyui.choose(group, options.comfyui, options.python, options.comfyui_version, cache)
        shared = Path(os.environ.get("SDC_SHARED") or comfyui.REPO.parent / "shared").resolve()
        os.environ.update(SDC_CACHE=str(cache), SDC_COMFYUI=str(folder), SDC_SHARED=str(shared))
        return become([python, Path(__file__).with_name("inside.py"), module, *arguments])


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    lines = [f"{name:10} {text}" for name, (_, _, text) in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="run.py", usage="run.py COMMAND [ARGUMENT ...]", epilog="commands:\n  " + "\n  ".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False, allow_abbrev=False,
    )  # fmt: skip
    own = "your own ComfyUI (default: COMFYUI_PATH, else the one this pack lies in, else a pinned one)"
    parser.add_argument("--comfyui", type=Path, metavar="PATH", help=own)
    parser.add_argument("--python", type=Path, metavar="EXE", help="the Python that runs your own ComfyUI")
    parser.add_argument("--comfyui-version", choices=comfyui.PINNED, help="a pinned ComfyUI, fetched once")
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    if not argv or argv[0] in ("-h", "--help"):
        parser.print_help()
        sys.exit(0)
    return parser.parse_known_args(argv)


def become(command: list) -> int:
    """Run a program in place of this one, so that signals reach it."""
    command = [str(part) for part in command]
    if os.name != "nt":
        os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the program too, which cleans up
    return subprocess.call(command)
