"""`python run.py test`: the tests, in a real ComfyUI, distributed over several processes."""

import os
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from . import browser, comfyui, models
from .environment import REPO


def main(arguments: list[str], _settings: dict) -> int:
    os.environ["SDC_MODELS"] = str(models.prepare())
    if browser.needed(arguments):  # once, before there are several processes
        os.environ["SDC_CHROMIUM"] = browser.find_or_install()
        os.environ["SDC_FIREFOX"] = browser.find_or_install_firefox()
        if metadata.version("comfyui-frontend-package") >= "1.47":  # as versions of two digits compare
            os.environ["SDC_FRONT_END"] = str(comfyui.fetch_front_end(Path(os.environ["SDC_CACHE"])))
    os.chdir(REPO)
    return int(pytest.main([*sharing(arguments), *arguments]))


def sharing(arguments: list[str]) -> list[str]:
    """pytest's options for several processes. A single file is faster without."""
    if sum(".py" in argument for argument in arguments) == 1 or any("no:xdist" in argument for argument in arguments):
        return []
    for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # of torch, here and in the servers: all cores are busy
        os.environ.setdefault(threads, "1")
    # Another would collect all tests once more, on cores that the servers need. A process and its own take up to 4 GB.
    processes = max(2, min(4, os.cpu_count() or 2, psutil.virtual_memory().available // 4_000_000_000))
    return [f"--numprocesses={processes}", "--dist=loadscope", "--no-loadscope-reorder"]
