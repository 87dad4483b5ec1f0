"""Lossless coders for the palette indices of one picture, in raster order."""

import numpy as np

from . import zstd_frame
from .errors import SdcCorruptError, SdcUnsupportedError

FIXED, ZSTD = 0, 1
CODER_NAMES = {FIXED: "fixed", ZSTD: "zstd"}


def encode(indices, entries):
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


def decode(coder, payload, count, entries):
    """Return the `count` indices in a payload of section I as a uint16 array.

    Raises
    ------
    SdcUnsupportedError
        Unknown coder.
    SdcCorruptError
        A payload of the wrong length or content, or an index without palette entry.
    """
    if coder == FIXED:
        indices = _unpack(payload, count, index_bits(entries))
    elif coder == ZSTD:
        indices = _from_planes(payload, count, entries)
    else:
        raise SdcUnsupportedError(f"the indices use coder {coder}; this version knows 0 (fixed) and 1 (zstd)")
    highest = int(indices.max())
    if highest >= entries:
        raise SdcCorruptError(f"an index is {highest} but the palette has only {entries} entries")
    return indices


def index_bits(entries):
    """Return how many bits tell `entries` palette entries apart."""
    return (entries - 1).bit_length()


def _pack(indices, bits):
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint16)
    digits = (indices[:, None].astype(np.uint16) >> shifts) & 1
    return np.packbits(digits.astype(np.uint8).ravel()).tobytes()


def _unpack(payload, count, bits):
    expected = (count * bits + 7) // 8
    if len(payload) != expected:
        raise SdcCorruptError(f"the indices take {len(payload)} bytes; {count} of {bits} bits take {expected}")
    digits = np.unpackbits(np.frombuffer(payload, np.uint8))
    if digits[count * bits :].any():
        raise SdcCorruptError("the padding after the last index must be zero bits")
    indices = np.zeros(count, np.uint16)
    for digit in digits[: count * bits].reshape(count, bits).T:
        indices = indices << 1 | digit
    return indices


def _to_planes(indices, entries):
    low = (indices & 0xFF).astype(np.uint8).tobytes()
    if entries <= 256:
        return low
    return low + (indices >> 8).astype(np.uint8).tobytes()


def _from_planes(payload, count, entries):
    planes = 1 if entries <= 256 else 2
    content = zstd_frame.decompress(payload, planes * count, "indices")
    if len(content) != planes * count:
        raise SdcCorruptError(f"the indices inflate to {len(content)} bytes; the header asks for {planes * count}")
    bytes_by_plane = np.frombuffer(content, np.uint8).reshape(planes, count).astype(np.uint16)
    return bytes_by_plane[0] if planes == 1 else bytes_by_plane[0] | bytes_by_plane[1] << 8
