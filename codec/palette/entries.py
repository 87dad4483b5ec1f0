"""The palette: K entries of C components, each 8 bits on a range of its channel."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import SdcFormatError

MAX_ENTRIES = 4096
MAX_COMPONENT = 255


@dataclass(frozen=True)
class Palette:
    """Palette as stored.

    Attributes
    ----------
    low, high : (C,) float16 arrays
        Value of component 0 and of component 255, in latent units.
    components : (K, C) uint8 array
    """

    low: np.ndarray
    high: np.ndarray
    components: np.ndarray

    def values(self) -> np.ndarray:
        """Return the entries in latent units, (K, C) float32.

        This is the decoder's arithmetic, in the order FORMAT.md fixes: one exact difference, one exact product, a
        rounded quotient and a rounded sum in binary64, then one rounding to binary32.
        """
        low = self.low.astype(np.float64)
        span = self.high.astype(np.float64) - low
        product = self.components.astype(np.float64) * span
        return (low + product / MAX_COMPONENT).astype(np.float32)

    def keep(self, entries: np.ndarray) -> "Palette":
        """Return the palette of only these entries (an index array)."""
        return Palette(self.low, self.high, self.components[entries])

    def to_bytes(self) -> bytes:
        """Return the payload of section P."""
        ranges = np.stack([self.low, self.high], axis=1).astype("<f2")
        return ranges.tobytes() + self.components.tobytes()


def from_centers(centers: np.ndarray) -> Palette:
    """Round cluster centers, (K, C) float64 within the float16 range, to a palette in canonical order.

    Ranges are rounded outward to float16. Entries are sorted by their components and equal ones merged, so that
    one set of centers gives one palette.
    """
    low, high = centers.min(axis=0), centers.max(axis=0)
    low16, high16 = low.astype(np.float16), high.astype(np.float16)
    with np.errstate(over="ignore"):  # the step beyond the range is computed for its ends too, but not taken
        low16 = np.where(low16 > low, np.nextafter(low16, np.float16(-np.inf)), low16)
        high16 = np.where(high16 < high, np.nextafter(high16, np.float16(np.inf)), high16)
    low16, high16 = low16 + np.float16(0), high16 + np.float16(0)  # one zero: -0 + 0 is +0
    low, span = low16.astype(np.float64), high16.astype(np.float64) - low16.astype(np.float64)
    share = (centers - low) / np.where(span > 0, span, 1)
    components = np.rint(share * MAX_COMPONENT).astype(np.uint8)
    return Palette(low16, high16, np.unique(components, axis=0))


def from_bytes(payload: Any, channels: int) -> Palette:
    """Parse the payload (bytes-like) of section P, or raise `SdcFormatError`."""
    range_size = 4 * channels
    entries, rest = divmod(len(payload) - range_size, channels)
    if not 1 <= entries <= MAX_ENTRIES or rest:
        raise SdcFormatError(
            f"the palette section has {len(payload)} bytes; {channels} channels need {range_size} for the ranges and "
            f"then {channels} for each of 1 to {MAX_ENTRIES} entries"
        )
    ranges = np.frombuffer(payload, "<f2", 2 * channels).astype(np.float16).reshape(channels, 2)
    for channel, (bottom, top) in enumerate(ranges.tolist()):
        if not (math.isfinite(bottom) and math.isfinite(top)):
            raise SdcFormatError(f"the palette's channel {channel} goes from {bottom} to {top}; both must be finite")
        if bottom > top:
            raise SdcFormatError(f"the palette's channel {channel} goes from {bottom} down to {top}; low comes first")
    components = np.frombuffer(payload, np.uint8, entries * channels, range_size).reshape(entries, channels)
    return Palette(ranges[:, 0], ranges[:, 1], components)
