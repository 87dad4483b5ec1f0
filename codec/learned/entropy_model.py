"""The entropy model: from what is known, the mean and the table of every coefficient of a pass. Exact."""

from collections.abc import Iterator

import numpy as np

from .coefficients import Coefficients
from .layers import Rows, clear, convolved, requantized, row_ranges
from .passes import PASSES, TILE_PLACES, known_before
from .weights import MAX_COEFFICIENT, SCALES, UNIT, Weights

MAX_WHOLE = 12  # places, up to which every corner may be near another edge

# Of some rows of tiles: (group, phase, means (n, size) int32, tables (n, size) uint8) for each part of a pass.
Parts = list[tuple[int, str, np.ndarray, np.ndarray]]


class Grid:
    """The coefficients of an image, and which of them are known so far.

    Parameters
    ----------
    weights : Weights
    height, width : int
        Of the image, in places of the grid, which are 2 x 2 of the latent.
    quality : int

    Attributes
    ----------
    rows, columns : int
        Of tiles of 2 x 2 places.
    latent : (channels, 4 * rows, 4 * columns) float32 array
        Memory that the coefficients are kept in, a row of tiles where the latent has the same row.
    """

    def __init__(self, weights: Weights, height: int, width: int, quality: int):
        self.weights, self.quality = weights, quality
        self.height, self.width = height, width
        self.rows, self.columns = -(-height // 2), -(-width // 2)
        self.odd = height % 2 == 1, width % 2 == 1
        self.latent = np.empty((weights.channels, 4 * self.rows, 4 * self.columns), np.float32)
        waiting = max((weights.groups[group] for parts in PASSES for group, _ in parts[1:]), default=0)
        self.known = Coefficients(weights.starts[-1], waiting, self.latent)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """From where to where the rows of tiles reach that are worked on together."""
        return row_ranges(self.rows, self.columns + 1)

    def predict(self, number: int) -> Iterator[tuple[int, int, Parts]]:
        """From where to where some rows of tiles reach, and what a pass expects there, from the top down.

        What is between two of them may be put with `update` and `wait` already: no pass sees what itself is for.
        """
        if number == 0 and max(self.height, self.width) > MAX_WHOLE:
            yield from self._predict_first()
            return
        w, at, top = self.weights, 0, 0
        last = w.convs[f"c{number}.last"]
        half = last.weights.shape[1] // 2
        outputs = []
        for group, _ in PASSES[number]:
            outputs.append(np.r_[at : at + w.groups[group], half + at : half + at + w.groups[group]])
            at += w.groups[group]
        for rows in self._network(number):
            bottom, parts = top + rows.shape[1], []
            for (group, phase), columns in zip(PASSES[number], outputs, strict=True):
                here = rows[TILE_PLACES[phase]] if len(rows) == 4 else rows
                x = requantized(self._select(here, phase, top, bottom), w.scales[f"c{number}.last"], last)
                out = last.at_places(x, columns)
                size = w.groups[group]
                means = np.rint(out[:, :size]).clip(-MAX_COEFFICIENT, MAX_COEFFICIENT).astype(np.int32)
                tables = np.rint(out[:, size:] - w.log_steps[self.quality, w.part(group)]).clip(0, SCALES - 1)
                parts.append((group, phase, means, tables.astype(np.uint8)))
            yield top, bottom, parts
            top = bottom

    def _predict_first(self) -> Iterator[tuple[int, int, Parts]]:
        """`predict` for pass 0. Nothing is known yet, so corners differ by which edges of the image they are near."""
        height, width = (side if side <= MAX_WHOLE else 9 + (side - 1) % 4 for side in (self.height, self.width))
        ((group, phase, *found),) = Grid(self.weights, height, width, self.quality).predict_whole(0)
        found = [values.reshape(-(-height // 4), -(-width // 4), -1) for values in found]
        alike = []
        for side in (self.height, self.width):
            corners = np.arange(-(-side // 4))
            alike.append(corners if side <= MAX_WHOLE else np.where(corners == corners[-1], 2, corners.clip(0, 1)))
        for top, bottom in self.ranges():
            here = np.ix_(alike[0][-(-top // 2) : -(-bottom // 2)], alike[1])
            means, tables = (values[here].reshape(-1, values.shape[2]) for values in found)
            yield top, bottom, [(group, phase, means, tables)]

    def predict_whole(self, number: int) -> Parts:
        """The same of all rows together."""
        strips = [parts for _, _, parts in self.predict(number)]
        return [
            (
                group,
                phase,
                np.concatenate([parts[part][2] for parts in strips]),
                np.concatenate([parts[part][3] for parts in strips]),
            )
            for part, (group, phase) in enumerate(PASSES[number])
        ]

    def update(self, group: int, phase: str, values: np.ndarray, top: int = 0, bottom: int | None = None) -> None:
        """Take in (n, size) integers, the coefficients of a part in some rows of tiles; they are clipped."""
        bottom = self.rows if bottom is None else bottom
        values = values.clip(-MAX_COEFFICIENT, MAX_COEFFICIENT).T
        numbers, rows, places = self.weights.part(group), slice(top, bottom), TILE_PLACES[phase]
        mask = self.mask(phase, top, bottom)
        if mask is None:
            values = values.reshape(len(values), bottom - top, -1, self.columns)
        else:  # what is outside of the image, or not known yet, is 0
            part, values = values, np.zeros((len(values), *mask.shape), values.dtype)
            if phase == "rest":
                values += self.known.get(numbers, rows, places)
            values[:, mask] = part
        self.known.put(numbers, rows, places, values)

    def wait(self, group: int, phase: str, means: np.ndarray, tables: np.ndarray, top: int, bottom: int) -> None:
        """Keep what is expected of a part until it is its turn to be read."""
        self.update(group, phase, means, top, bottom)
        mask, count = self.mask(phase, top, bottom), tables.shape[1]
        if mask is None:
            full = tables.T.reshape(count, bottom - top, -1, self.columns)
        else:
            full = np.zeros((count, *mask.shape), np.uint8)
            full[:, mask] = tables.T
        self.known.put_tables(slice(top, bottom), TILE_PLACES[phase], full)

    def waited(self, group: int, phase: str, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
        """Means and tables that were kept, (n, size)."""
        rows, places, mask = slice(top, bottom), TILE_PLACES[phase], self.mask(phase, top, bottom)
        means = self.known.get(self.weights.part(group), rows, places)
        means, tables = (
            values.reshape(len(values), -1).T if mask is None else values[:, mask].T
            for values in (means, self.known.get_tables(len(means), rows, places))
        )
        return means, tables

    def mask(self, phase: str, top: int, bottom: int) -> np.ndarray | None:
        """(rows, places of a tile, columns) bool: where some rows of tiles have places of a phase; None for all."""
        split = phase in ("corner", "rest")
        if not split and 2 * bottom <= self.height and not self.odd[1]:
            return None
        rows, columns = np.arange(top, bottom)[:, None, None], np.arange(self.columns)
        places = np.arange(4)[TILE_PLACES[phase]][None, :, None]
        mask = (2 * rows + places // 2 < self.height) & (2 * columns + places % 2 < self.width)
        if split:
            mask &= ((rows % 2 == 0) & (columns % 2 == 0)) == (phase == "corner")
        return mask

    def _select(self, values: np.ndarray, phase: str, top: int, bottom: int) -> np.ndarray:
        """(n, ...) of the places of a phase, in their order, of a (places, rows, columns + 1, ...) array."""
        values, mask = values[:, :, :-1].swapaxes(0, 1), self.mask(phase, top, bottom)
        return values.reshape(-1, *values.shape[3:]) if mask is None else values[mask]

    def at(self, phase: str, values: np.ndarray) -> np.ndarray:
        """(n, ...) of a (4, rows, columns + 1, ...) array: what it has at the places of a phase, in their order."""
        return self._select(values[TILE_PLACES[phase]], phase, 0, self.rows)

    def steps(self, group: int) -> np.ndarray:
        """(size,) int32, the steps of a group's coefficients."""
        return self.weights.steps[self.quality, self.weights.part(group)]

    def around(self, top: int, bottom: int, count: int) -> np.ndarray:
        """(2 + count, 4, rows + 2, columns + 1) float64 of some rows of tiles, and one more above and below.

        Where there are places, the quality, UNIT, and their first coefficients, in 1 / UNIT; else 0.
        """
        first, last = max(0, top - 1), min(self.rows, bottom + 1)
        x = np.zeros((2 + count, 4, bottom - top + 2, self.columns + 1))
        inner = x[:, :, first - top + 1 : last - top + 1]
        inner[0], inner[1] = 2 * self.quality - UNIT, UNIT  # the quality from -1 to 1
        clear(inner[:2].transpose(1, 2, 3, 0), self.odd, last == self.rows)
        inner[2:, :, :, :-1] = self.known.get(slice(0, count), slice(first, last)).swapaxes(1, 2)
        return x

    def _network(self, number: int) -> Iterator[np.ndarray]:
        """Rows of what the third layer of a pass gives, at the places of tiles that the pass is for."""
        w = self.weights
        conv = w.convs[f"c{number}.first"]
        places = conv.places
        assert places
        count = w.starts[max(known_before(number))]

        def start() -> Rows:
            for top, bottom in self.ranges():
                x = self.around(top, bottom, count)
                if number == 1:  # of the first places of tiles, corners alone are known
                    x[1:, 0, top % 2 :: 2] = 0
                    x[1:, 0, :, 1::2] = 0
                y = places(x.reshape(2 + count, 4, -1), self.columns + 1)
                yield conv.scaled(y).reshape(4, bottom - top, self.columns + 1, -1), bottom == self.rows

        rows = start()
        for name in (f"c{number}.second", f"c{number}.third"):
            rows = convolved(rows, w.convs[name], w.scales[name], self.odd)
        return (block for block, _ in rows)
