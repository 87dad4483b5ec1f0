"""The archive coder: nearly lossless, for every latent, trained on nothing.

A uniform quantizer bounds the error of each element by half a step; the integers are predicted from their neighbors,
from other channels and other frames, and coded by how far off the prediction is expected to be. In this it is a
relative of SZ3 (Liang et al., "SZ3: a modular framework for composing prediction-based error-bounded lossy
compressors", 2022), whose interpolation visits the places in a like order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import checked_number
from ..coder import Payloads
from .decoder import decode_payload, read_head
from .encoder import encode_latent
from .layout import MAX_INTEGER, Shape

__all__ = ["ArchiveCoder", "ArchiveLatent"]

CODER_ID, ARCHIVE = 4, "N"  # byte of the header, tag of the section
MIN_PRECISION, MAX_PRECISION = 1, 4096
# With these the decoded image has a PSNR of about 45 dB or more against that of the true latent, by the tiny
# autoencoders (`bench archive`): some decoders make more of a small error than others.
PRECISION, PRECISIONS = 32.0, {"SDXL": 80.0, "Flux2": 16.0}


@dataclass(frozen=True, eq=False)
class ArchiveLatent:
    """A latent as it is stored; a `StoredLatent`.

    Attributes
    ----------
    step : float32
        Twice the largest error of an element.
    payload : bytes
    shape : (int, int, int) or (int, int, int, int)
        Of the latent.
    """

    step: np.float32
    payload: bytes
    shape: tuple[int, ...]

    coder = "archive"

    def describe(self) -> str:
        return f"archive, error at most {self.step / 2:.3g}"

    def details(self) -> dict[str, Any]:
        return {"max_error": float(self.step) / 2}

    def decode(self) -> np.ndarray:
        return decode_payload(self.payload, with_frames(self.shape)).reshape(self.shape)

    def estimate_error(self) -> float:
        """That of a uniform distribution."""
        return float(self.step) / 12**0.5

    def check_relabel(self, latent_format: str) -> None:
        """It is one of any latent format."""


class ArchiveCoder:
    """A `Coder`; its setting is precision, as for `codec.encode`."""

    name = "archive"
    ids: Mapping[int, str] = {CODER_ID: "archive"}
    sections: Mapping[str, str] = {ARCHIVE: "what the archive coder has coded"}
    video = True

    def can_encode(self, latent_format: str) -> bool:
        return True

    def encode(
        self,
        latents: Sequence[np.ndarray],
        latent_format: str,
        settings: Mapping[str, Any],
        max_payload: int | None,
        step: Callable[[], object],
    ) -> list[tuple[int, Payloads]]:
        precision = settings["precision"]
        if precision is None:
            precision = PRECISIONS.get(latent_format, PRECISION)
        precision = checked_number("precision", precision, MIN_PRECISION, MAX_PRECISION)
        coded: list[tuple[int, Payloads]] = []
        for latent in latents:
            latent = latent.reshape(with_frames(latent.shape))
            payload = encode_latent(latent, step_of(latent, precision), find_fold(latent))
            coded.append((CODER_ID, {ARCHIVE: payload}))
            step()
        return coded

    def parse(
        self, coder_id: int, payloads: Mapping[str, Any], shape: tuple[int, ...], latent_format: str
    ) -> ArchiveLatent:
        payload = bytes(payloads[ARCHIVE])
        return ArchiveLatent(read_head(payload, with_frames(shape))[0], payload, shape)


def with_frames(shape: tuple[int, ...]) -> Shape:
    """Return (C, H, W) as (C, 1, H, W), and (C, T, H, W) as it is."""
    channels, *frames, height, width = shape
    return channels, frames[0] if frames else 1, height, width


def step_of(latent: np.ndarray, precision: float) -> np.float32:
    """Return the step of the quantizer: a share of the standard deviation, but no finer than integers can say."""
    largest = np.abs(latent).max()
    step = np.float32(max(latent.std() / precision, largest / (MAX_INTEGER - 1)))
    # A constant takes one step, and zeros any.
    return step if latent.min() < latent.max() else np.float32(largest or 1)


def find_fold(latent: np.ndarray) -> int:
    """Return 2 where channels look like 2x2 places of a quarter as many, as those of FLUX.2 do, else 1."""
    if len(latent) < 16 or len(latent) % 4:
        return 1
    parts = latent.reshape(len(latent) // 4, 4, -1)[:, :, :: max(1, latent[0].size // 4096)]
    parts = parts - parts.mean(2, keepdims=True)
    # The variance of the mean of four independent ones is a quarter of theirs, and that of four alike as large.
    return 2 if parts.mean(1).var(1).sum() > parts.var(2).mean(1).sum() / 2 else 1
