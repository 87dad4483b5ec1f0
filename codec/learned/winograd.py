"""3x3 convolutions of images in tiles, and still exact.

Images are in *tiles* of 2 x 2 places: a (4, rows, columns + 1, channels) array in which place (y, x) is
[2 * (y % 2) + x % 2, y // 2, x // 2], and whose last column is 0: the next row begins beside it.

All four places of a tile together take 16 products instead of 36, by F(2x2, 3x3) of Winograd's minimal filtering (Lavin
and Gray, "Fast algorithms for convolutional neural networks", 2016). Of one row of weights g and of inputs d it makes

    d0 - d2, d1 + d2, d2 - d1, d1 - d3    times    g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2

and of the products m the outputs m0 + (m1 + m2) and (m1 - m2) - m3, and all of that for rows of rows. Its numbers are
multiples of 1/4, 1/2 or 1, so float32 has them exactly while they are below 2**24 of these units.
"""

import functools
import math
import threading
from collections.abc import Callable, Sequence

import numpy as np

ROOM = 2.0**24
TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
MAX_TILES = 128  # that are worked on at once, so that what is between stays in the processor's cache
FEW = 64  # places, up to which nothing is saved by fewer products
SMALL_PRODUCT = 1 << 18  # multiplications, up to which OpenBLAS takes one thread
UNIT = np.array([1, 0.5, 0.5, 1])  # that products with each row of TRANSFORM are multiples of


class Room(threading.local):
    """Memory of a thread that stays for the next layer: what was given back comes anew in pages full of zeros."""

    def __init__(self):
        self.kept: dict[str, np.ndarray] = {}

    def array(self, name: str, kind: np.dtype, *shape: int) -> np.ndarray:
        """An array that holds anything; with the next one of this name it is gone."""
        size = math.prod(shape) * kind.itemsize
        if name not in self.kept or self.kept[name].nbytes < size:
            self.kept[name] = np.empty(size, np.uint8)
        return self.kept[name][:size].view(kind).reshape(shape)


room = Room()


class Tiles:
    """The sums of a 3x3 convolution at all places; `weights` and `max_input` as in `layers.Conv`."""

    def __init__(self, weights: np.ndarray, max_input: int):
        taps = weights.astype(np.float64).reshape(3, 3, -1, weights.shape[1])
        by_row = np.einsum("ri,ijco->rjco", TRANSFORM, taps)
        both = np.einsum("sj,rjco->srco", TRANSFORM, by_row)
        self.weights = both.astype(weights.dtype)
        self.direct = weights
        self.bounds = self._bounds(by_row, both, max_input)
        self.bound = self.bounds.sum(axis=0).max(initial=0)

    @staticmethod
    def _bounds(by_row: np.ndarray, both: np.ndarray, max_input: int) -> np.ndarray:
        """(inputs, n): the largest of each input, 0 or more, times this bounds all in units that could leave ROOM."""
        found = []
        for s, r in np.ndindex(4, 4):
            inputs = (4, 0) if s == r == 1 else (2, 2)  # how many are added and taken off
            found += _extremes(both[s, r] / (UNIT[s] * UNIT[r]), *inputs)
        for r in range(4):  # sums of products in one direction, of which each part is a sum of these terms too
            inputs = (2, 0) if r == 1 else (1, 1)
            found.extend(np.sum([_extremes(tap / UNIT[r], *inputs) for tap in by_row[r]], axis=0))
        bounds = np.concatenate(found, axis=1)
        return bounds[:, bounds.sum(axis=0) * max_input >= ROOM]

    def __call__(self, x: np.ndarray, finish: Callable[[np.ndarray], object] = len) -> np.ndarray:
        """Map rows of tiles, with one more above and below, to the sums.

        Parameters
        ----------
        x : (4, rows + 2, columns + 1, inputs) array
            Integers, 0 outside of the image; in float32 none is negative.
        finish : callable
            Changes (..., outputs) of the sums in their place, while they are at hand.

        Returns
        -------
        (4, rows, columns + 1, outputs) array
            Its last column is anything.
        """
        _, rows, columns, inputs = x.shape
        if 4 * (rows - 2) * (columns - 1) <= FEW:
            sums = _directly(x, self.direct, (0, 1, 2, 3))
            finish(sums)
            return sums
        weights = self.weights if self._fits(x) else self.weights.astype(np.float64)
        outputs, size = weights.shape[3], (rows - 2) * columns
        flat = x.reshape(2, 2, rows * columns, inputs)
        sums = np.empty((2, 2, size, outputs), x.dtype)
        for start in range(0, size, MAX_TILES):
            part = sums[:, :, start : start + MAX_TILES]
            v, m = (
                room.array(name, weights.dtype, 4, 4, part.shape[2], n) for name, n in (("v", inputs), ("m", outputs))
            )
            _transform(flat, columns, start, room.array("between", weights.dtype, 4, 2, part.shape[2] + 2, inputs), v)
            _multiply(v, weights, m)
            between = room.array("between", weights.dtype, 2, 4, part.shape[2], outputs)
            _combine(m, between)
            _combine(between.swapaxes(0, 1), part)
            finish(part)
        return sums.reshape(4, rows - 2, columns, outputs)

    def _fits(self, x: np.ndarray) -> bool:
        if x.dtype == np.float64 or not self.bounds.size or x.max() * self.bound < ROOM:
            return True
        largest = x.reshape(-1, x.shape[2] * x.shape[3]).max(axis=0).reshape(x.shape[2:]).max(axis=0)
        return bool((largest @ self.bounds).max() < ROOM)


def _directly(x: np.ndarray, weights: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """The sums at some of the places of tiles, each by itself: of few places, that takes the fewest calls.

    Parameters
    ----------
    x : (4, rows + 2, columns + 1, inputs) array
    weights : (9 * inputs, outputs) array, or one for each place
    places : sequence of int

    Returns
    -------
    (len(places), rows, columns + 1, outputs) array
    """
    _, rows, columns, inputs = x.shape
    seen = x.reshape(-1, inputs)[_neighbors(rows, columns, tuple(places))]
    sums = np.zeros((len(places), rows - 2, columns, weights.shape[-1]), x.dtype)
    sums[:, :, :-1] = (seen.reshape(len(places), -1, 9 * inputs) @ weights).reshape(*sums[:, :, :-1].shape)
    return sums


@functools.lru_cache(64)
def _neighbors(rows: int, columns: int, places: tuple[int, ...]) -> np.ndarray:
    """(places, rows - 2, columns - 1, 9): where each has its neighbors in (4, rows, columns) places."""
    place, row, column = np.ix_(places, range(1, rows - 1), range(columns - 1))
    i, j = np.divmod(np.arange(9), 3)
    y, x = (2 * row + place // 2)[..., None] + i - 1, (2 * column + place % 2)[..., None] + j - 1
    x = np.where(x < 0, 2 * columns - 1, x)  # to the left of the first column is a 0 as in the last one
    return ((2 * (y % 2) + x % 2) * rows + y // 2) * columns + x // 2


def _extremes(weights: np.ndarray, added: int, taken: int) -> list[np.ndarray]:
    above, below = weights.clip(0), (-weights).clip(0)
    return [added * above + taken * below, added * below + taken * above]


def _transform(x: np.ndarray, columns: int, start: int, by_row: np.ndarray, v: np.ndarray) -> None:
    """Write what is multiplied for some tiles, by columns and by rows.

    Parameters
    ----------
    x : (2, 2, tiles, n) array
        As `Tiles` takes them in, a row of tiles after the other, `columns` of them each.
    start : int
        The first tile.
    by_row : (4, 2, count + 2, n) array
        For what is between, of one more tile to the left and right.
    v : (4, 4, count, n) array
    """
    count = v.shape[2]
    left, right = int(start == 0), int(start + 1 + count + 2 * columns > x.shape[2])  # where there is none
    by_row[:, 1, 0], by_row[:, 0, -1] = 0, 0
    to = by_row[:, :, left : count + 2 - right]
    (even, odd), first = x, start - 1 + left
    above, here, below = (slice(at, at + to.shape[2]) for at in range(first, first + 3 * columns, columns))
    np.subtract(odd[:, above], odd[:, here], out=to[0])
    np.add(even[:, here], odd[:, here], out=to[1])
    np.subtract(odd[:, here], even[:, here], out=to[2])
    np.subtract(even[:, here], even[:, below], out=to[3])
    even, odd = by_row[:, 0], by_row[:, 1]
    np.subtract(odd[:, :-2], odd[:, 1:-1], out=v[0])
    np.add(even[:, 1:-1], odd[:, 1:-1], out=v[1])
    np.subtract(odd[:, 1:-1], even[:, 1:-1], out=v[2])
    np.subtract(even[:, 1:-1], even[:, 2:], out=v[3])


def _multiply(x: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """x @ weights for (..., n, inputs) and (..., inputs, outputs), in pieces too small for BLAS to share them out.

    Its threads would meet after each product, and there are many: on a busy machine they would mostly wait.
    """
    *others, inputs, outputs = weights.shape
    step = max(1, SMALL_PRODUCT // (inputs * outputs))
    whole = x.shape[-2] // step * step if step >= 16 else 0  # smaller pieces take longer than threads
    if whole:
        pieces, of = x[..., :whole, :].reshape(*others, -1, step, inputs), out[..., :whole, :]
        np.matmul(pieces, weights[..., None, :, :], out=of.reshape(*others, -1, step, outputs))
    if whole < x.shape[-2]:
        np.matmul(x[..., whole:, :], weights, out=out[..., whole:, :])


def _combine(products: np.ndarray, sums: np.ndarray) -> None:
    """Write the outputs of one direction."""
    np.add(products[1], products[2], out=sums[0])
    sums[0] += products[0]
    np.subtract(products[1], products[2], out=sums[1])
    sums[1] -= products[3]


class Places:
    """The sums of a 3x3 convolution at some of the four places of the tiles, each by itself.

    Parameters
    ----------
    taps : sequence of four (9, inputs, outputs) arrays
        The weights of what is at each place of a tile, which may have fewer inputs, from the first one, than others.
    places : sequence of int
    """

    def __init__(self, taps: Sequence[np.ndarray], places: Sequence[int]):
        self.parts = []
        for place in places:
            sources, own, end = [], [], 0
            for tap in range(9):
                i, j = place // 2 + tap // 3 - 1, place % 2 + tap % 3 - 1
                source = 2 * (i % 2) + j % 2
                own.append(taps[source][tap])
                # Place of a tile, how many rows and columns of tiles further, and where its inputs go.
                sources.append((source, i // 2, j // 2, end, end + len(own[-1])))
                end += len(own[-1])
            self.parts.append((sources, np.concatenate(own)))
        self.places = tuple(places)
        inputs, outputs = max(len(tap[0]) for tap in taps), taps[0].shape[2]
        self.direct = np.zeros((len(places), 9, inputs, outputs), taps[0].dtype)
        for (sources, weights), to in zip(self.parts, self.direct, strict=True):
            for tap, (_, _, _, at, end) in enumerate(sources):
                to[tap, : end - at] = weights[at:end]
        self.direct = self.direct.reshape(len(places), 9 * inputs, outputs)

    def __call__(self, x: np.ndarray, columns: int) -> np.ndarray:
        """Map rows of tiles, with one more above and below, to the sums.

        Parameters
        ----------
        x : (inputs, 4, (rows + 2) * columns) array
            As for `Tiles`, a row of tiles after the other.
        columns : int
            Of tiles, and the one of 0.

        Returns
        -------
        (len(places), rows * columns, outputs) array of the type of the weights
        """
        size, kind = x.shape[2] - 2 * columns, self.parts[0][1].dtype
        if 4 * (size // columns) * (columns - 1) <= FEW:
            x = x.transpose(1, 2, 0).reshape(4, -1, columns, len(x))
            sums = _directly(x, self.direct, self.places)
            return sums.reshape(len(sums), size, -1)
        sums = np.empty((len(self.parts), size, self.parts[0][1].shape[1]), kind)
        for (sources, weights), out in zip(self.parts, sums, strict=True):
            # Laid out as the inputs are, so that what is copied lies side by side.
            seen = np.empty((len(weights), size), kind, order="C" if x.strides[2] < x.strides[0] else "F")
            for place, i, j, at, end in sources:
                start = (1 + i) * columns + j
                if start < 0:  # to the left of the first column
                    seen[at:end, 0] = 0
                    seen[at:end, 1:] = x[: end - at, place, : size - 1]
                elif start + size > x.shape[2]:  # the last column has no right
                    seen[at:end, -1] = 0
                    seen[at:end, :-1] = x[: end - at, place, start:]
                else:
                    seen[at:end] = x[: end - at, place, start : start + size]
            _multiply(seen.T, weights, out)
        return sums
