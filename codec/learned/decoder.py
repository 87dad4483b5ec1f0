"""From a payload to the latent."""

from functools import partial

import numpy as np

from ..interruption import poll
from .entropy_model import Grid
from .layers import Rows, convolved, row_ranges, with_residual
from .passes import PASSES
from .rans import SYMBOL_BYTES, Reader
from .weights import SYNTHESIS_BLOCKS, Weights

MAX_SIDE = 2048  # of a latent


def max_payload_bytes(height: int, width: int, weights: Weights) -> int:
    """Most bytes of a payload for a latent of this size: those of the first state, and of the longest symbols."""
    return 4 + SYMBOL_BYTES * -(-height // 2) * -(-width // 2) * weights.starts[-1]


def decode_payload(payload: bytes, height: int, width: int, quality: int, weights: Weights) -> np.ndarray:
    """Return the latent, (C, height, width) float32, in the convention of ComfyUI's LATENT.

    Parameters
    ----------
    payload : bytes
        Anything: coefficients are clipped, so that no sum in a network grows beyond what is exact.
    height, width : int
        1 to MAX_SIDE.
    quality : int
        0 to 255, as in the file.
    weights : Weights

    Raises
    ------
    SdcFormatError
        The payload ends too early or too late, or is none that an encoder writes.
    """
    reader = Reader(weights.tables, payload)
    grid = Grid(weights, -(-height // 2), -(-width // 2), quality)
    for number in range(len(PASSES)):
        poll(number / (len(PASSES) + 1))
        for group, phase, means, tables in grid.predict(number):
            # A damaged payload can hold symbols up to 65 790, and a step has up to 16 bits: too much for 32 together.
            symbols = np.zeros(tables.shape, np.int64)
            coded = tables >= weights.zero_rate
            symbols[coded] = reader.take(tables[coded])
            grid.update(group, phase, means + symbols * grid.steps(group))
    reader.close()
    poll(len(PASSES) / (len(PASSES) + 1))
    return np.ascontiguousarray(synthesize(grid)[:, :height, :width])


def synthesize(grid: Grid) -> np.ndarray:
    """(C, 4 rows, 4 columns) float32, of the tiles of a grid on which everything is known."""
    w, top, columns = grid.weights, 0, grid.columns - 1
    latent = np.empty((w.channels, grid.rows, 2, 2, columns, 2, 2), np.float32)
    for tail, _ in _network(grid):
        bottom = top + tail.shape[1]
        tail += w.convs["s.linear"].at_places(grid.coefficients(top, bottom)[..., :-1])
        # (2, 2, rows, columns, C, 2, 2) -> (C, rows, 2, 2, columns, 2, 2)
        patches = tail[:, :, :-1].reshape(2, 2, bottom - top, columns, w.channels, 2, 2)
        latent[:, top:bottom] = patches.transpose(4, 2, 0, 5, 3, 1, 6)
        top = bottom
    return latent.reshape(w.channels, 4 * grid.rows, 4 * columns)


def _network(grid: Grid) -> Rows:
    """Rows of tiles of what the last layer gives, float64."""
    w = grid.weights

    def block(rows: Rows, first: str, second: str) -> Rows:
        integers = ((w.integers(x, first), last) for x, last in rows)
        between = convolved(integers, lambda x: w.integers(w.convs[first].on_tiles(x), second), grid.odd)
        return convolved(between, w.convs[second].on_tiles, grid.odd)

    ranges = row_ranges(grid.rows, grid.columns)
    known = ((grid.coefficients(top, bottom), bottom == grid.rows) for top, bottom in ranges)
    trunk = convolved(known, lambda x: w.convs["s.head"].on_tiles(x).astype(np.float32), grid.odd)
    for number in range(SYNTHESIS_BLOCKS):
        trunk = with_residual(trunk, partial(block, first=f"s.{number}.first", second=f"s.{number}.second"))
    integers = ((w.integers(x, "s.tail"), last) for x, last in trunk)
    return convolved(integers, w.convs["s.tail"].on_tiles, grid.odd)
