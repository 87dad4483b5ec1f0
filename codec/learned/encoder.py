"""From a latent to a payload of a wanted quality or size. Only this side uses floating point freely."""

import numpy as np

from ..interruption import poll
from .entropy_model import Grid
from .layers import to_tiles
from .passes import PASSES
from .rans import Writer
from .weights import QUALITIES, UNIT, Weights

# How much a bit counts against an error in the choice of each integer. Not at all: every coefficient that is rounded
# towards zero for a bit's sake takes texture out of the image: at 3 kB and 1.0, LPIPS of photographs held out was
# a quarter higher, at hardly less squared error. Where a mask is black it counts, so that there is something to spend.
RATE_WEIGHT = 0.0
RATE_WEIGHT_OUTSIDE = 4.0
MAX_TRIES = 8  # at most, until the size is right
MIN_FILL = 0.98  # of the wanted size

Parts = list[tuple[np.ndarray, np.ndarray]]  # numbers of tables, and symbols


def encode_to_quality(latent: np.ndarray, quality: int, weights: Weights, mask: np.ndarray | None = None) -> bytes:
    """Return the payload of a latent at a given quality.

    Parameters
    ----------
    latent : (C, H, W) float32 array
        In the convention of ComfyUI's LATENT.
    quality : int
        0, coarse, to 255, fine.
    weights : Weights
    mask : (H, W) array, optional
        0 to 1: where it is 0, integers are chosen for their bits as well as for their error.
    """
    return _payload(LatentQuantizer(latent, weights, mask).code(quality)[0], weights)


def encode_to_size(
    latent: np.ndarray, max_bytes: int, weights: Weights, mask: np.ndarray | None = None
) -> tuple[int, bytes]:
    """Return (quality, payload) of at most `max_bytes`, as a rule within 2 % of it; else as `encode_to_quality`.

    Where even the lowest quality is larger, that is what is returned.
    """
    max_bytes = max(max_bytes, 1)
    quantizer, best = LatentQuantizer(latent, weights, mask), None
    low, high, guess = -1, QUALITIES, 128
    found: dict[int, float] = {}
    for _ in range(MAX_TRIES):
        spans, bits = quantizer.code(guess)
        payload = _payload(spans, weights) if abs(bits / 8 - max_bytes) < 0.05 * max_bytes + 8 else None
        length = len(payload) if payload else bits / 8 + 3
        found[guess] = length
        if length <= max_bytes:
            low = guess
            best = (guess, spans, payload)
            if length >= MIN_FILL * max_bytes:
                break
        else:
            high = guess
        if high - low <= 1:
            break
        guess = _next(found, max_bytes, low, high)
    if best is None:
        best = (0, quantizer.code(0)[0], None)
    quality, spans, payload = best
    return quality, payload or _payload(spans, weights)


def _next(found: dict[int, float], max_bytes: int, low: int, high: int) -> int:
    """Return the quality to try next: the logarithm of the bytes is nearly linear in it."""
    if low in found and high in found:
        a, b = np.log(found[low]), np.log(found[high])
        place = low + (high - low) * (np.log(max_bytes * 0.993) - a) / (b - a)
    else:
        ((quality, length),) = list(found.items())[-1:]
        place = quality + (np.log(max_bytes * 0.993) - np.log(length)) * QUALITIES / 2.1
    return int(np.clip(round(place), low + 1, high - 1))


def _payload(parts: Parts, weights: Weights) -> bytes:
    writer = Writer(weights.tables)
    for tables, symbols in parts:
        poll()
        writer.put(tables, symbols)
    return writer.bytes()


class LatentQuantizer:
    """Chooses the integers of one latent; arguments as for `encode_to_quality`."""

    def __init__(self, latent: np.ndarray, weights: Weights, mask: np.ndarray | None = None):
        latent = (latent - weights.shift) * weights.scale
        below, right = latent.shape[1] % 2, latent.shape[2] % 2
        latent = np.pad(latent, ((0, 0), (0, below), (0, right)), mode="edge")
        height, width = latent.shape[1] // 2, latent.shape[2] // 2
        patches = latent.reshape(-1, height, 2, width, 2).transpose(1, 3, 0, 2, 4).reshape(height * width, -1)
        matrix, bias = weights.analysis
        coefficients = ((patches @ matrix + bias) * np.float32(UNIT)).reshape(height, width, -1)
        self.size, self.coefficients = (height, width), to_tiles(coefficients)
        self.weights = weights
        rate_weight = np.full((height, width), RATE_WEIGHT, np.float32)
        if mask is not None and mask.min() < mask.max():  # all black, every part would pay and none gain
            mask = np.pad(np.asarray(mask, np.float32), ((0, below), (0, right)), mode="edge")
            mask = mask.reshape(height, 2, width, 2).max((1, 3))
            rate_weight += (RATE_WEIGHT_OUTSIDE - RATE_WEIGHT) * (1 - mask)
        self.rate_weight = to_tiles(rate_weight)

    def code(self, quality: int) -> tuple[Parts, float]:
        """Return the numbers of tables and the symbols in the order of the payload, and their bits."""
        w = self.weights
        grid, y = Grid(w, *self.size, quality), self.coefficients
        widest = w.bits.shape[1] // 2
        parts: Parts = []
        total = 0.0
        for number in range(len(PASSES)):
            for group, phase, means, tables in grid.predict(number):
                channels = w.part(group)
                steps = grid.steps(group).astype(np.float32)
                exact = ((grid.at(phase, y[..., channels]) - means) / steps).clip(-30000, 30000)
                nearest = np.rint(exact)
                rate_weight = grid.at(phase, self.rate_weight)[:, None]
                if rate_weight.any():
                    weight = w.lambdas[quality] * w.gains[channels] * np.square(steps / UNIT)
                    smaller = nearest - np.sign(nearest)
                    cost = [
                        weight * np.square(exact - k)
                        + rate_weight * w.bits[tables, np.clip(k, -widest, widest).astype(np.int32) + widest]
                        for k in (nearest, smaller)
                    ]
                    nearest = np.where(cost[1] < cost[0], smaller, nearest)
                symbols = nearest.astype(np.int32)
                coded = tables >= w.zero_rate
                symbols[~coded] = 0
                total += float(w.bits[tables, np.clip(symbols, -widest, widest) + widest][coded].sum())
                total += self._longer_escapes(symbols[coded], tables[coded])
                parts.append((tables[coded], symbols[coded]))
                grid.update(group, phase, means + symbols * grid.steps(group))
        self.grid = grid
        return parts, total

    def _longer_escapes(self, symbols: np.ndarray, tables: np.ndarray) -> float:
        """Return the bits that integers beyond the width of `bits` take more than the last one there."""
        widest = self.weights.bits.shape[1] // 2
        far = np.abs(symbols) > widest
        if not far.any():
            return 0.0
        reach = np.array(self.weights.tables.reach)[tables[far]]
        return float(np.log2((np.abs(symbols[far]) - reach) / (widest - reach)).sum())
