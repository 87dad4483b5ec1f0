"""From a latent to the payload of the archive coder. Only this side fits weights, in floating point."""

from typing import Any

import numpy as np

from ..blas import check_products
from ..interruption import poll
from .blocks import COARSE, Block, blocks
from .entropy import Writer, num_lanes, place_on_ladder, scale_of
from .layout import (
    HEAD,
    LADDER_STEP,
    MAX_INTEGER,
    MAX_STEP,
    MEAN_STEP,
    USUAL_SCALES,
    Kind,
    kinds,
    steps_for,
    unfold,
    weights_mask,
    weights_to_vector,
)
from .prediction import (
    MAX_SCALE_WEIGHT,
    MAX_WEIGHT,
    SCALE_TERMS,
    SCALE_UNIT,
    SPATIAL,
    WEIGHT_UNIT,
    Neighbors,
    Weights,
    earlier_channels,
    exact_dtype,
    known_scale_terms,
    known_scales,
    max_constant,
    near_magnitudes,
    round_prediction,
)

MAX_FITTED = 1 << 13  # places that weights are fitted to, about
MAX_SCALES_FITTED = 1 << 11
USUAL_WEIGHT = 16  # how large a weight is expected to be: what cannot be told from chance stays small
WEIGHT_BITS = 6  # about what a weight takes
SCALE_PLACES = 8  # as so many places count what the weights of scales usually are


def encode_latent(latent: np.ndarray, step: np.float32, fold: int) -> bytes:
    """Code a latent (C, T, H, W), each element with an error of at most half a step; `fold` as in `layout.unfold`."""
    check_products()
    integers = unfold(np.rint(latent / np.float64(step)).astype(np.float32), fold)
    largest = int(np.abs(integers).max())
    assert largest <= MAX_INTEGER
    work = _Encoding(integers, largest)
    return HEAD.pack(step, fold, largest) + work.to_bytes()


class _Encoding:
    """One latent on its way.

    Attributes
    ----------
    integers, magnitudes : (C, T, H, W) float32
        The quantized latent, and the magnitudes of the residuals.
    order : list of Block
    """

    def __init__(self, integers: np.ndarray, largest: int):
        self.integers, self.largest = integers, largest
        self.magnitudes = np.zeros_like(integers)
        self.dtype: Any = exact_dtype(len(integers), largest)
        self.order = list(blocks(*integers.shape))
        self.kinds = kinds(integers.shape[1])
        coarse = [block.take(integers) for block in self.order if block.kind == COARSE and not block.references]
        self.means = np.rint(np.concatenate(coarse, 1).mean(1, dtype=np.float64)).astype(self.dtype)
        self.trust = self._fit_coarse()

    def to_bytes(self) -> bytes:
        """Return the payload behind its head."""
        channels = len(self.integers)
        weights = {kind: self._fit_prediction(kind) for kind in self.kinds}
        residuals = []
        for block in self.order:
            poll()
            left = block.take(self.integers).astype(self.dtype)
            left -= self._prediction(block, weights)
            block.put(self.magnitudes, np.abs(left))
            residuals.append(left.astype(np.int32))
        for kind in self.kinds:
            self._fit_scales(kind, weights[kind])

        writer = Writer()
        inter = self.integers.shape[1] > 1
        writer.put(self.means.astype(np.int32), np.full(channels, MEAN_STEP, np.int32))
        coarse_steps = [self._coarse_steps(residuals, references) for references in (False, True)[: 1 + inter]]
        for number, steps in enumerate(coarse_steps):
            if number:
                writer.put(self.trust.astype(np.int32), np.full(channels, LADDER_STEP, np.int32))
            writer.put(steps, np.full(channels, LADDER_STEP, np.int32))
        for kind in self.kinds:
            vector, groups = weights_to_vector(weights[kind], kind[1]), weights_mask(channels, kind[1])
            steps = np.array([steps_for(vector[groups == group]) for group in range(4)], np.int32)
            writer.put(steps, np.full(4, LADDER_STEP, np.int32))
            writer.put(vector, steps[groups])
        for block, left in zip(self.order, residuals, strict=True):
            if block.kind == COARSE:
                steps = np.broadcast_to(coarse_steps[block.references is not None][:, None], left.shape)
            else:
                steps = place_on_ladder(self._scales(block, weights[block.kind, block.references is not None]))
            for values, own in zip(left, steps, strict=True):
                writer.put(values, own)
        return writer.to_bytes(num_lanes(self.integers.size))

    def _chosen(self, kind: Kind) -> list[Block]:
        return [block for block in self.order if (block.kind, block.references is not None) == kind]

    def _fit_coarse(self) -> np.ndarray:
        """How far the coarse grid is predicted from that of other frames, (C,) in 1 / WEIGHT_UNIT."""
        products, squares = np.zeros((2, len(self.integers)))
        for block in self._chosen((COARSE, True)):
            around = self._references(block).astype(np.float64)
            here = block.take(self.integers) - self.means.astype(np.float64)[:, None]
            products += (here * around).sum(1)
            squares += (around**2).sum(1)
        found = np.rint(2 * WEIGHT_UNIT * products / np.maximum(squares, 1))
        return found.clip(-MAX_WEIGHT, MAX_WEIGHT).astype(self.dtype)

    def _references(self, block: Block) -> np.ndarray:
        parts = [part.take(self.integers).astype(self.dtype) for part in block.of_references()]
        return parts[0] + parts[1] - 2 * self.means[:, None]

    def _prediction(self, block: Block, weights: dict[Kind, Weights]) -> np.ndarray:
        if block.kind == COARSE:
            if not block.references:
                return self.means[:, None]
            scaled = 256 * self.means[:, None] + 2 * self.trust[:, None] * self._references(block)
        else:
            neighbors = Neighbors(block, self.integers, self.dtype)
            fitted = weights[block.kind, block.references is not None].astype(self.dtype)
            scaled = neighbors.known_prediction(fitted)
            deviations = 4 * block.take(self.integers).astype(self.dtype)
            deviations -= neighbors.sums
            scaled += fitted.earlier @ deviations
        return round_prediction(scaled, self.largest)

    def _coarse_steps(self, residuals: list[np.ndarray], inter: bool) -> np.ndarray:
        chosen = [
            left
            for block, left in zip(self.order, residuals, strict=True)
            if (block.kind, block.references is not None) == (COARSE, inter)
        ]
        return np.array([steps_for(values) for values in np.concatenate(chosen, 1)], np.int32)

    def _scales(self, block: Block, weights: Weights) -> np.ndarray:
        weights = weights.astype(self.dtype)
        neighbors = Neighbors(block, self.integers, self.dtype)
        found = known_scales(block, neighbors, self.magnitudes, weights)
        near = near_magnitudes(block.take(self.magnitudes).astype(self.dtype))
        near *= weights.scales[:, 2:3]
        found += near
        return found

    def _fit_prediction(self, kind: Kind) -> Weights:
        """Weights by least squares, without those of the scales."""
        channels, inter = len(self.integers), kind[1]
        chosen = self._chosen(kind)
        every = max(1, sum(block.size for block in chosen) // MAX_FITTED)
        used = earlier_channels(channels)
        spatial, terms = np.zeros((channels, SPATIAL)), np.zeros((channels, SCALE_TERMS))
        reference, constants = np.zeros((2, channels))
        weights = Weights(spatial, np.zeros((channels, channels)), reference, constants, terms)
        rows = (SPATIAL + 1 + inter) * channels
        gram, count = np.zeros((rows, rows)), 0
        for block in chosen:
            poll()
            block = block.sample(every)
            neighbors = Neighbors(block, self.integers, self.dtype)
            slopes = [4 * value - neighbors.sums for value in neighbors.values[:SPATIAL]]
            deviations = 4 * block.take(self.integers).astype(self.dtype) - neighbors.sums
            parts = [*slopes, deviations, *([neighbors.reference] if inter else [])]
            columns = np.concatenate(parts).astype(np.float64)
            gram += columns @ columns.T
            count += columns.shape[1]
        if not count:
            return weights
        share = sum(block.size for block in chosen) / count
        for channel in range(channels):
            own = channel + channels * np.array([0, 1, 2, *([4] if inter else [])])
            columns = np.concatenate([own, SPATIAL * channels + np.flatnonzero(used[channel])])
            found = _fit_weights(gram, columns, SPATIAL * channels + channel, count, share)
            weights.spatial[channel] = found[:SPATIAL]
            if inter:
                weights.reference[channel] = found[SPATIAL]
            weights.earlier[channel, used[channel]] = found[len(own) :]
        return weights

    def _fit_scales(self, kind: Kind, weights: Weights) -> None:
        """Fill in what makes the magnitudes likely, by least squares reweighted by what is expected."""
        chosen = self._chosen(kind)
        every = max(1, sum(block.size for block in chosen) // MAX_SCALES_FITTED)
        terms, true = [], []
        for block in chosen:
            block = block.sample(every)
            here = block.take(self.magnitudes).astype(self.dtype)
            neighbors = Neighbors(block, self.integers, self.dtype)
            around, spread, *reference = known_scale_terms(block, neighbors, self.magnitudes)
            terms.append(np.stack([np.ones_like(here), around, spread, near_magnitudes(here), *reference], 1))
            true.append(here)
        usual = np.array([scale_of(USUAL_SCALES[0]), *USUAL_SCALES[1:]], np.float64)[: 1 + SCALE_TERMS - (not kind[1])]
        most = max_constant(self.largest)
        found = np.repeat(usual[None], len(self.integers), 0)
        if chosen:
            bounds = np.array([most, *[MAX_SCALE_WEIGHT] * (len(usual) - 1)])
            found = _fit_scales(np.concatenate(terms, 2), np.concatenate(true, 1), found, bounds)
        ladder = np.array([scale_of(step) for step in range(MAX_STEP) if scale_of(step) <= most], np.float64)
        weights.constants = ladder[np.abs(np.log(ladder / np.maximum(found[:, :1], 1))).argmin(1)]
        weights.scales[:, : len(usual) - 1] = np.rint(found[:, 1:])


def _fit_weights(gram: np.ndarray, columns: np.ndarray, target: int, count: int, share: float) -> np.ndarray:
    """Integer weights of some columns for a target column; 0 for those that save fewer bits than they take.

    Parameters
    ----------
    gram : (rows, rows)
        Sums of products over `count` places, of which there are `share` times as many.
    """
    products, whole = gram[columns, target], gram[target, target]
    variance = whole / count
    for _ in range(2):  # a ridge by the variance of what is left, which the first round overestimates
        square = gram[np.ix_(columns, columns)]
        ridge = (variance + 1) * (WEIGHT_UNIT / USUAL_WEIGHT) ** 2
        square[np.diag_indices_from(square)] += ridge
        inverse = np.linalg.inv(square)
        found = inverse @ products
        fitted = len(columns) - ridge * inverse.trace()  # as so many weights without a ridge
        variance = max(0.0, whole - found @ products) / max(count - fitted, 1)
    needed = WEIGHT_BITS * 2 * np.log(2) * (variance + 1) / share
    left = np.full(len(columns), True)
    while left.any():
        increase = np.where(left, found**2 / np.where(left, inverse.diagonal(), 1), np.inf)  # of squared residuals
        least = int(increase.argmin())
        if increase[least] > needed:
            break
        # The solution without that column, and the inverse.
        row = inverse[least] / inverse[least, least]
        found = found - row * found[least]
        inverse = inverse - np.outer(inverse[:, least], row)
        left[least] = False
        found[~left] = 0
    return np.rint(WEIGHT_UNIT * found).clip(-MAX_WEIGHT, MAX_WEIGHT)


def _fit_scales(terms: np.ndarray, true: np.ndarray, usual: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Weights (C, k) between 0 and bounds (k,) for terms (C, k, n) of magnitudes (C, n)."""
    terms, true = terms.astype(np.float64) / SCALE_UNIT, true.astype(np.float64)
    weights = usual
    prior = SCALE_PLACES * terms.mean(2) ** 2 + 1e-9
    for _ in range(4):
        expected = np.einsum("ck,ckn->cn", weights, terms) + 0.05
        columns = terms / expected[:, None]
        square = columns @ columns.transpose(0, 2, 1)
        ridge = prior / expected.mean(1)[:, None] ** 2
        square += ridge[:, :, None] * np.eye(len(bounds))
        target = (columns @ (true / expected)[:, :, None])[:, :, 0] + ridge * usual
        weights = weights.copy()
        for _ in range(30):  # one weight at a time, because each has bounds
            for k, bound in enumerate(bounds):
                rest = (square[:, k] * weights).sum(1) - square[:, k, k] * weights[:, k]
                weights[:, k] = ((target[:, k] - rest) / square[:, k, k]).clip(0, bound)
    return weights
