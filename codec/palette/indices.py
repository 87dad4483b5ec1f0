"""Lossless coders for the palette indices of one image, in raster order."""

from typing import Any

import numpy as np

from .. import zstd_frame
from ..errors import SdcFormatError

FIXED, ZSTD = 0, 1
NAMES = {FIXED: "fixed", ZSTD: "zstd"}
# Indices unpacked at once: a multiple of 8, so that every block starts with a byte.
BLOCK = 1 << 16


def code_indices(indices: np.ndarray, entries: int) -> tuple[int, bytes]:
    """Code `indices` with every coder and keep the shortest result, the fixed-length one when equal.

    Parameters
    ----------
    indices : (N,) unsigned integer array, all below `entries`
    entries : int
        Number of palette entries.

    Returns
    -------
    (int, bytes)
        Coder identifier and payload of section I.
    """
    fixed = _pack(indices, index_bits(entries))
    compressed = zstd_frame.compress(_to_planes(indices, entries))
    return (ZSTD, compressed) if len(compressed) < len(fixed) else (FIXED, fixed)


def decode_indices(coder: int, payload: Any, count: int, entries: int) -> np.ndarray:
    """Return the indices in a payload (bytes-like) of section I, by coder FIXED or ZSTD, as a (count,) uint16 array.

    Raises
    ------
    SdcFormatError
        A payload of the wrong length or content, or an index without palette entry.
    """
    if coder == FIXED:
        indices = _unpack(payload, count, index_bits(entries))
    else:
        indices = _from_planes(payload, count, entries)
    highest = int(indices.max())
    if highest >= entries:
        raise SdcFormatError(
            f"an index is {highest} but the palette has {entries} entries; the highest may be {entries - 1}"
        )
    return indices


def index_bits(entries: int) -> int:
    """Return how many bits tell `entries` palette entries apart."""
    return (entries - 1).bit_length()


def _pack(indices: np.ndarray, bits: int) -> bytes:
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    digits = (indices[:, None].astype(np.uint16) >> shifts) & 1
    return np.packbits(digits.astype(np.uint8).ravel()).tobytes()


def _unpack(payload: Any, count: int, bits: int) -> np.ndarray:
    expected = (count * bits + 7) // 8
    if len(payload) != expected:
        raise SdcFormatError(f"the indices take {len(payload)} bytes; {count} of {bits} bits take {expected}")
    packed = np.frombuffer(payload, np.uint8)
    unused = 8 * expected - count * bits
    if unused and packed[-1] & (1 << unused) - 1:
        raise SdcFormatError(f"the {unused} bits after the last index must be 0; the last byte is {packed[-1]:#04x}")
    indices = np.zeros(count, np.uint16)
    # Bits as bytes take eight times their room, so only some are so at a time.
    for start in range(0, count, BLOCK):
        block = indices[start : start + BLOCK]
        digits = np.unpackbits(packed[start * bits // 8 :][: (len(block) * bits + 7) // 8])
        for digit in digits[: len(block) * bits].reshape(len(block), bits).T:
            np.left_shift(block, 1, out=block)
            np.bitwise_or(block, digit, out=block)
    return indices


def _to_planes(indices: np.ndarray, entries: int) -> bytes:
    low = (indices & 0xFF).astype(np.uint8).tobytes()
    if entries <= 256:
        return low
    return low + (indices >> 8).astype(np.uint8).tobytes()


def _from_planes(payload: Any, count: int, entries: int) -> np.ndarray:
    planes = 1 if entries <= 256 else 2
    content = zstd_frame.decompress(payload, planes * count, "indices")
    if len(content) != planes * count:
        raise SdcFormatError(f"the indices inflate to {len(content)} bytes; the header asks for {planes * count}")
    *high, low = np.frombuffer(content, np.uint8).reshape(planes, count)[::-1]
    indices = low.astype(np.uint16)
    for plane in high:
        indices |= plane.astype(np.uint16) << 8
    return indices
