#!/usr/bin/env python3
"""The developer's entry: sets up what is needed, then runs the demo, ComfyUI or the tests."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 8):  # noqa: UP036 -- which does not even understand what is imported below
    sys.exit("Python 3.11 or later is needed; start run.py by another one.")

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # Windows' embedded Python leaves it out
    sys.path.insert(0, str(ROOT))

from dev import base, clean, comfyui, environment, lock, server  # noqa: E402
from dev.environment import SetupError, say  # noqa: E402


def main() -> int:
    arguments, rest = parse(sys.argv[1:])
    environment.keep_bytecode(environment.cache_root())
    for name in ("SIGTERM", "SIGHUP"):
        # Under nohup a hang-up is ignored, and stays so.
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
    try:
        return COMMANDS[arguments["command"]](arguments, rest)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(
            f"\n{error}\nThe cache is {environment.cache_root()}; SDC_CACHE=FOLDER puts it elsewhere.", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def parse(argv: list) -> tuple:
    # Nothing has a default here: the same options are taken before and after the command, and the second parser's
    # defaults would overwrite what the first one found.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    common.add_argument(
        "--comfyui", type=Path, metavar="PATH",
        help="your own ComfyUI (default: COMFYUI_PATH, else the one this pack lies in, else a pinned one)",
    )  # fmt: skip
    common.add_argument("--comfyui-version", choices=comfyui.PINNED, help="a pinned ComfyUI, fetched once")
    common.add_argument(
        "--python", type=Path, metavar="EXE", help="runs your ComfyUI; with a pinned one, makes the environment"
    )
    options = {"parents": [common], "argument_default": argparse.SUPPRESS, "allow_abbrev": False}
    parser = argparse.ArgumentParser(description=__doc__, **options)
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser(
        "demo", help="images through a shipped workflow, with the tiny models or yours", **options
    )
    demo.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="default: a photograph that is at hand")
    demo.add_argument("--output", type=Path, metavar="DIR", help="where results go (default: sdc-demo)")
    demo.add_argument("--steps", type=int, metavar="N", help="fewer steps are faster (default: as in the workflow)")
    demo.add_argument("--checkpoint", type=Path, metavar="FILE", help="a real SD 1.x checkpoint")
    demo.add_argument("--controlnet", type=Path, metavar="FILE", help="a real Canny ControlNet for it")
    demo.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    demo.add_argument("--workflow", type=Path, metavar="FILE", help="another one with the same nodes, in API format")
    commands.add_parser("comfyui", help="start ComfyUI with this pack; other arguments go to ComfyUI", **options)
    commands.add_parser("test", help="run the tests; other arguments go to pytest", **options)
    measure = "measure, as README and docs/results.md show it; alone it lists the benches"
    commands.add_parser("bench", help=measure, add_help=False, **options)
    rebuilt = "save the shipped workflows anew through a page: [NAME ...]"
    commands.add_parser("templates", help=rebuilt, add_help=False, **options)
    shared_out = "a folder of images to .sdc files, or back, by all cores and cards: compress, decompress, regenerate"
    commands.add_parser("bulk", help=shared_out, add_help=False, **options)
    drawn = "make the images of README anew: [NAME ...]"
    commands.add_parser("images", help=drawn, add_help=False, **options)
    commands.add_parser("fuzz", help="damaged .sdc files and hostile names: --seconds N, --seed S", **options)
    models = commands.add_parser("models", help="write the tiny models into a models folder of ComfyUI", **options)
    models.add_argument("folder", type=Path, metavar="DIR", help="such as ComfyUI/models; nothing there is overwritten")
    trained = "train the tiny models of weights/: vae, unet, controlnet"
    commands.add_parser("train", help=trained, add_help=False, **options)
    cleaned = commands.add_parser("clean", help="remove from the cache what nothing uses any more", **options)
    cleaned.add_argument("--all", action="store_true", help="and what is used, which the next command makes again")
    cleaned.add_argument("--yes", action="store_true", help="do not ask")
    relocked = commands.add_parser("lock", help="pin packages that dev/requirements.in asks for anew", **options)
    relocked.add_argument("--upgrade", action="store_true", help="and the newest of all others")

    arguments, rest = parser.parse_known_args(argv)
    passes_on = ("bench", "bulk", "comfyui", "fuzz", "images", "templates", "test", "train")
    if rest and arguments.command not in passes_on:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return vars(arguments), rest


def choose(arguments: dict) -> comfyui.Install:
    return comfyui.choose(
        arguments["command"], arguments.get("comfyui"), arguments.get("comfyui_version"), arguments.get("python"),
        environment.cache_root(),
    )  # fmt: skip


def demo(arguments: dict, _rest) -> int:
    arguments["output"] = str(arguments.get("output", Path("sdc-demo")).resolve())
    shipped = "sdc_full_pipeline.json" if "checkpoint" in arguments else "sdc_demo_tiny.json"
    arguments["workflow"] = arguments.get("workflow", ROOT / "workflows" / "api" / shipped)
    # Before minutes of set-up.
    named = [arguments[key] for key in ("checkpoint", "controlnet", "workflow") if key in arguments]
    for path in (*arguments.setdefault("images", []), *named):
        if not path.is_file():
            raise SetupError(f"There is no file {path}")
    if ("checkpoint" in arguments) != ("controlnet" in arguments):
        raise SetupError("--checkpoint and --controlnet go together: a ControlNet serves the models it was made for.")
    if arguments.get("steps", 1) < 1:
        raise SetupError("--steps must be 1 or more.")
    return run_inside(choose(arguments), "demo", arguments)


def models(arguments: dict, _rest) -> int:
    if not arguments["folder"].is_dir():
        raise SetupError(f"There is no folder {arguments['folder']}")
    return run_inside(choose(arguments), "models", {"folder": arguments["folder"].resolve()})


def pass_on(arguments: dict, rest: list) -> int:
    """Commands of dev/inside.py that take their own arguments."""
    return run_inside(choose(arguments), arguments["command"], {"arguments": rest})


def fuzz(arguments: dict, rest: list) -> int:
    install = choose(arguments)
    return run_child([install.python, ROOT / "dev" / "fuzz.py", "--comfyui", install.comfyui, *rest])


def start_comfyui(arguments: dict, rest: list) -> int:
    port = base.choose_port(rest)  # before minutes of set-up
    install = choose(arguments)
    cache = environment.cache_root()
    folder = base.find_base(cache, environment.home_root())
    with base.occupied(folder):
        code = run_inside(install, "models", {})
        if code:
            return code
        server.make_base(folder, ROOT)
        database = (folder / "user" / "comfyui.db").as_posix()
        say(f"Images and .sdc files go to {folder / 'output'}; your models belong in {folder / 'models'}")
        say("The models named sdc-tiny come with the pack; prompts do nothing with them.")
        named = any(argument in ("--cpu", "--directml") for argument in rest)  # else what there is
        models = environment.models_folder(cache)
        command = server.serve_command(install.comfyui, install.python, folder, [models], False if named else None)
        command += ["--database-url", f"sqlite:///{database}"] + (["--port", str(port)] if port else [])
        return run_child([*command, *rest])


def clean_cache(arguments: dict, _rest) -> int:
    everything, agreed = arguments.get("all", False), arguments.get("yes", False)
    python = arguments.get("python") or Path(sys.executable)
    return clean.clean(environment.cache_root(), python, everything, agreed)


def relock(arguments: dict, _rest) -> int:
    cache = environment.cache_root()
    python = environment.prepare(lock.paths(comfyui.NEWEST), Path(sys.executable), cache)
    folders = {version: comfyui.fetch(version, python, cache) for version in comfyui.PINNED}
    lock.regenerate(environment.bin_path(python.parent.parent, "uv"), folders, arguments.get("upgrade", False))
    return 0


def run_inside(install: comfyui.Install, command: str, settings: dict) -> int:
    """Run a command of dev/inside.py, which needs the environment's packages."""
    shared = os.environ.get("SDC_SHARED") or ROOT.parent / "shared"
    settings.update(comfyui=install.comfyui, cache=environment.cache_root(), shared=Path(shared).resolve())
    return run_child([install.python, ROOT / "dev" / "inside.py", command, json.dumps(settings, default=str)])


def run_child(command: list) -> int:
    """Run a program in the foreground and end only after it has."""
    process = subprocess.Popen([str(part) for part in command])
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the child heard Ctrl-C too and is tidying up
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


COMMANDS = {
    "bench": pass_on, "bulk": pass_on, "clean": clean_cache, "comfyui": start_comfyui, "demo": demo, "fuzz": fuzz,
    "lock": relock, "models": models, "images": pass_on, "templates": pass_on, "test": pass_on, "train": pass_on,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
