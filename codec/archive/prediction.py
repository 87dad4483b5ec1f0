"""What an integer is predicted from, and how far off the prediction will be.

A place q between four known neighbors N is predicted as their mean, corrected by how they differ from it, and by how
earlier channels, and the frames before and after, differ from their own means at this place:

    256 p = 64 S + sum a_i (4 N_i - S) + sum w_d (4 q_d - S_d) + v (4 R - S_R)

with S = sum N, R the sum of the two frames, and a, w and v in 1 / 64. The expected magnitude of the residual q - p, its
scale, is a weighted sum of the residuals of neighbors, earlier channels and the two frames, and of how the neighbors
differ. The weights are integers that the encoder fits to the latent. All sums are integers that float32 or float64
holds, so arithmetic in it is exact in any order.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Block

MAX_EARLIER = 32  # channels that one is predicted from
SPATIAL = 3  # the weight of the fourth neighbor follows from the mean
SCALE_CHANNELS = 4  # whose residuals count for the scale
SCALE_TERMS = (
    4  # besides a constant: residuals of neighbors, their differences, residuals of earlier channels, of frames
)
WEIGHT_UNIT, SCALE_UNIT = 64, 1024  # of weights; of a scale, whose weights are in 1 / WEIGHT_UNIT
MAX_WEIGHT, MAX_SCALE_WEIGHT = 127, 255


@dataclass
class Weights:
    """Integers in 1 / WEIGHT_UNIT, held as floats.

    Attributes
    ----------
    spatial : (C, 3)
    earlier : (C, C)
        0 but for up to MAX_EARLIER channels before each.
    reference : (C,)
        Of the frames before and after.
    constants : (C,)
        Of scales, in 1 / SCALE_UNIT: each the least of a step of the ladder in `entropy`.
    scales : (C, SCALE_TERMS)
    """

    spatial: np.ndarray
    earlier: np.ndarray
    reference: np.ndarray
    constants: np.ndarray
    scales: np.ndarray

    def astype(self, dtype: Any) -> "Weights":
        return Weights(*(part.astype(dtype) for part in vars(self).values()))


def exact_dtype(channels: int, largest: int) -> Any:
    """Return the smallest type that holds all sums below, for integers up to `largest`."""
    earlier = min(channels - 1, MAX_EARLIER)
    prediction = (5336 + 8 * MAX_WEIGHT * earlier) * largest + 128
    scale = 4 * MAX_SCALE_WEIGHT * 32 * largest + max_constant(largest)
    return np.float32 if max(prediction, scale) < 1 << 24 else np.float64


def max_constant(largest: int) -> int:
    """Return the most that the constant of a scale may be."""
    return 8 * SCALE_UNIT * max(largest, 1)


def earlier_channels(channels: int) -> np.ndarray:
    """Return a mask (C, C): by row a channel, by column those that it is predicted from."""
    distance = np.subtract.outer(np.arange(channels), np.arange(channels))
    return (distance > 0) & (distance <= MAX_EARLIER)


class Neighbors:
    """The four neighbors of a block, and the frames before and after, in exact floats.

    Attributes
    ----------
    values : four (C, n) arrays
    sums : (C, n)
    reference : (C, n), optional
        4 R - S_R.
    """

    def __init__(self, block: Block, integers: np.ndarray, dtype: Any):
        self.values = [part.astype(dtype, copy=False) for part in block.take_neighbors(integers)]
        self.sums = _sum(self.values)
        self.reference: Any = None
        if block.references:
            both = [_deviations(part, integers, dtype) for part in block.of_references()]
            self.reference = both[0] + both[1]

    def known_prediction(self, weights: Weights) -> np.ndarray:
        """Return the terms of 256 p that need no other channel, (C, n)."""
        found = (WEIGHT_UNIT - weights.spatial.sum(1))[:, None] * self.sums
        for value, weight in zip(self.values, weights.spatial.T, strict=False):
            found += (4 * weight)[:, None] * value
        if self.reference is not None:
            found += weights.reference[:, None] * self.reference
        return found

    def spread(self) -> np.ndarray:
        """Return 8 times how much opposite neighbors differ, (C, n)."""
        one, other, third, fourth = self.values
        found = np.abs(one - other)
        found += np.abs(third - fourth)
        found *= 8
        return found


def known_scale_terms(block: Block, neighbors: Neighbors, magnitudes: np.ndarray) -> list[np.ndarray]:
    """Return what is known for scales without other channels: each (C, n), to be weighted by scales 0, 1 and 3."""
    dtype = neighbors.sums.dtype
    around = _sum([part.astype(dtype, copy=False) for part in block.take_neighbors(magnitudes)])
    around *= 4
    terms = [around, neighbors.spread()]
    if block.references:
        before, after = (part.take(magnitudes).astype(dtype) for part in block.of_references())
        before += after
        before *= 8
        terms.append(before)
    return terms


def known_scales(block: Block, neighbors: Neighbors, magnitudes: np.ndarray, weights: Weights) -> np.ndarray:
    """Return SCALE_UNIT times the scale without the term of other channels, (C, n)."""
    around, spread, _, reference = weights.scales.T[:, :, None]
    terms = known_scale_terms(block, neighbors, magnitudes)
    found = terms[0]
    found *= around
    found += weights.constants[:, None]
    terms[1] *= spread
    found += terms[1]
    if block.references:
        terms[2] *= reference
        found += terms[2]
    return found


def round_prediction(scaled: np.ndarray, largest: int) -> np.ndarray:
    """Return p for 256 p, in place: half is rounded up, and what no integer reaches is cut off."""
    scaled += 128
    scaled *= 1 / 256
    np.floor(scaled, out=scaled)
    return np.clip(scaled, -largest, largest, out=scaled)


def near_magnitudes(magnitudes: np.ndarray) -> np.ndarray:
    """Return 4 times the sum of |residual| of up to four channels before each, (C, n), of |residual| (C, n)."""
    found = np.zeros_like(magnitudes)
    for distance in range(1, min(SCALE_CHANNELS, len(found) - 1) + 1):
        found[distance:] += magnitudes[:-distance]
    found *= 4
    return found


def _deviations(block: Block, integers: np.ndarray, dtype: Any) -> np.ndarray:
    """Return 4 q - S, (C, n)."""
    found = block.take(integers).astype(dtype)
    found *= 4
    found -= _sum([part.astype(dtype, copy=False) for part in block.take_neighbors(integers)])
    return found


def _sum(parts: list[np.ndarray]) -> np.ndarray:
    total = parts[0] + parts[1]
    total += parts[2]
    total += parts[3]
    return total
