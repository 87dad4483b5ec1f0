"""Convolutions whose every sum is exact, so that all machines and all numbers of threads agree.

Inputs and weights are integers held in floating point. As long as no partial sum reaches 2**24 (float32) or 2**53
(float64), BLAS may add in any order and still be exact (the idea of Balle, Johnston and Minnen, "Integer networks for
data compression with latent-variable models", 2019). What follows a sum is one IEEE multiplication, addition or
rounding at a time on each element, which is the same everywhere too. These are the only matrix products of the decoder.

An image is in tiles, see `winograd`, and goes through a network from its top down, a few rows of tiles at a time: so
nothing is computed twice, and what a layer works on stays in the processor's cache.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..interruption import poll
from .winograd import Places, Tiles

LIMITS = {np.dtype(np.float32): 2**24, np.dtype(np.float64): 2**53}
AREA = 2048  # places that go through a network at once

# From the top down, (4, rows, columns + 1, channels) arrays of tiles, and whether it is the last one.
Rows = Iterator[tuple[np.ndarray, bool]]


@dataclass(frozen=True)
class Conv:
    """One convolution, 1x1 or 3x3 with zeros around.

    Attributes
    ----------
    weights : (taps * inputs, outputs) float32 or float64 array
        Integers; taps row by row.
    multiplier, bias : (outputs,) array of the same type
        What is returned is sum * multiplier + bias.
    max_input : int
        Bound on the magnitude of its inputs; a sum stays below the limit of the type for these. With 3x3 weights of
        float32 no input is negative.
    places : Places, optional
        Gives the sums of a 3x3 convolution that is wanted at some places of the tiles only, or sees few inputs.
    """

    weights: np.ndarray
    multiplier: np.ndarray
    bias: np.ndarray
    max_input: int
    places: Places | None = None

    def is_exact(self) -> bool:
        """Whether no sum, whole or in part, can reach the limit, whatever the inputs."""
        reach = np.abs(self.weights).sum(axis=0, dtype=np.float64).max() * self.max_input
        return bool(reach < LIMITS[self.weights.dtype] and np.all(np.rint(self.weights) == self.weights))

    def at_places(self, x: np.ndarray, outputs: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Map (..., inputs), integers up to `max_input` in the type of the weights, by a 1x1 convolution."""
        return x @ self.weights[:, outputs] * self.multiplier[outputs] + self.bias[outputs]

    @functools.cached_property
    def sums(self) -> Tiles:
        """Those of a 3x3 convolution at all places."""
        return Tiles(self.weights, self.max_input)

    def on_tiles(self, x: np.ndarray) -> np.ndarray:
        """Map rows of tiles as `Tiles` or `Places` does, by a 3x3 convolution."""
        if self.places:
            _, rows, columns, inputs = x.shape
            y = self.places(x.reshape(4, -1, inputs).transpose(2, 0, 1), columns)
            return self.scaled(y).reshape(len(y), rows - 2, columns, -1)
        return self.sums(x, self.scaled)

    def scaled(self, sums: np.ndarray) -> np.ndarray:
        """What is returned for these sums, in their place."""
        sums *= self.multiplier
        sums += self.bias
        return sums


def requantized(x: np.ndarray, scale: np.float32, conv: Conv, out: np.ndarray | None = None) -> np.ndarray:
    """What a layer takes in where the one before gave x: its ReLU, in units of 1 / scale, as integers."""
    if out is None:
        out = np.empty(x.shape, conv.weights.dtype)
    y = np.multiply(x, scale, out=out if x.dtype == out.dtype else None)
    y.clip(0, conv.max_input, out=y)
    return np.rint(y, out=out)


def to_tiles(x: np.ndarray) -> np.ndarray:
    """(h, w, ...) -> (4, rows, columns + 1, ...), with 0 where there are no places."""
    height, width, *others = x.shape
    rows, columns = -(-height // 2), -(-width // 2)
    tiles = np.zeros((2, 2, rows, columns + 1, *others), x.dtype)
    for i, j in np.ndindex(2, 2):
        part = x[i::2, j::2]
        tiles[i, j, : len(part), : part.shape[1]] = part
    return tiles.reshape(4, rows, columns + 1, *others)


def row_ranges(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """From where to where the rows of tiles reach that go through a network together."""
    step = max(1, AREA // (4 * columns))
    for top in range(0, rows, step):
        poll()
        yield top, min(rows, top + step)


def convolved(rows: Rows, conv: Conv, scale: np.float32, odd: tuple[bool, bool]) -> Rows:
    """Rows of tiles after a layer that takes in their ReLU, in units of 1 / scale, and sees one more above and below.

    `odd` says of height and width if they are. Between two strips it holds nothing but the two rows that it sees again.
    """
    above, most = None, 0
    for block, last in rows:
        _, count, columns, inputs = block.shape
        most = max(most, count)
        kept = 1 if above is None else 2
        x = np.empty((4, kept + count + last, columns, inputs), conv.weights.dtype)
        x[:, :kept] = 0 if above is None else above
        clear(requantized(block, scale, conv, x[:, kept : kept + count]), odd, last)
        del block
        if last:
            x[:, -1] = 0
        else:
            above = x[:, -2:].astype(np.uint16)
        end = x.shape[1] - 2
        for top in range(0, end, most):  # the last rows come with those that waited for them
            done = [conv.on_tiles(x[:, top : top + most + 2])]
            is_last = top + most >= end
            if is_last:
                del x
            yield done.pop(), last and is_last


def clear(x: np.ndarray, odd: tuple[bool, bool], last: bool) -> np.ndarray:
    """Set what is outside of the image to 0."""
    x[:, :, -1] = 0
    if len(x) == 4:
        if odd[0] and last:
            x[2:, -1] = 0
        if odd[1]:
            x[1::2, :, -2] = 0
    return x


def with_residual(rows: Rows, layers: Callable[[Rows], Rows]) -> Rows:
    """Rows of tiles of an image plus those of the same image after some layers."""
    waiting: list[np.ndarray] = []

    def remembered() -> Rows:
        for block, last in rows:
            waiting.append(block)
            del block
            yield waiting[-1], last

    for y, last in layers(remembered()):
        x = np.concatenate(waiting, axis=1) if len(waiting) > 1 else waiting[0]
        y += x[:, : y.shape[1]]
        waiting[:] = [x[:, y.shape[1] :].copy()]
        done = [y]
        del x, y
        yield done.pop(), last
