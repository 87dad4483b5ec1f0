"""The entropy model: from what is known, the mean and the table of every coefficient of a pass. Exact."""

import numpy as np

from .layers import Rows, clear, convolved, row_ranges, to_tiles
from .passes import NUM_GROUPS, PASSES, TILE_PLACES, phases
from .weights import MAX_COEFFICIENT, SCALES, UNIT, Weights

MAX_WHOLE = 12  # places, up to which every corner may be near another edge


class Grid:
    """The coefficients of an image, and which of them are known so far.

    Attributes
    ----------
    inputs : (1 + groups + M, 4, rows + 2, columns + 1) float32
        What the networks take in, in tiles and with a row above and below: the quality, then of each group UNIT where
        it is known, and its coefficients, integers from -MAX_COEFFICIENT to MAX_COEFFICIENT in 1 / UNIT; else 0.
    """

    def __init__(self, weights: Weights, height: int, width: int, quality: int):
        self.weights, self.quality = weights, quality
        self.height, self.width = height, width
        self.odd = height % 2 == 1, width % 2 == 1
        self.phases = {
            name: to_tiles(mask)[TILE_PLACES[name]].swapaxes(0, 1) for name, mask in phases(height, width).items()
        }
        quality_plane = to_tiles(np.full((height, width), 2 * quality - UNIT))  # from -1 to 1, in 1 / UNIT
        _, self.rows, self.columns = quality_plane.shape
        inputs = 1 + NUM_GROUPS + weights.starts[-1]
        self.inputs = np.zeros((inputs, 4, self.rows + 2, self.columns), np.float32)
        self.inputs[0, :, 1:-1] = quality_plane

    def predict(self, number: int) -> list[tuple[int, str, np.ndarray, np.ndarray]]:
        """Return (group, phase, means (n, size) int32, tables (n, size) uint8) for each part of a pass."""
        if number == 0 and max(self.height, self.width) > MAX_WHOLE:
            return self._predict_first()
        if not any(self.phases[phase].any() for _, phase in PASSES[number]):  # of a very small image
            nothing = ((0, self.weights.groups[group]) for group, _ in PASSES[number])
            return [
                (*part, np.zeros(shape, np.int32), np.zeros(shape, np.uint8))
                for part, shape in zip(PASSES[number], nothing, strict=True)
            ]
        w, at, top = self.weights, 0, 0
        parts: list[tuple[int, str, np.ndarray, list, list]] = []
        last = w.convs[f"c{number}.last"]
        half = last.weights.shape[1] // 2
        for group, phase in PASSES[number]:
            columns = np.r_[at : at + w.groups[group], half + at : half + at + w.groups[group]]
            parts.append((group, phase, columns, [], []))
            at += w.groups[group]
        for rows, _ in self._network(number):
            for group, phase, columns, means, tables in parts:
                here = (rows[TILE_PLACES[phase]] if len(rows) == 4 else rows).swapaxes(0, 1)
                out = last.at_places(here[self.phases[phase][top : top + len(here)]], columns)
                size = w.groups[group]
                means.append(np.rint(out[:, :size]).clip(-MAX_COEFFICIENT, MAX_COEFFICIENT).astype(np.int32))
                table = np.rint(out[:, size:] - w.log_steps[self.quality, w.part(group)]).clip(0, SCALES - 1)
                tables.append(table.astype(np.uint8))
            top += rows.shape[1]
        return [
            (group, phase, np.concatenate(means), np.concatenate(tables)) for group, phase, _, means, tables in parts
        ]

    def _predict_first(self) -> list[tuple[int, str, np.ndarray, np.ndarray]]:
        """`predict` for pass 0. Nothing is known yet, so corners differ by which edges of the image they are near."""
        height, width = (side if side <= MAX_WHOLE else 9 + (side - 1) % 4 for side in (self.height, self.width))
        ((group, phase, *found),) = Grid(self.weights, height, width, self.quality).predict(0)
        alike = []
        for side in (self.height, self.width):
            corners = np.arange(-(-side // 4))
            alike.append(corners if side <= MAX_WHOLE else np.where(corners == corners[-1], 2, corners.clip(0, 1)))
        means, tables = (
            values.reshape(-(-height // 4), -(-width // 4), -1)[np.ix_(*alike)].reshape(-1, values.shape[1])
            for values in found
        )
        return [(group, phase, means, tables)]

    def update(self, group: int, phase: str, values: np.ndarray) -> None:
        """Take in (n, size) integers, the coefficients of a part; what is beyond MAX_COEFFICIENT is clipped."""
        mask, places = self.phases[phase], TILE_PLACES[phase]
        at = 1 + group + self.weights.starts[group]
        inputs = self.inputs[at : at + 1 + values.shape[1], places, 1:-1].swapaxes(1, 2)
        inputs[0] += mask * np.float32(UNIT)
        inputs[1:, mask] = np.clip(values, -MAX_COEFFICIENT, MAX_COEFFICIENT).T

    def at(self, phase: str, values: np.ndarray) -> np.ndarray:
        """(n, ...) of a (4, rows, columns + 1, ...) array: what it has at the places of a phase, in their order."""
        return values[TILE_PLACES[phase]].swapaxes(0, 1)[self.phases[phase]]

    def steps(self, group: int) -> np.ndarray:
        """(size,) int32, the steps of a group's coefficients."""
        return self.weights.steps[self.quality, self.weights.part(group)]

    def coefficients(self, top: int, bottom: int) -> np.ndarray:
        """(4, rows, columns + 1, M + 1) float64, the coefficients of some rows of tiles, and the quality."""
        flags = [1 + group + self.weights.starts[group] for group in range(NUM_GROUPS)]
        order = [*(at for at in range(1, len(self.inputs)) if at not in flags), 0]
        return self.inputs[order, :, top + 1 : bottom + 1].transpose(1, 2, 3, 0).astype(np.float64, order="C")

    def _network(self, number: int) -> Rows:
        """Rows of what the last layer of a pass takes in, at the places of tiles that the pass is for."""
        w = self.weights
        first, second, third, last = (f"c{number}.{layer}" for layer in ("first", "second", "third", "last"))

        def start() -> Rows:
            conv = w.convs[first]
            assert conv.places
            for top, bottom in row_ranges(self.rows, self.columns):
                seen = self.inputs[:, :, top : bottom + 2].reshape(len(self.inputs), 4, -1)
                y = conv.scaled(conv.places(seen, self.columns)).reshape(4, bottom - top, self.columns, -1)
                yield clear(w.integers(y, second), self.odd, bottom == self.rows), bottom == self.rows

        rows = convolved(start(), lambda x: w.integers(w.convs[second].on_tiles(x), third), self.odd)
        return convolved(rows, lambda x: w.integers(w.convs[third].on_tiles(x), last), self.odd)
