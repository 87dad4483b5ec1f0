"""3x3 convolutions of images in tiles, and still exact.

Images are in *tiles* of 2 x 2 places: a (4, rows, columns + 1, channels) array in which place (y, x) is
[2 * (y % 2) + x % 2, y // 2, x // 2], and whose last column is 0: the next row begins beside it.

All four places of a tile together take 16 products instead of 36, by F(2x2, 3x3) of Winograd's minimal filtering (Lavin
and Gray, "Fast algorithms for convolutional neural networks", 2016). Of one row of weights g and of inputs d it makes

    d0 - d2, d1 + d2, d2 - d1, d1 - d3    times    g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2

and of the products m the outputs m0 + (m1 + m2) and (m1 - m2) - m3, and all of that for rows of rows. Its numbers are
multiples of 1/4, 1/2 or 1, so float32 has them exactly while they are below 2**24 of these units.
"""

from collections.abc import Sequence

import numpy as np

ROOM = 2.0**24
TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
SMALL_PRODUCT = 1 << 18  # multiplications, up to which OpenBLAS takes one thread
UNIT = np.array([1, 0.5, 0.5, 1])  # that products with each row of TRANSFORM are multiples of


class Tiles:
    """The sums of a 3x3 convolution at all places; `weights` and `max_input` as in `layers.Conv`."""

    def __init__(self, weights: np.ndarray, max_input: int):
        taps = weights.astype(np.float64).reshape(3, 3, -1, weights.shape[1])
        by_row = np.einsum("ri,ijco->rjco", TRANSFORM, taps)
        both = np.einsum("sj,rjco->srco", TRANSFORM, by_row)
        self.weights = {np.dtype(kind): both.astype(kind) for kind in {weights.dtype, np.dtype(np.float64)}}
        self.bounds = self._bounds(by_row, both, max_input)

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

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Map rows of tiles, with one more above and below, to the sums.

        Parameters
        ----------
        x : (4, rows + 2, columns + 1, inputs) array
            Integers, 0 outside of the image; in float32 none is negative.

        Returns
        -------
        (4, rows, columns + 1, outputs) array
            Its last column is anything.
        """
        _, rows, columns, inputs = x.shape
        weights = self.weights[x.dtype if self._fits(x) else np.dtype(np.float64)]
        v = _transformed(x.astype(weights.dtype, copy=False)).reshape(4, 4, -1, inputs)
        m = np.empty((*v.shape[:3], weights.shape[3]), weights.dtype)
        _multiply(v, weights, m)
        m = m.reshape(4, 4, -1)
        by_row = np.empty((2, *m.shape[1:]), m.dtype)
        _combine(m, by_row)
        sums = np.empty((2, 2, m.shape[2]), x.dtype)
        _combine(by_row.swapaxes(0, 1), sums)
        return sums.reshape(4, rows - 2, columns, -1)

    def _fits(self, x: np.ndarray) -> bool:
        if x.dtype == np.float64 or not self.bounds.size:
            return True
        largest = x.reshape(-1, x.shape[2] * x.shape[3]).max(axis=0).reshape(x.shape[2:]).max(axis=0)
        return bool((largest @ self.bounds).max() < ROOM)


def _extremes(weights: np.ndarray, added: int, taken: int) -> list[np.ndarray]:
    above, below = weights.clip(0), (-weights).clip(0)
    return [added * above + taken * below, added * below + taken * above]


def _transformed(x: np.ndarray) -> np.ndarray:
    """(4, rows + 2, columns + 1, n) -> (4, 4, rows * (columns + 1) * n), what is multiplied, by columns and by rows."""
    n, row = x.shape[3], x.shape[2] * x.shape[3]
    even, odd = x.reshape(2, 2, -1)
    size = even.shape[1] - 2 * row
    by_row = np.empty((4, 2, size), x.dtype)
    here, below = slice(row, row + size), slice(2 * row, None)
    np.subtract(odd[:, :size], odd[:, here], out=by_row[0])
    np.add(even[:, here], odd[:, here], out=by_row[1])
    np.subtract(odd[:, here], even[:, here], out=by_row[2])
    np.subtract(even[:, here], even[:, below], out=by_row[3])
    even, odd = by_row[:, 0], by_row[:, 1]
    both = np.empty((4, 4, size), x.dtype)
    np.subtract(odd[:, :-n], odd[:, n:], out=both[0, :, n:])
    np.negative(odd[:, :n], out=both[0, :, :n])
    np.add(even, odd, out=both[1])
    np.subtract(odd, even, out=both[2])
    np.subtract(even[:, :-n], even[:, n:], out=both[3, :, :-n])
    both[3, :, -n:] = 0
    return both


def _multiply(x: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """x @ weights for (..., n, inputs) and (..., inputs, outputs), in pieces too small for BLAS to share them out.

    Its threads would meet after each product, and there are many: on a busy machine they would mostly wait.
    """
    *others, inputs, outputs = weights.shape
    step = max(1, SMALL_PRODUCT // (inputs * outputs))
    whole = x.shape[-2] // step * step if step >= 16 else 0  # smaller pieces take longer than threads
    pieces, of = x[..., :whole, :].reshape(*others, -1, step, inputs), out[..., :whole, :]
    np.matmul(pieces, weights[..., None, :, :], out=of.reshape(*others, -1, step, outputs))
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
    weights : (9 * inputs, outputs) array
    places : sequence of int
    known : (int, int, int, int)
        How many of the inputs, from the first one, can be other than 0 at each place of a tile.
    """

    def __init__(self, weights: np.ndarray, places: Sequence[int], known: Sequence[int]):
        taps = weights.reshape(9, -1, weights.shape[1])
        self.parts = []
        for place in places:
            # Where the inputs are: place of a tile, how many rows and columns of tiles further, how many there are.
            steps = [(place // 2 + tap // 3 - 1, place % 2 + tap % 3 - 1) for tap in range(9)]
            sources = [(2 * (i % 2) + j % 2, i // 2, j // 2) for i, j in steps]
            inputs = [known[source] for source, _, _ in sources]
            own = np.concatenate([tap[:size] for tap, size in zip(taps, inputs, strict=True)])
            ends = np.cumsum(inputs).tolist()
            self.parts.append(
                ([(*source, end - size, end) for source, size, end in zip(sources, inputs, ends, strict=True)], own)
            )

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
