"""The learned codec: a transform of the latent, and a model of what is likely, both trained by this project.

The latent is cut into patches of 2x2, each turned into a few coefficients; these are rounded and coded in passes, each
of which sees what the passes before it gave. The weights come with the pack. The ideas are those of Balle et al.,
"Variational image compression with a scale hyperprior" (2018), He et al., "ELIC" (2022), and Li, Li and Lu, "Neural
video compression with diverse contexts" (2023); that integers make it exact on every machine is from Balle, Johnston
and Minnen, "Integer networks for data compression with latent-variable models" (2019).
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import checked_number
from ..coder import Payloads
from ..errors import SdcArgumentError, SdcFormatError
from .decoder import MAX_SIDE, decode_payload, max_payload_bytes
from .encoder import encode_to_quality, encode_to_size
from .weights import NAME_BYTES, QUALITIES, load_weights

__all__ = ["LEARNED_FORMATS", "QUALITIES", "LearnedCoder", "LearnedLatent", "byte_of_quality", "quality_of_byte"]

CODER_ID, LEARNED = 2, "L"  # byte of the header, tag of the section
HEADER_BYTES = NAME_BYTES + 1  # weights and quality, before what is coded
# Latent format -> the weights that new files are written with. Older ones stay in the folder for the files that name
# them.
NEWEST = {
    "SD1.x": bytes.fromhex("9c707811"),
    "SDXL": bytes.fromhex("36c0e82f"),
    "SD3": bytes.fromhex("a221d0d0"),
    "Flux": bytes.fromhex("31138b8b"),
}
LEARNED_FORMATS = tuple(NEWEST)
# Between the node that encodes and the page that shows, one image is decoded several times. So the latents decoded last
# are kept, if they are of at most so many bytes each: 16 channels of a 1024x1024 image.
MAX_KEPT, NUM_KEPT = 1 << 20, 32


def byte_of_quality(quality: float) -> int:
    """Return what a file stores, 0 to 255, for a quality from 1, coarse, to 100, fine."""
    return round((quality - 1) * (QUALITIES - 1) / 99)


def quality_of_byte(stored: int) -> float:
    """Return the quality from 1 to 100 for what a file stores; `byte_of_quality` gives the byte back.

    Rounded to a whole number it is the one that was requested, for every whole number from 1 to 100.
    """
    return 1 + stored * 99 / (QUALITIES - 1)


@dataclass(frozen=True, eq=False)
class LearnedLatent:
    """A latent as it is stored; a `StoredLatent`. It is decoded when it is first needed.

    Attributes
    ----------
    weights : bytes
        Name of the weights that it was coded with.
    latent_format : str
        Of those weights.
    quality_byte : int
        0, coarse, to 255, fine.
    payload : bytes
    shape : (int, int, int)
        Of the latent.
    """

    weights: bytes
    latent_format: str
    quality_byte: int
    payload: bytes
    shape: tuple[int, ...]

    coder = "learned"

    @property
    def quality(self) -> int:
        """1, coarse, to 100, fine."""
        return round(quality_of_byte(self.quality_byte))

    def describe(self) -> str:
        return f"learned codec, quality {self.quality}"

    def details(self) -> dict[str, Any]:
        return {"quality": self.quality, "weights": self.weights.hex()}

    def decode(self) -> np.ndarray:
        return _decode_once(self).copy() if 4 * math.prod(self.shape) <= MAX_KEPT else _decode(self)

    def estimate_error(self) -> float:
        """The mean error of photographs at this quality."""
        return float(load_weights(self.weights).errors[self.quality_byte])

    def check_relabel(self, latent_format: str) -> None:
        raise SdcArgumentError(
            f"the learned codec has stored the latent by weights for {self.latent_format}: encode the image again, "
            f"as {latent_format}"
        )


def _decode(stored: LearnedLatent) -> np.ndarray:
    height, width = stored.shape[1:]
    return decode_payload(stored.payload, height, width, stored.quality_byte, load_weights(stored.weights))


_decode_once = functools.lru_cache(NUM_KEPT)(_decode)  # by object: what is loaded anew is decoded anew


class LearnedCoder:
    """A `Coder`; its settings are quality and mask, as for `codec.encode`, the mask as one (H, W) array a latent."""

    name = "learned"
    ids: Mapping[int, str] = {CODER_ID: "learned"}
    sections: Mapping[str, str] = {LEARNED: "what the learned codec has coded"}
    video = False

    def can_encode(self, latent_format: str) -> bool:
        return latent_format in NEWEST

    def encode(
        self,
        latents: Sequence[np.ndarray],
        latent_format: str,
        settings: Mapping[str, Any],
        max_payload: int | None,
        step: Callable[[], object],
    ) -> list[tuple[int, Payloads]]:
        if latent_format not in NEWEST:
            known = ", ".join(NEWEST)
            raise SdcArgumentError(f"the learned codec has no weights for {latent_format}, only for {known}")
        if max(latents[0].shape[1:]) > MAX_SIDE:
            raise SdcArgumentError(
                f"latent has shape {latents[0].shape}; the learned codec takes sides up to {MAX_SIDE}"
            )
        quality = settings["quality"]
        if quality is not None:
            quality = byte_of_quality(checked_number("quality", quality, 1, 100))
        name = NEWEST[latent_format]
        weights = load_weights(name)
        masks = settings["mask"] or [None] * len(latents)
        coded: list[tuple[int, Payloads]] = []
        for latent, mask in zip(latents, masks, strict=True):
            values = latent.astype(np.float32)
            if max_payload is None:
                used, payload = quality, encode_to_quality(values, quality, weights, mask)
            else:
                used, payload = encode_to_size(values, max_payload - HEADER_BYTES, weights, mask)
            coded.append((CODER_ID, {LEARNED: name + bytes([used]) + payload}))
            step()
        return coded

    def parse(
        self, coder_id: int, payloads: Mapping[str, Any], shape: tuple[int, ...], latent_format: str
    ) -> LearnedLatent:
        section = bytes(payloads[LEARNED])
        if len(section) < HEADER_BYTES:
            raise SdcFormatError(f"section L has {len(section)} bytes; weights and quality take {HEADER_BYTES}")
        name, quality = section[:NAME_BYTES], section[NAME_BYTES]
        weights = load_weights(name)
        if weights.latent_format != latent_format:
            raise SdcFormatError(
                f"the weights {name.hex()} are those for {weights.latent_format}, not for {latent_format}"
            )
        if max(shape[1:]) > MAX_SIDE:
            raise SdcFormatError(f"the latent is {shape[2]} x {shape[1]}; the learned codec has sides up to {MAX_SIDE}")
        payload, most = section[HEADER_BYTES:], max_payload_bytes(shape[1], shape[2], weights)
        if len(payload) > most:
            raise SdcFormatError(
                f"the coded latent has {len(payload)} bytes; no encoder writes more than {most} for {shape[2]} x "
                f"{shape[1]}"
            )
        return LearnedLatent(name, latent_format, quality, payload, shape)
