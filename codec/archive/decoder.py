"""From the payload of the archive coder to the latent."""

import math
from typing import Any

import numpy as np

from ..blas import check_products
from ..errors import SdcFormatError
from ..interruption import poll
from .blocks import COARSE, Block, blocks
from .entropy import Reader, num_lanes, place_on_ladder
from .layout import (
    HEAD,
    LADDER_STEP,
    MAX_INTEGER,
    MAX_STEP,
    MEAN_STEP,
    Shape,
    fold_up,
    kinds,
    max_payload_bytes,
    weights_from_vector,
    weights_mask,
)
from .prediction import (
    MAX_EARLIER,
    MAX_WEIGHT,
    SCALE_CHANNELS,
    Neighbors,
    Weights,
    exact_dtype,
    known_scales,
    round_prediction,
)


def read_head(payload: bytes, shape: Shape) -> tuple[np.float32, int, int]:
    """Return step, fold and largest integer; raise SdcFormatError where they cannot be those of this shape."""
    if len(payload) < HEAD.size:
        raise SdcFormatError(f"section N has {len(payload)} bytes; its head takes {HEAD.size}")
    step, fold, largest = HEAD.unpack_from(payload)
    numbers = step > 0 and step * largest <= float(np.finfo(np.float32).max) and largest <= MAX_INTEGER  # False for NaN
    if not numbers or fold not in (1, 2) or shape[0] % fold**2:
        raise SdcFormatError(
            f"section N has a step of {step}, a fold of {fold} and integers up to {largest}, which a latent {shape} "
            "cannot have"
        )
    if len(payload) > max_payload_bytes(shape):
        raise SdcFormatError(
            f"section N has {len(payload)} bytes; no encoder writes more than {max_payload_bytes(shape)} for a latent "
            f"{shape}"
        )
    return np.float32(step), fold, largest


def decode_payload(payload: bytes, shape: Shape) -> np.ndarray:
    """Return the latent (C, T, H, W) float32.

    Raises
    ------
    SdcFormatError
        The payload is damaged.
    SdcUnsupportedError
        This machine would decode it wrongly.
    """
    check_products()
    step, fold, largest = read_head(payload, shape)
    channels, frames = shape[0] // fold**2, shape[1]
    reader = Reader(payload[HEAD.size :], num_lanes(math.prod(shape)))
    integers = np.zeros((channels, frames, shape[2] * fold, shape[3] * fold), np.float32)
    _Decoding(integers, largest, reader).decode()
    reader.finish()
    integers *= step
    return fold_up(integers, fold)


class _Decoding:
    """One latent on its way; fills in `integers`, (C, T, H, W) float32."""

    def __init__(self, integers: np.ndarray, largest: int, reader: Reader):
        self.integers, self.largest, self.reader = integers, largest, reader
        self.magnitudes = np.zeros_like(integers)
        self.dtype: Any = exact_dtype(len(integers), largest)
        channels = len(integers)
        self.means = reader.take(np.full(channels, MEAN_STEP, np.int32)).astype(self.dtype)
        if np.abs(self.means).max() > largest:
            raise SdcFormatError("section N has a mean out of bounds")
        self.coarse_steps = [self._ladder_steps(channels)]
        if integers.shape[1] > 1:
            self.trust = reader.take(np.full(channels, LADDER_STEP, np.int32)).astype(self.dtype)
            if np.abs(self.trust).max() > MAX_WEIGHT:
                raise SdcFormatError("section N has weights out of bounds")
            self.coarse_steps.append(self._ladder_steps(channels))
        self.weights = {}
        for kind in kinds(integers.shape[1]):
            steps, groups = self._ladder_steps(4), weights_mask(channels, kind[1])
            self.weights[kind] = weights_from_vector(reader.take(steps[groups]), channels, kind[1], largest, self.dtype)

    def _ladder_steps(self, count: int) -> np.ndarray:
        steps = self.reader.take(np.full(count, LADDER_STEP, np.int32))
        if steps.min() < 0 or steps.max() > MAX_STEP:
            raise SdcFormatError("section N has a scale out of bounds")
        return steps

    def decode(self) -> None:
        done = 0
        for block in blocks(*self.integers.shape):
            poll(done / self.integers.size)
            done += len(self.integers) * block.size
            if block.kind == COARSE:
                values, magnitudes = self._decode_coarse(block)
            else:
                values, magnitudes = self._decode_block(block, self.weights[block.kind, block.references is not None])
            block.put(self.integers, values)
            block.put(self.magnitudes, magnitudes)

    def _decode_coarse(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Return values and magnitudes of the residuals, (C, n)."""
        prediction = np.repeat(self.means[:, None], block.size, 1)
        if block.references:
            before, after = (part.take(self.integers).astype(self.dtype) for part in block.of_references())
            around = before + after - 2 * self.means[:, None]
            prediction = round_prediction(256 * self.means[:, None] + 2 * self.trust[:, None] * around, self.largest)
        steps = self.coarse_steps[block.references is not None]
        residuals = [self.reader.take(np.full(block.size, step, np.int32)).astype(self.dtype) for step in steps]
        values = prediction + residuals
        self._check(values)
        return values, np.abs(residuals)

    def _decode_block(self, block: Block, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
        """The same: channel after channel, since each is predicted from those before."""
        neighbors = Neighbors(block, self.integers, self.dtype)
        prediction = neighbors.known_prediction(weights)
        scales = known_scales(block, neighbors, self.magnitudes, weights)
        values, magnitudes, deviations = (np.empty_like(prediction) for _ in range(3))
        near = np.zeros_like(prediction[0])
        for channel in range(len(values)):
            earlier = slice(max(0, channel - MAX_EARLIER), channel)
            scale, scaled = scales[channel], prediction[channel]
            if channel:
                scale += 4 * weights.scales[channel, 2] * near
                scaled += weights.earlier[channel, earlier] @ deviations[earlier]
            residuals = self.reader.take(place_on_ladder(scale)).astype(self.dtype)
            values[channel] = residuals
            values[channel] += round_prediction(scaled, self.largest)
            self._check(values[channel])
            magnitudes[channel] = np.abs(residuals)
            near += magnitudes[channel]
            if channel >= SCALE_CHANNELS:
                near -= magnitudes[channel - SCALE_CHANNELS]
            deviations[channel] = 4 * values[channel] - neighbors.sums[channel]
        return values, magnitudes

    def _check(self, values: np.ndarray) -> None:
        if values.max() > self.largest or values.min() < -self.largest:
            raise SdcFormatError("section N has an integer out of bounds")
