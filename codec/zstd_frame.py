"""One Zstandard frame (RFC 8878), written small and read with every cost bounded in advance."""

import functools
from typing import Any

import zstandard

from .errors import SdcFormatError

MAGIC = b"\x28\xb5\x2f\xfd"
# RFC 8878 asks every decoder to support at least this much, so no conforming decoder is shut out.
MAX_WINDOW = 1 << 23
LEVEL = 19


def compress(data: bytes, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """Return `data` (bytes) as one frame without content size, checksum or name of a dictionary."""
    params = zstandard.ZstdCompressionParameters.from_level(
        LEVEL,
        source_size=len(data),
        dict_size=0 if dictionary is None else len(dictionary),
        window_log=min(max(10, len(data).bit_length()), MAX_WINDOW.bit_length() - 1),
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    if dictionary is not None:
        # What decides the tables of a dictionary: files of much the same size share them.
        shape = params.window_log, params.hash_log, params.chain_log, params.search_log, params.min_match
        dictionary = _with_tables(dictionary, (*shape, params.target_length, params.strategy))
    return zstandard.ZstdCompressor(compression_params=params, dict_data=dictionary).compress(data)


@functools.lru_cache(maxsize=2)  # some 17 MB each
def _with_tables(dictionary: zstandard.ZstdCompressionDict, shape: tuple[int, ...]) -> zstandard.ZstdCompressionDict:
    """The dictionary with the tables that a compressor looks matches up in: they take it twenty times as long to make
    as to use, and are the same for every file."""
    names = "window_log", "hash_log", "chain_log", "search_log", "min_match", "target_length", "strategy"
    params = zstandard.ZstdCompressionParameters(**dict(zip(names, shape, strict=True)))
    prepared = zstandard.ZstdCompressionDict(dictionary.as_bytes(), dict_type=zstandard.DICT_TYPE_FULLDICT)
    prepared.precompute_compress(compression_params=params)
    return prepared


def decompress(frame: Any, max_size: int, what: str, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    """Inflate exactly one frame that fills `frame` from its first byte to its last.

    Parameters
    ----------
    frame : bytes-like
    max_size : int
        Most bytes the content may have; nothing larger is ever allocated.
    what : str
        Name of the content, for messages.
    dictionary : zstandard.ZstdCompressionDict, optional
        What it was compressed with. The frame itself names none.

    Raises
    ------
    SdcFormatError
        Not one whole frame, a window above 8 MiB, a dictionary by name, or content above `max_size`.
    """
    if frame[:4] != MAGIC:
        raise SdcFormatError(f"the {what} should be a zstd frame but start with {frame[:4].hex(' ') or 'nothing'}")
    try:
        parameters = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError as reason:
        raise SdcFormatError(f"the {what} have a damaged zstd frame header ({reason})") from None
    if parameters.dict_id:
        raise SdcFormatError(f"the {what} ask for zstd dictionary {parameters.dict_id}; version 1 names none")
    # A frame that declares its size may use one segment, whose window is that size: look at the size first.
    # It is also what the library would allocate, whatever max_output_size says.
    declared = parameters.content_size
    if declared != zstandard.CONTENTSIZE_UNKNOWN and declared > max_size:
        raise SdcFormatError(f"the {what} declare {declared} bytes; at most {max_size} may be here")
    if parameters.window_size > MAX_WINDOW:
        raise SdcFormatError(f"the {what} need a zstd window of {parameters.window_size} bytes; 8 MiB is the most")
    try:
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=MAX_WINDOW)
        content = decompressor.decompress(frame, max_output_size=max_size, allow_extra_data=False)
        if declared == zstandard.CONTENTSIZE_UNKNOWN and 0 < len(content) < max_size:
            # zstandard 0.25 looks for bytes after such a frame only where the content fills all the room it may have.
            decompressor.decompress(frame, max_output_size=len(content), allow_extra_data=False)
        return content
    except zstandard.ZstdError as reason:
        raise SdcFormatError(f"the {what} are not one zstd frame of at most {max_size} bytes ({reason})") from None
