"""Convolutions whose every sum is exact, so that all machines and all numbers of threads agree.

Inputs and weights are integers held in floating point. As long as no partial sum reaches 2**24 (float32) or 2**53
(float64), BLAS may add in any order and still be exact (the idea of Balle, Johnston and Minnen, "Integer networks for
data compression with latent-variable models", 2019). What follows a sum is one IEEE multiplication, addition or
rounding at a time on each element, which is the same everywhere too. These are the only matrix products of the decoder.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..interruption import poll

LIMITS = {np.dtype(np.float32): 2**24, np.dtype(np.float64): 2**53}
CHUNK = 1024  # places whose neighborhoods are laid out at once: the copy stays in the processor's cache


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
        Bound on the magnitude of its inputs; a sum stays below the limit of the type for these.
    """

    weights: np.ndarray
    multiplier: np.ndarray
    bias: np.ndarray
    max_input: int

    def is_exact(self) -> bool:
        """Whether no sum, whole or in part, can reach the limit, whatever the inputs."""
        reach = np.abs(self.weights).sum(axis=0, dtype=np.float64).max() * self.max_input
        return bool(reach < LIMITS[self.weights.dtype] and np.all(np.rint(self.weights) == self.weights))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Map (h, w, inputs), integers up to `max_input` in the type of the weights, to (h, w, outputs)."""
        height, width, inputs = x.shape
        if len(self.weights) == inputs:
            y = x.reshape(-1, inputs) @ self.weights
        else:
            y = self._neighborhoods(x)
        y *= self.multiplier
        y += self.bias
        return y.reshape(height, width, -1)

    def _neighborhoods(self, x: np.ndarray) -> np.ndarray:
        height, width, inputs = x.shape
        padded = np.zeros((height + 2, width + 2, inputs), x.dtype)
        padded[1:-1, 1:-1] = x
        y = np.empty((height * width, self.weights.shape[1]), x.dtype)
        rows = min(height, max(1, CHUNK // width))
        patches = np.empty((rows, width, 9, inputs), x.dtype)
        for top in range(0, height, rows):
            count = min(rows, height - top)
            for tap in range(9):
                i, j = divmod(tap, 3)
                patches[:count, :, tap] = padded[top + i : top + i + count, j : j + width]
            np.matmul(
                patches[:count].reshape(count * width, 9 * inputs),
                self.weights,
                out=y[top * width : (top + count) * width],
            )
        return y


def relu_requantize(x: np.ndarray, scale: np.float32, max_input: int) -> np.ndarray:
    """ReLU of x, in units of 1 / scale, as integers up to `max_input`, in the type of x."""
    y = x * scale
    np.clip(y, 0, max_input, out=y)
    return np.rint(y, out=y)


def in_strips(
    network: Callable[[int, int], np.ndarray], height: int, width: int, reach: int, area: int = 16384
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Call network(first, last) for strips of rows that overlap by `reach`; yield (top, bottom, what is theirs).

    The rows within `reach` of a strip's cut edges depend on what the strip lacks and are thrown away, so the result
    does not depend on the height of the strips.
    """
    rows = max(1, area // width)
    for top in range(0, height, rows):
        poll()
        bottom = min(height, top + rows)
        first, last = max(0, top - reach), min(height, bottom + reach)
        yield top, bottom, network(first, last)[top - first : bottom - first]
