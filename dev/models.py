"""The tiny models as files: in the cache for run.py itself, and by `python run.py models DIR` anywhere else."""

import argparse
import hashlib
from pathlib import Path

from .environment import MARK, REPO, SetupError, cache_root


def main(arguments: list[str], _settings: dict) -> int:
    parser = argparse.ArgumentParser(prog="run.py models", description="Writes the tiny models, 0.5 GB.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="such as ComfyUI/models; nothing there is overwritten")
    folder = parser.parse_args(arguments).folder
    if not folder.is_dir():
        raise SetupError(f"There is no folder {folder}")
    from sdc_pack.nodes.tiny import install

    written = install.install_models(lambda kind: folder / kind)
    print("\n".join(f"wrote {path}" for path in written) or "They are there already.")
    return 0


def prepare() -> Path:
    """Return a folder with the tiny models and the random ones, a new one whenever what they are made from changes."""
    digest = hashlib.sha256()
    sources = REPO / "dev" / "random_models.py", *sorted((REPO / "nodes" / "tiny").glob("*.py"))
    for path in (*sources, *sorted((REPO / "weights").glob("*.safetensors"))):
        digest.update(path.read_bytes())
    folder = cache_root() / f"models-{digest.hexdigest()[:12]}"
    if not (folder / MARK).exists():
        from sdc_pack.nodes.tiny import install  # here: they import torch, which takes seconds

        from . import random_models

        random_models.build(folder)
        install.install_models(lambda kind: folder / kind)
        (folder / MARK).touch()
    return folder
