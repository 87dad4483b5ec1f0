"""The entropy model: from what is known, the mean and the table of every coefficient of a pass. Exact."""

import numpy as np

from .layers import in_strips, relu_requantize
from .passes import NUM_GROUPS, PASSES, phases
from .weights import MAX_COEFFICIENT, SCALES, UNIT, Weights

REACH = 3  # places that a mean depends on in each direction


class Grid:
    """The coefficients of an image, and which of them are known so far.

    Attributes
    ----------
    known : (h, w, M) float32
        Integers from -MAX_COEFFICIENT to MAX_COEFFICIENT, in 1 / UNIT; 0 where not known yet.
    is_known : (h, w, groups) bool
    """

    def __init__(self, weights: Weights, height: int, width: int, quality: int):
        self.weights, self.quality = weights, quality
        self.height, self.width = height, width
        self.known = np.zeros((height, width, weights.starts[-1]), np.float32)
        self.phases = phases(height, width)
        self.is_known = np.zeros((height, width, NUM_GROUPS), np.bool_)

    def predict(self, number: int) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Return (group, mask, means (n, size) int32, tables (n, size) uint8) for each part of a pass."""
        w = self.weights
        log_steps = w.log_steps[self.quality]
        parts: list[tuple] = [(group, self.phases[phase], [], []) for group, phase in PASSES[number]]

        def network(first: int, last: int) -> np.ndarray:
            x = self._state(first, last)
            for layer in ("first", "second", "third"):
                name, following = f"c{number}.{layer}", f"c{number}.{FOLLOWING[layer]}"
                x = relu_requantize(w.convs[name](x), w.scales[following], w.convs[following].max_input)
                x = x.astype(w.convs[following].weights.dtype, copy=False)
            return w.convs[f"c{number}.last"](x)

        for top, bottom, out in in_strips(network, self.height, self.width, REACH):
            half, at = out.shape[2] // 2, 0
            for group, mask, means, tables in parts:
                size, here = w.groups[group], mask[top:bottom]
                mean = np.rint(out[..., at : at + size][here]).clip(-MAX_COEFFICIENT, MAX_COEFFICIENT)
                raw = out[..., half + at : half + at + size][here]
                table = np.rint(raw - log_steps[w.part(group)]).clip(0, SCALES - 1)
                means.append(mean.astype(np.int32))
                tables.append(table.astype(np.uint8))
                at += size
        return [(group, mask, np.concatenate(means), np.concatenate(tables)) for group, mask, means, tables in parts]

    def update(self, group: int, mask: np.ndarray, values: np.ndarray) -> None:
        """Take in (n, size) integers, the coefficients of a part; what is beyond MAX_COEFFICIENT is clipped."""
        self.known[..., self.weights.part(group)][mask] = np.clip(values, -MAX_COEFFICIENT, MAX_COEFFICIENT)
        self.is_known[..., group] |= mask

    def steps(self, group: int) -> np.ndarray:
        """(size,) int32, the steps of a group's coefficients."""
        return self.weights.steps[self.quality, self.weights.part(group)]

    def _state(self, first: int, last: int) -> np.ndarray:
        """(rows, w, M + groups + 1) float64, input of the networks."""
        total = self.known.shape[2]
        x = np.empty((last - first, self.width, total + NUM_GROUPS + 1))
        x[..., :total] = self.known[first:last]
        x[..., total:-1] = self.is_known[first:last] * UNIT
        x[..., -1] = quality_plane(self.quality)
        return x


FOLLOWING = {"first": "second", "second": "third", "third": "last"}


def quality_plane(quality: int) -> int:
    """What the networks see of the quality: from -1 to 1, in 1 / UNIT."""
    return 2 * quality - UNIT
