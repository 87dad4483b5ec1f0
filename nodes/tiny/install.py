"""Writes the small models as files that ComfyUI's own loaders read. Needs torch and safetensors, not ComfyUI."""

import hashlib
import os
import threading
from pathlib import Path

from safetensors.torch import save

from ...codec.autoencoder.tiny_vae import WEIGHTS
from .models import checkpoint, controlnet

NAMES = {"checkpoint": "sdc-tiny.safetensors", "controlnet": "sdc-tiny-canny.safetensors"}
MAKERS = {"checkpoint": ("checkpoints", checkpoint), "controlnet": ("controlnet", controlnet)}


def install_models(folder_of) -> list[Path]:
    """Write the models unless they are there, and return the files that were not.

    `folder_of` gives the Path of a folder of models by ComfyUI's name for it, "checkpoints" or "controlnet".
    """
    written = []
    for kind, (folder, make) in MAKERS.items():
        path = folder_of(folder) / NAMES[kind]
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        # Somebody else may be making the same file, and the disk may be full: swap it in whole or not at all.
        part = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
        try:
            part.write_bytes(save(make()))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        written.append(path)
    return written


def fingerprint() -> str:
    """Changes with the weights."""
    digest = hashlib.sha256()
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
