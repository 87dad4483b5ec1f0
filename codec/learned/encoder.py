"""From a latent to a payload of a wanted quality or size. Only this side uses floating point freely."""

import math
from bisect import bisect_right

import numpy as np

from ..interruption import poll
from .entropy_model import Grid
from .layers import to_tiles
from .passes import PASSES
from .rans import Writer
from .weights import QUALITIES, SCALES, UNIT, Weights

# How much a bit counts against an error in the choice of each integer. Not at all: every coefficient that is rounded
# towards zero for a bit's sake takes texture out of the image: at 3 kB and 1.0, LPIPS of photographs held out was
# a quarter higher, at hardly less squared error. Where a mask is black it counts, so that there is something to spend.
RATE_WEIGHT = 0.0
RATE_WEIGHT_OUTSIDE = 4.0
MAX_TRIES = 8  # at most, until the size is right
MIN_FILL, AIM = 0.98, 0.993  # of the wanted size, the least that is good enough and what is aimed at
# Qualities, and the bytes that 2 x 2 of a photograph's latent usually take at them: for what is tried first.
USUAL_AT = (0, 64, 128, 192)
USUAL = {
    "SD1.x": (0.46, 1.45, 3.02, 4.77),
    "SDXL": (1.22, 2.44, 3.89, 5.64),
    "SD3": (0.68, 1.94, 5.66, 9.96),
    "Flux": (0.69, 2.82, 7.12, 11.43),
}
PART = 64  # side of the parts of a large latent that are tried before all of it
SAMPLE = 4096  # coefficients of each part of a pass that tell how the size changes with the quality

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
    low, high, guess = -1, QUALITIES, _first_guess(latent, max_bytes, weights)
    for _ in range(MAX_TRIES):
        spans, bits = quantizer.code(guess)
        payload = _payload(spans, weights) if abs(bits / 8 - max_bytes) < 0.05 * max_bytes + 8 else None
        length = len(payload) if payload else bits / 8 + 3
        if length <= max_bytes:
            low = guess
            best = (guess, spans, payload)
            if length >= MIN_FILL * max_bytes:
                break
        else:
            high = guess
        if high - low <= 1:
            break
        guess = min(max(quantizer.quality_for(AIM * max_bytes / length), low + 1), high - 1)
    if best is None:
        best = (0, quantizer.code(0)[0], None)
    quality, spans, payload = best
    return quality, payload or _payload(spans, weights)


def _first_guess(latent: np.ndarray, max_bytes: int, weights: Weights) -> int:
    """The quality to try first: the usual one, of a large latent that at which four parts of it take their share."""
    size = math.prod(latent.shape[1:])
    usual = round(np.interp(math.log(4 * max_bytes / size), np.log(USUAL[weights.latent_format]), USUAL_AT))
    if min(latent.shape[1:]) < 4 * PART:
        return usual
    rows, columns = (
        [place for middle in (side // 4, 3 * side // 4) for place in range(middle - PART // 2, middle + PART // 2)]
        for side in latent.shape[1:]
    )
    sample = LatentQuantizer(latent[:, rows][:, :, columns], weights)
    _, bits = sample.code(usual)
    return sample.quality_for(AIM * 8 * max_bytes * (2 * PART) ** 2 / size / bits)


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
        self.quality, self.sample = quality, []
        for number in range(len(PASSES)):
            for group, phase, means, tables in grid.predict_whole(number):
                channels = w.part(group)
                steps = grid.steps(group).astype(np.float32)
                residuals = grid.at(phase, y[..., channels]) - means
                every = 1 + residuals.size // SAMPLE
                self.sample.append((group, residuals[::every], tables[::every], every))
                exact = (residuals / steps).clip(-30000, 30000)
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

    def quality_for(self, share: float) -> int:
        """The quality at which the latent probably takes this share of the bits that it has just taken."""
        wanted = share * self._estimate(self.quality)
        return max(0, bisect_right(range(QUALITIES), wanted, key=self._estimate) - 1)

    def _estimate(self, quality: int) -> float:
        """The bits of a sample at a quality, if what is known and the means were as in the last `code`."""
        w, total = self.weights, 0.0
        widest = w.bits.shape[1] // 2
        for group, residuals, tables, every in self.sample:
            channels = w.part(group)
            shift = w.log_steps[self.quality, channels] - w.log_steps[quality, channels]
            at = np.rint(tables + shift).clip(0, SCALES - 1).astype(np.intp)
            symbols = np.rint(residuals / w.steps[quality, channels]).clip(-widest, widest).astype(np.intp)
            total += every * float(w.bits[at, symbols + widest][at >= w.zero_rate].sum())
        return total

    def _longer_escapes(self, symbols: np.ndarray, tables: np.ndarray) -> float:
        """Return the bits that integers beyond the width of `bits` take more than the last one there."""
        widest = self.weights.bits.shape[1] // 2
        far = np.abs(symbols) > widest
        if not far.any():
            return 0.0
        reach = np.array(self.weights.tables.reach)[tables[far]]
        return float(np.log2((np.abs(symbols[far]) - reach) / (widest - reach)).sum())
