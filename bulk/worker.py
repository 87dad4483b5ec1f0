"""One worker: a process that has the models, and does one image at a time.

Ray sends this class to its processes by value, since none of them could import it: so what it needs is imported only
once it has made ComfyUI ready.
"""

import os
import platform
import runpy
import sys
from pathlib import Path

EMPTY = {"bytes": 0, "bpp": 0.0, "seconds": 0.0, "error": "", "notes": "", "broken": False, "data": b""}


class Worker:
    """What Ray calls with each job; it gives back the row of its result."""

    def __init__(self, settings: dict):
        # An error here would have Ray start workers over and over. It is reported with the first image instead.
        self.broken = None
        try:
            load_packages(Path(settings["pack"]), Path(settings["comfyui"]), settings["cpu"])
            from sdc_pack.bulk.work import Work

            self.work = Work(settings)
        except Exception as error:
            self.broken = f"{type(error).__name__}: {error}"

    def __call__(self, job: dict) -> dict:
        if self.broken:
            return {**EMPTY, **job, "error": self.broken, "broken": True}
        found = self.work.do(job["name"], job["target"])
        if found.pop("lost", False):  # the graphics card takes no more work from this process; a new one may do better
            os._exit(1)
        return {**EMPTY, **job, **found}


def load_packages(pack: Path, comfyui: Path, cpu: bool):
    """ComfyUI and the pack, on the device that Ray gave this process."""
    for folder in (pack / "bulk", comfyui / "comfy"):
        if not folder.is_dir():
            raise FileNotFoundError(f"machine {platform.node()} has no folder {folder}, and every one must")
    runpy.run_path(str(pack / "bulk" / "__main__.py"))["load_pack"]()
    sys.path.insert(0, str(comfyui))
    sys.argv[1:] = []  # ComfyUI reads them
    import torch
    from comfy.cli_args import args

    args.cpu = cpu and not torch.backends.mps.is_available()
