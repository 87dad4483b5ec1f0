"""From a payload to the latent."""

from functools import partial

import numpy as np

from ..interruption import poll
from .entropy_model import Grid
from .layers import Rows, convolved, with_residual
from .passes import PASSES
from .rans import SYMBOL_BYTES, Reader
from .weights import SYNTHESIS_BLOCKS, Weights

MAX_SIDE = 2048  # of a latent
CUT_ROWS = 32  # of a latent that are moved at once


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
    for number, (_, *later) in enumerate(PASSES):
        poll(number / (len(PASSES) + 1))
        for top, bottom, ((group, phase, means, tables), *waiting) in grid.predict(number):
            grid.update(group, phase, _read(reader, grid, group, means, tables), top, bottom)
            for part in waiting:
                grid.wait(*part, top, bottom)
        for group, phase in later:
            for top, bottom in grid.ranges():
                values = _read(reader, grid, group, *grid.waited(group, phase, top, bottom))
                grid.update(group, phase, values, top, bottom)
    reader.close()
    poll(len(PASSES) / (len(PASSES) + 1))
    return _cut(synthesize(grid), height, width)


def _read(reader: Reader, grid: Grid, group: int, means: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """(n, size) int64, the coefficients of a part."""
    # A damaged payload can hold symbols up to 65 790, and a step has up to 16 bits: too much for 32 together.
    symbols = np.zeros(tables.shape, np.int64)
    coded = tables >= grid.weights.zero_rate
    symbols[coded] = reader.take(tables[coded])
    symbols *= grid.steps(group)
    symbols += means
    return symbols


def _cut(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """The first rows and columns of a (C, h, w) array, in its own memory."""
    if x.shape[1:] == (height, width):
        return x
    channels, flat = len(x), x.reshape(-1)
    cut = flat[: channels * height * width].reshape(channels * height, width)
    for channel in range(channels):
        for top in range(0, height, CUT_ROWS):  # each to where the ones before have been taken away
            rows = x[channel, top : min(height, top + CUT_ROWS), :width]
            start = channel * height + top
            cut[start : start + len(rows)] = rows.copy()
    return cut.reshape(channels, height, width)


def synthesize(grid: Grid) -> np.ndarray:
    """(C, 4 rows, 4 columns) float32, of the tiles of a grid on which everything is known, in the place of that."""
    w, top, columns = grid.weights, 0, grid.columns
    latent = grid.latent.reshape(w.channels, grid.rows, 2, 2, columns, 2, 2)
    for tail, _ in _network(grid):
        bottom = top + tail.shape[1]
        known = grid.known.get(slice(0, w.starts[-1]), slice(top, bottom)).transpose(2, 1, 3, 0)
        patches = tail[:, :, :-1]
        patches += w.convs["s.linear"].at_places(known.astype(np.float64, order="C"))
        # (2, 2, rows, columns, C, 2, 2) -> (C, rows, 2, 2, columns, 2, 2)
        patches = patches.reshape(2, 2, bottom - top, columns, w.channels, 2, 2)
        latent[:, top:bottom] = patches.transpose(4, 2, 0, 5, 3, 1, 6)
        top = bottom
    return grid.latent


def _network(grid: Grid) -> Rows:
    """Rows of tiles of what the last layer gives, float64."""
    w = grid.weights

    def start() -> Rows:
        for top, bottom in grid.ranges():
            x = grid.around(top, bottom, w.starts[-1])
            x = np.concatenate([x[2:], x[:1]]).transpose(1, 2, 3, 0).copy()  # as the weights have them
            yield w.convs["s.head"].on_tiles(x).astype(np.float32), bottom == grid.rows

    def layer(rows: Rows, name: str) -> Rows:
        return convolved(rows, w.convs[name], w.scales[name], grid.odd)

    def block(rows: Rows, number: int) -> Rows:
        return layer(layer(rows, f"s.{number}.first"), f"s.{number}.second")

    trunk = start()
    for number in range(SYNTHESIS_BLOCKS):
        trunk = with_residual(trunk, partial(block, number=number))
    return layer(trunk, "s.tail")
