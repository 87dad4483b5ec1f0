"""The palette coder: a palette fitted to the image, and for each place of the latent the index of an entry.

This is step 2 of "Post-processing Based Image Coding via Stable Diffusion". Palettes are coded as 8-bit components,
indices with a fixed number of bits or by zstd.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import checked_integer, checked_number
from ..coder import Payloads
from ..errors import SdcArgumentError
from . import entries
from .entries import MAX_ENTRIES
from .error_estimate import estimate_error
from .indices import NAMES, code_indices, decode_indices
from .quantizer import quantize

__all__ = ["DITHERS", "MAX_ENTRIES", "PaletteCoder", "PaletteLatent"]

DITHERS = ("floyd-steinberg", "none")
PALETTE, INDICES = "P", "I"  # tags of the sections
BLOCK = 1 << 20  # numbers of the latent decoded at once


@dataclass(frozen=True)
class PaletteLatent:
    """A latent as it is stored; a `StoredLatent`.

    Attributes
    ----------
    coder : str
        How the indices are coded: "fixed" or "zstd".
    palette : entries.Palette
    indices : (H, W) uint16 array
    """

    coder: str
    palette: entries.Palette
    indices: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Palette entries in units of the latent, (K, C) float32; they take four times the room of the palette."""
        return self.palette.values()

    @property
    def colors(self) -> int:
        """Entries in the stored palette."""
        return len(self.palette.components)

    def describe(self) -> str:
        return f"{self.colors} color{'s' if self.colors > 1 else ''}"

    def details(self) -> dict[str, Any]:
        return {"colors": self.colors}

    def decode(self) -> np.ndarray:
        columns = np.ascontiguousarray(self.values.T)
        height, width = self.indices.shape
        latent = np.empty((len(columns), height, width), np.float32)
        # Some rows at a time: numpy widens the indices to 8 bytes each, and what it looks up is copied once more.
        step = max(1, BLOCK // (width * len(columns)))
        for top in range(0, height, step):
            rows = slice(top, top + step)
            latent[:, rows] = columns[:, self.indices[rows]]
        return latent

    def estimate_error(self) -> float:
        return estimate_error(self.values, self.indices)

    def check_relabel(self, latent_format: str) -> None:
        """A palette is one of any latent format."""


class PaletteCoder:
    """A `Coder`; its settings are colors, dither, dither_strength, seed and shared_palette, as for `codec.encode`."""

    name = "palette"
    ids: Mapping[int, str] = NAMES
    sections: Mapping[str, str] = {PALETTE: "palette", INDICES: "indices"}
    video = False

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
        colors = checked_integer("colors", settings["colors"], 2, MAX_ENTRIES)
        seed = checked_integer("seed", settings["seed"], 0, float("inf"))
        strength = checked_number("dither_strength", settings["dither_strength"], 0, 1)
        if settings["dither"] not in DITHERS:
            raise SdcArgumentError(f"dither is {settings['dither']!r}; choose one of: {', '.join(DITHERS)}")
        if settings["dither"] == "none":
            strength = 0.0
        groups = [latents] if settings["shared_palette"] else [[latent] for latent in latents]
        coded: list[tuple[int, Payloads]] = []
        for group in groups:
            palette, chosen = quantize(group, colors, strength, seed, step)
            payload = palette.to_bytes()
            for indices in chosen:
                coder_id, coded_indices = code_indices(indices.ravel(), len(palette.components))
                coded.append((coder_id, {PALETTE: payload, INDICES: coded_indices}))
        return coded

    def parse(
        self, coder_id: int, payloads: Mapping[str, Any], shape: tuple[int, ...], latent_format: str
    ) -> PaletteLatent:
        channels, height, width = shape
        palette = entries.from_bytes(payloads[PALETTE], channels)
        indices = decode_indices(coder_id, payloads[INDICES], height * width, len(palette.components))
        return PaletteLatent(NAMES[coder_id], palette, indices.reshape(height, width))
