"""From a payload to the latent."""

import numpy as np

from ..interruption import poll
from .entropy_model import Grid, quality_plane
from .layers import in_strips, relu_requantize
from .passes import PASSES
from .rans import SYMBOL_BYTES, Reader
from .weights import SYNTHESIS_BLOCKS, Weights

MAX_SIDE = 2048  # of a latent
REACH = 2 + 2 * SYNTHESIS_BLOCKS  # places that a patch of the latent depends on in each direction


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
        for group, mask, means, tables in grid.predict(number):
            # A damaged payload can hold symbols up to 65 790, and a step has up to 16 bits: too much for 32 together.
            symbols = np.zeros(tables.shape, np.int64)
            coded = tables >= weights.zero_rate
            symbols[coded] = reader.take(tables[coded].tolist())
            grid.update(group, mask, means + symbols * grid.steps(group))
    reader.close()
    poll(len(PASSES) / (len(PASSES) + 1))
    return np.ascontiguousarray(synthesize(grid)[:, :height, :width])


def synthesize(grid: Grid) -> np.ndarray:
    """(C, 2 h, 2 w) float32 of a grid on which everything is known."""
    w = grid.weights
    latent = np.empty((w.channels, 2 * grid.height, 2 * grid.width), np.float32)
    for top, bottom, out in in_strips(lambda first, last: _network(grid, first, last), grid.height, grid.width, REACH):
        # (rows, w, C, 2, 2) -> (C, 2 rows, 2 w)
        patches = out.reshape(bottom - top, grid.width, w.channels, 2, 2).transpose(2, 0, 3, 1, 4)
        latent[:, 2 * top : 2 * bottom] = patches.reshape(w.channels, 2 * (bottom - top), 2 * grid.width)
    return latent


def _network(grid: Grid, first: int, last: int) -> np.ndarray:
    w = grid.weights
    known = grid.known[first:last].astype(np.float64)
    x = np.empty((*known.shape[:2], known.shape[2] + 1))
    x[..., :-1], x[..., -1] = known, quality_plane(grid.quality)
    trunk = w.convs["s.head"](x).astype(np.float32)
    for number in range(SYNTHESIS_BLOCKS):
        first_name, second_name = f"s.{number}.first", f"s.{number}.second"
        x = relu_requantize(trunk, w.scales[first_name], w.convs[first_name].max_input)
        x = relu_requantize(w.convs[first_name](x), w.scales[second_name], w.convs[second_name].max_input)
        trunk += w.convs[second_name](x)
    x = relu_requantize(trunk, w.scales["s.tail"], w.convs["s.tail"].max_input).astype(np.float64)
    return w.convs["s.linear"](known) + w.convs["s.tail"](x)
