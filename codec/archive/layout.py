"""What encoder and decoder of the archive coder share about the payload."""

import struct
from typing import Any

import numpy as np

from ..errors import SdcFormatError
from .blocks import BETWEEN_FOUR, BETWEEN_TWO
from .entropy import COUNT_BYTES, MAX_INTEGER_BYTES, num_lanes, place_on_ladder, scale_of
from .prediction import MAX_SCALE_WEIGHT, MAX_WEIGHT, SCALE_TERMS, SPATIAL, Weights, earlier_channels, max_constant

HEAD = struct.Struct("<fBI")  # step, fold, largest integer
MAX_INTEGER = 1 << 20  # of the quantized latent, and of a residual the double
# Steps of the ladder by which the fitted numbers are coded: the steps of others, means, and of weights by themselves.
LADDER_STEP, MEAN_STEP = 24, 40
MAX_STEP = 127  # that another number is coded by, or the coarse grid
# A step of the ladder and weights of scales, by which those of the first channel are coded.
USUAL_SCALES = 12, 20, 6, 3, 3

Shape = tuple[int, int, int, int]  # C, T, H, W
Kind = tuple[int, bool]  # of a block, and whether it has references


def kinds(frames: int) -> list[Kind]:
    """Return the kinds of blocks that have weights, in their order."""
    return [(kind, inter) for inter in (False, True)[: min(frames, 2)] for kind in (BETWEEN_FOUR, BETWEEN_TWO)]


def max_payload_bytes(shape: Shape) -> int:
    """Return the most bytes of a payload: no encoder writes a longer one."""
    channels, frames = shape[:2]
    fitted = 5 * channels + len(kinds(frames)) * (len(weights_mask(channels, True)) + 4)
    elements = channels * frames * shape[2] * shape[3]
    lanes = num_lanes(elements)
    return HEAD.size + COUNT_BYTES + 4 * lanes + MAX_INTEGER_BYTES * (elements + fitted)


def weights_mask(channels: int, inter: bool) -> np.ndarray:
    """Return which of the four groups each weight of a kind of block belongs to, (n,)."""
    predicting = [channels * SPATIAL, int(earlier_channels(channels).sum()), channels if inter else 0]
    return np.concatenate([np.repeat([0, 1, 3], predicting), np.full(channels * _columns(inter), 2)])


def _columns(inter: bool) -> int:
    """How many numbers a channel has for its scales."""
    return 1 + SCALE_TERMS - (not inter)


def weights_to_vector(weights: Weights, inter: bool) -> np.ndarray:
    """Return all weights of one kind of block, (n,) int32."""
    earlier = weights.earlier[earlier_channels(len(weights.earlier))]
    scales = np.column_stack([place_on_ladder(weights.constants), weights.scales])[:, : _columns(inter)]
    # Those of scales are alike in most channels.
    differences = np.diff(scales, axis=0, prepend=[USUAL_SCALES[: _columns(inter)]])
    parts = weights.spatial.ravel(), earlier, weights.reference if inter else np.zeros(0), differences.ravel()
    return np.concatenate(parts).astype(np.int32)


def weights_from_vector(vector: np.ndarray, channels: int, inter: bool, largest: int, dtype: Any) -> Weights:
    """Return the weights of such a vector, or raise SdcFormatError where one is out of bounds."""
    used, columns = earlier_channels(channels), _columns(inter)
    sizes = [channels * SPATIAL, int(used.sum()), channels if inter else 0]
    predicting, differences = np.split(vector.astype(np.int64), [sum(sizes)])
    scaling = np.cumsum(differences.reshape(channels, columns), 0) + USUAL_SCALES[:columns]
    if np.abs(predicting).max() > MAX_WEIGHT or scaling.min() < 0 or scaling.max() > MAX_SCALE_WEIGHT:
        raise SdcFormatError("section N has weights out of bounds")
    constants = np.array([scale_of(int(step)) for step in scaling[:, 0]], np.float64)
    if constants.max() > max_constant(largest):
        raise SdcFormatError("section N has a scale out of bounds")
    spatial, earlier, reference = np.split(predicting.astype(dtype), np.cumsum(sizes)[:2])
    full = np.zeros((channels, channels), dtype)
    full[used] = earlier
    scales = np.zeros((channels, SCALE_TERMS), dtype)
    scales[:, : columns - 1] = scaling[:, 1:]
    reference = reference if inter else np.zeros(channels, dtype)
    return Weights(spatial.reshape(channels, SPATIAL), full, reference, constants.astype(dtype), scales)


def steps_for(values: np.ndarray) -> int:
    """Return the step of the ladder for values whose mean magnitude this is, in the encoder."""
    wanted = 1024 * np.abs(values).mean() if values.size else 0
    return next((step for step in range(MAX_STEP) if scale_of(step + 1) > wanted), MAX_STEP)


def unfold(values: np.ndarray, fold: int) -> np.ndarray:
    """Return (C f f, T, H, W) values as (C, T, H f, W f).

    Channel (c f + y) f + x is row y, column x of each square of c. ComfyUI's FLUX.2 latents are folded so, by 2.
    """
    channels, frames, height, width = values.shape
    parts = values.reshape(channels // fold**2, fold, fold, frames, height, width)
    return np.ascontiguousarray(parts.transpose(0, 3, 4, 1, 5, 2)).reshape(
        channels // fold**2, frames, height * fold, width * fold
    )


def fold_up(values: np.ndarray, fold: int) -> np.ndarray:
    """Return the inverse of `unfold`."""
    channels, frames, height, width = values.shape
    parts = values.reshape(channels, frames, height // fold, fold, width // fold, fold)
    return np.ascontiguousarray(parts.transpose(0, 3, 5, 1, 2, 4)).reshape(
        channels * fold**2, frames, height // fold, width // fold
    )
