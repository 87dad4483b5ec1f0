"""What run.py starts inside the environment: python inside.py COMMAND SETTINGS, the settings as JSON."""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

DEV = Path(__file__).resolve().parent
REPO = DEV.parent
MODELS_GIGABYTES = 0.5


def load_package(name: str, folder: Path):
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


# Python put this folder at the head of the search path, where `server` would hide ComfyUI's; and with the repository
# there instead, `nodes` would. So packages are loaded by their place and the path left clean.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() not in (DEV, REPO)]
load_package("dev", DEV)
load_package("sdc_pack", REPO)

from sdc_pack.nodes.tiny import install  # noqa: E402

from dev import random_models  # noqa: E402
from dev.environment import SetupError, models_folder, remember, require_space  # noqa: E402


def stop(*_):
    """End as on Ctrl-C, so that servers are stopped; but only once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def sharing(arguments: list[str]) -> list[str]:
    """pytest's options for sharing the tests out between processes. One file alone is sooner through without."""
    if sum(".py" in argument for argument in arguments) == 1 or any("no:xdist" in argument for argument in arguments):
        return []
    import psutil

    for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # of torch, here and in the servers: the cores are taken
        os.environ.setdefault(threads, "1")
    # One more than there are cores: many a test waits for a page. A process and its servers take up to 4 GB.
    processes = max(2, min(4, (os.cpu_count() or 2) + 1, psutil.virtual_memory().available // 4_000_000_000))
    return [f"--numprocesses={processes}", "--dist=loadscope", "--no-loadscope-reorder"]


def main(command: str, settings: dict) -> int:
    signal.signal(signal.SIGTERM, stop)
    if command == "models" and "folder" in settings:
        folder = Path(settings["folder"])
        try:
            written = install.install_models(lambda kind: folder / kind)
        except OSError as error:
            raise SetupError(f"The tiny models, {MODELS_GIGABYTES} GB, could not be written: {error}") from None
        print("\n".join(f"wrote {path}" for path in written) or "They are there already.")
        return 0
    models = models_folder(Path(settings["cache"]))
    if not models.is_dir() and command != "train":
        require_space(models.parent, MODELS_GIGABYTES, "Making the small models for trying out")
    if command in ("bench", "test"):
        random_models.build(models)
    if command != "train":
        install.install_models(lambda kind: models / kind)
        remember(models, "checkouts", str(REPO))
    if command == "bulk":
        from dev.bulk import command as bulk

        return bulk.main(settings["arguments"], settings, models)
    if command in ("bench", "test"):
        load_package("benchmarks", REPO / "benchmarks")
    if command == "test":
        import pytest

        from dev import browser

        os.environ |= {"SDC_COMFYUI": settings["comfyui"], "SDC_MODELS": str(models), "SDC_SHARED": settings["shared"]}
        if browser.needed(settings["arguments"]):  # once, before there are several processes
            os.environ["SDC_CHROMIUM"] = browser.find_or_install()
        os.chdir(REPO)
        return int(pytest.main([*sharing(settings["arguments"]), *settings["arguments"]]))
    if command == "bench":
        sys.path.insert(0, settings["comfyui"])
        from benchmarks.harness import command as bench

        return bench.main(settings["arguments"], {**settings, "models": models})
    if command == "train":
        from dev.train import command as train

        return train.main(settings["arguments"], settings)
    if command == "templates":
        from dev import templates

        return templates.main(settings["arguments"], settings, models)
    if command == "images":
        from dev import readme_images

        return readme_images.main(settings["arguments"], settings, models)
    if command == "demo":
        from dev import demo
        from dev.client import ComfyError

        try:
            return demo.run(settings, models, install.NAMES)
        except (SetupError, ComfyError, ValueError) as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    try:
        code = main(sys.argv[1], json.loads(sys.argv[2]))
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        code = 1
    if sys.argv[1] == "bulk":
        # When all is done, a thread of Arrow now and then makes Python abort as it ends (apache/arrow, issue 34314).
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
