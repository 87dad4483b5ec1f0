"""First family of coders: a palette fitted to the image, and for each place of the latent the index of an entry.

A family has one function that encodes a latent to section payloads, and one that parses them into an object with
`coder`, `dequantize()` and `estimate_error()`. Palettes are coded as 8-bit components, indices with a fixed number of
bits or by zstd.
"""

from dataclasses import dataclass

import numpy as np

from . import entries
from .entries import MAX_ENTRIES
from .error_estimate import estimate_error
from .indices import CODER_NAMES, code_indices, decode_indices
from .quantizer import quantize

__all__ = ["DITHERS", "MAX_ENTRIES", "PAPER_PRESET", "PaletteLatent", "encode_latents", "parse_sections"]

DITHERS = ("floyd-steinberg", "none")
# 64 x 64 indices of 6 bits and 64 entries of 4 bytes are the 3.4 kB of the paper's Table 1.
PAPER_PRESET = {"colors": 64, "dither": "floyd-steinberg", "dither_strength": 1.0}

BLOCK = 1 << 16  # latent places decoded at once


@dataclass(frozen=True)
class PaletteLatent:
    """A latent as it is stored.

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
    def values(self):
        """Palette entries in units of the latent, (K, C) float32; they take four times the room of the palette."""
        return self.palette.values()

    @property
    def summary(self):
        """For people: how the latent is stored."""
        return f"{self.colors} colors · {self.coder}"

    @property
    def colors(self):
        """Entries in the stored palette."""
        return len(self.palette.components)

    def dequantize(self):
        """Return the latent, (C, H, W) float32."""
        columns = np.ascontiguousarray(self.values.T)
        height, width = self.indices.shape
        latent = np.empty((len(columns), height, width), np.float32)
        # Some rows at a time, because numpy widens the indices to 8 bytes each before it looks them up.
        step = max(1, BLOCK // width)
        for top in range(0, height, step):
            rows = slice(top, top + step)
            latent[:, rows] = columns[:, self.indices[rows]]
        return latent

    def estimate_error(self):
        """RMS error that quantization made, in units of the latent; an estimate."""
        return estimate_error(self.values, self.indices)


def encode_latents(latents, colors, strength, seed, each=None):
    """Encode latents by one palette.

    Arguments are those of `quantize`. Returns the palette payload, and (coder identifier, indices payload) of each.
    """
    palette, chosen = quantize(latents, colors, strength, seed, each)
    return palette.to_bytes(), [code_indices(indices.ravel(), len(palette.components)) for indices in chosen]


def parse_sections(coder, palette, indices, shape):
    """Parse the payloads of sections P and I.

    Parameters
    ----------
    coder : int
        Coder identifier of the header.
    palette, indices : bytes-like
    shape : (int, int, int)
        Channels, height and width of the latent, checked already.

    Raises
    ------
    SdcPaletteError, SdcIndexError
    """
    channels, height, width = shape
    parsed = entries.from_bytes(palette, channels)
    flat = decode_indices(coder, indices, height * width, len(parsed.components))
    return PaletteLatent(CODER_NAMES[coder], parsed, flat.reshape(height, width))
