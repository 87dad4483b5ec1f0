"""One worker: a process that has the models, and does one image at a time.

Ray sends this class to its processes by value, since none of them could import it: so what it needs is imported only
once it has made ComfyUI ready.
"""

import importlib.util
import os
import platform
import sys
from pathlib import Path


class Worker:
    """What Ray calls with a batch of jobs, as columns; it gives back the columns of their results."""

    def __init__(self, settings: dict):
        # An error here would have Ray start workers over and over. It is told with the first image instead.
        self.broken = None
        try:
            load_packages(settings)
            from dev.bulk.work import Work

            self.work = Work(settings)
        except Exception as error:
            self.broken = f"{type(error).__name__}: {error}"

    def __call__(self, batch: dict) -> dict:
        pairs = zip(batch["name"], batch["target"], strict=True)
        rows = [self.one(str(name), str(target)) for name, target in pairs]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def one(self, name: str, target: str) -> dict:
        empty = {"bytes": 0, "bpp": 0.0, "seconds": 0.0, "error": "", "broken": False, "data": b""}
        job = {**empty, "name": name, "target": target}
        if self.broken:
            return {**job, "error": self.broken, "broken": True}
        found = self.work.do(name, target)
        if found.pop("lost", False):  # the graphics card takes no more work from this process; a new one may do better
            os._exit(1)
        return {**job, **found}


def load_packages(settings: dict):
    """ComfyUI, the pack and dev on the device that Ray gave this process. Its folder is not on the path otherwise."""
    repository, comfyui = Path(settings["repository"]), Path(settings["comfyui"])
    for folder in (repository / "dev" / "bulk", comfyui / "comfy"):
        if not folder.is_dir():
            raise FileNotFoundError(f"machine {platform.node()} has no folder {folder}, and every one must")
    # Ray puts the folder of run.py's own program on the path, where `server` would hide ComfyUI's.
    own = {repository, repository / "dev"}
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in own]
    sys.path.insert(0, str(comfyui))
    sys.argv[1:] = []  # ComfyUI reads them
    from comfy.cli_args import args

    args.cpu = settings["cpu"]
    for name, folder in (("sdc_pack", repository), ("dev", repository / "dev")):
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
