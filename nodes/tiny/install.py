"""The small models as files for ComfyUI's own loaders. Needs torch and safetensors, not ComfyUI."""

import hashlib
import json
import os
import threading
from pathlib import Path

from safetensors.torch import save

from ...codec.autoencoder.tiny_vae import WEIGHTS
from .models import checkpoint, controlnet

NAMES = {"checkpoint": "sdc-tiny.safetensors", "controlnet": "sdc-tiny-canny.safetensors"}
MAKERS = {"checkpoint": ("checkpoints", checkpoint), "controlnet": ("controlnet", controlnet)}


STATE, CONTENT = "sdc_tiny", "sdc_tiny_sha256"  # in the header of a file: what it was made from, and its tensors' hash


def install_models(folder_of) -> list[Path]:
    """Write the models unless they exist, and return the files that were written.

    Files from other weights are replaced; a file of the same name that somebody else has made, or changed, is left
    alone.

    Parameters
    ----------
    folder_of : callable
        Returns the Path of a folder of models by ComfyUI's name for it, "checkpoints" or "controlnet".
    """
    written = []
    for kind, (folder, make) in MAKERS.items():
        path = folder_of(folder) / NAMES[kind]
        if path.exists() and not is_outdated(path):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be writing the same file, and the disk may be full: replace it whole or not at all.
        part = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{path.name}")
        try:
            part.write_bytes(signed(make()))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        written.append(path)
    return written


def signed(tensors: dict) -> bytes:
    """A safetensors file whose header says what it was made from, and the hash of its tensors."""
    plain = save(tensors)
    content = hashlib.sha256(memoryview(plain)[8 + int.from_bytes(plain[:8], "little") :]).hexdigest()
    return save(tensors, metadata={STATE: state(), CONTENT: content})


def is_outdated(path: Path) -> bool:
    """Whether a file was written here from other weights, and is still as it was written."""
    with path.open("rb") as file:
        try:
            metadata = json.loads(file.read(int.from_bytes(file.read(8), "little") & 0xFFFFFF))["__metadata__"]
            if metadata[STATE] == state():
                return False
            stored = metadata[CONTENT]
        except (ValueError, KeyError, TypeError):  # not ours
            return False
        content = hashlib.sha256()
        while block := file.read(1 << 20):
            content.update(block)
        return content.hexdigest() == stored


def state() -> str:
    """Changes with the weights, and with how they are brought into shape."""
    digest = hashlib.sha256(Path(__file__).with_name("models.py").read_bytes())
    digest.update(fingerprint().encode())
    return digest.hexdigest()[:12]


def fingerprint() -> str:
    """Changes with the weights."""
    digest = hashlib.sha256()
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
