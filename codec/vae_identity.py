"""Which VAE made a latent: eight bytes of its weights that stay nearly the same in every type of number.

VAEs are run in binary32, binary16 and bfloat16, so a hash of their weights would be another on every machine. Each byte
is a sum of weights under fixed signs instead, rounded: casts change it by a fraction of a step, and another VAE, even
one trained on from the same weights, by many.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import SdcArgumentError

TAG = "v"  # of the section
BYTES = 8
MAX_WEIGHTS = 1 << 16  # of each tensor that are looked at
STEP = 1 / 64  # of a sum whose spread is 1 from VAE to VAE; a cast to bfloat16 moves it by about 0.002
TOLERANCE = 1


def fingerprint(tensors: Mapping[str, Any]) -> bytes:
    """Return 8 bytes that say which VAE these tensors are of.

    Parameters
    ----------
    tensors : mapping of str to array
        Weights by name, as ComfyUI names them; numpy arrays of real numbers, or what numpy makes one of. At least one
        has two axes or more, and is not 0 everywhere.

    Returns
    -------
    bytes
        For `same_vae`.
    """
    names = sorted(name for name, tensor in tensors.items() if len(tensor.shape) > 1)
    decoder = [name for name in names if "decoder" in name] or names
    chosen = [decoder[number * len(decoder) // BYTES] for number in range(BYTES)]
    return bytes(_byte_of(np.asarray(tensors[name]), number) for number, name in enumerate(chosen))


def same_vae(first: bytes, second: bytes) -> bool:
    """Whether two fingerprints are those of one VAE."""
    differences = np.frombuffer(first, np.uint8) - np.frombuffer(second, np.uint8)  # around the circle of 256
    return bool(np.all((differences <= TOLERANCE) | (differences >= 256 - TOLERANCE)))


def to_sections(vae: bytes | None) -> dict[str, bytes]:
    """Return the section for a fingerprint, as a dict of tag to payload; an empty one for None."""
    if vae is not None and len(vae) != BYTES:
        raise SdcArgumentError(f"vae has {len(vae)} bytes; a fingerprint has {BYTES}")
    return {} if vae is None else {TAG: vae}


def from_sections(sections: Mapping[str, Any]) -> bytes | None:
    """Return the fingerprint that a file has, or None; a section of another length is none that this reader knows."""
    vae = bytes(sections.get(TAG, b"")[: BYTES + 1])
    return vae if len(vae) == BYTES else None


def _byte_of(tensor: np.ndarray, number: int) -> int:
    weights = tensor.reshape(-1)[:MAX_WEIGHTS].astype(np.float64)
    signs = _signs(np.arange(len(weights), dtype=np.uint64) + np.uint64(number * MAX_WEIGHTS))
    spread = np.sqrt(np.square(weights).sum())
    return int(np.floor((weights * signs).sum() / (spread or 1) / STEP)) % 256


def _signs(places: np.ndarray) -> np.ndarray:
    """-1 or 1 for each whole number: the upper bit of two rounds of multiply and shift."""
    mixed = places * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    mixed = mixed ^ (mixed >> np.uint64(32))
    return 1.0 - 2.0 * ((mixed * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(63)).astype(np.float64)
