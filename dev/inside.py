"""Runs a command in the environment: python inside.py MODULE [ARGUMENT ...]. dev/commands.py starts it."""

import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path

DEV = Path(__file__).resolve().parent
REPO = DEV.parent


def load_package(name: str, folder: Path):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


def stop(number, _):
    """End as on Ctrl-C, so that servers are stopped; but only once."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Python put this folder at the head of the search path, where `server` would hide ComfyUI's; and with the
    # repository there instead, `nodes` would. So packages are loaded by their place and the path left clean.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() not in (DEV, REPO)]
    _, module, *arguments = sys.argv
    load_package("dev", DEV)
    load_package("sdc_pack", REPO)
    load_package(module.partition(".")[0], REPO / module.partition(".")[0])
    for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as a hang-up is under nohup
            signal.signal(number, stop)

    from dev.environment import in_words

    settings = {"comfyui": Path(os.environ["SDC_COMFYUI"]), "shared": Path(os.environ["SDC_SHARED"])}
    with in_words():
        code = importlib.import_module(module).main(arguments, settings)
    if "bulk" in module:
        # When all is done, a thread of Arrow now and then makes Python abort as it ends (apache/arrow, issue 34314).
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
