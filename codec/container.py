"""The outer layer of a `.sdc` file: signature, header, sections and checksum. FORMAT.md is the specification."""

import struct
import zlib
from dataclasses import dataclass

from .errors import (
    SdcArgumentError,
    SdcChecksumError,
    SdcHeaderError,
    SdcLimitError,
    SdcSectionError,
    SdcSignatureError,
    SdcTruncatedError,
    SdcUnsupportedError,
)
from .latent_formats import by_id

SIGNATURE = b"\x93SDC\r\n\x1a"
VERSION = 1
MAX_SECTION = (1 << 24) - 1
MAX_FILE_BYTES = 32 << 20
MAX_SECTIONS = 52  # as many as there are tags
MAX_IMAGES = 255
PALETTE, INDICES, LEARNED, SEQUENCE = "P", "I", "L", "A"
# Coder of the header -> the sections that it needs, in their order.
REQUIRED = {0: (PALETTE, INDICES), 1: (PALETTE, INDICES), 2: (LEARNED,)}
SEVERAL = 3  # coder of a file of many images, of which each has its own
REQUIRED_OF_FILE = {**REQUIRED, SEVERAL: (SEQUENCE,)}
CODER_NAMES = {0: "fixed", 1: "zstd", 2: "learned", SEVERAL: "several"}

_HEADER = struct.Struct("<BBHHHHBB")
_HEADER_END = len(SIGNATURE) + 1 + _HEADER.size
_CHECKSUM = struct.Struct("<I")
FRAMING = _HEADER_END + _CHECKSUM.size  # bytes of a file beside its sections
_SMALLEST = FRAMING + 8  # the header of two sections; one of coder 2 has more in it


@dataclass(frozen=True)
class Header:
    """The fixed header after signature and version; fields in file order."""

    latent_format: int
    channels: int
    latent_height: int
    latent_width: int
    width: int
    height: int
    images: int
    coder: int


def join(header, sections):
    """Return a whole file as bytes.

    Parameters
    ----------
    header : Header
    sections : dict of str to bytes
        Payload by tag, in file order: those that the coder needs, then optional ones.

    Raises
    ------
    SdcArgumentError
        A payload above 16 777 215 bytes, or a file above 32 MiB.
    """
    parts = [SIGNATURE, bytes([VERSION]), _HEADER.pack(*vars(header).values()), *spell(sections)]
    size = sum(map(len, parts)) + _CHECKSUM.size
    if size > MAX_FILE_BYTES:
        raise SdcArgumentError(f"the file would take {size} bytes and the format allows {MAX_FILE_BYTES}")
    body = b"".join(parts)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def spell(sections):
    """Return sections, a dict of tag to payload, as the pieces of a file that they are, in a list."""
    parts = []
    for tag, payload in sections.items():
        if len(payload) > MAX_SECTION:
            advice = "fewer or smaller images" if tag == SEQUENCE else "fewer colors or a smaller latent"
            raise SdcArgumentError(
                f"section {tag!r} would take {len(payload)} bytes and the format allows {MAX_SECTION}; use {advice}"
            )
        parts += [tag.encode("ascii"), len(payload).to_bytes(3, "little"), payload]
    return parts


def split(data, max_pixels):
    """Split a whole file into a checked header and its section payloads.

    Parameters
    ----------
    data : bytes
    max_pixels : int
        Most pixels that all images together, or their latents' full areas in pixels, may have.

    Returns
    -------
    (Header, dict of str to memoryview)
        All header fields are within bounds and consistent with each other; section contents are not looked at,
        unknown optional sections are included.
    """
    data = memoryview(data)
    _check_start(bytes(data[:_HEADER_END]), len(data))
    # Lengths come before the checksum, because a file cut short should be called that. Nothing else is believed
    # until the checksum has vouched for it.
    spans = section_spans(data, _HEADER_END, len(data) - _CHECKSUM.size, _cut_short)
    (stored,) = _CHECKSUM.unpack(data[-_CHECKSUM.size :])
    actual = zlib.crc32(data[: -_CHECKSUM.size])
    if stored != actual:
        raise SdcChecksumError(
            f"the checksum is {actual:08x} but the file says {stored:08x}: it was damaged after it was written, "
            "fetch it again from where it came"
        )
    header = Header(*_HEADER.unpack(data[len(SIGNATURE) + 1 : _HEADER_END]))
    _check_header(header, max_pixels)
    check_order([tag for tag, _, _ in spans], header.coder, REQUIRED_OF_FILE)
    if (header.coder == SEVERAL) != (header.images > 1):
        raise SdcHeaderError(
            f"the header says {header.images} images by coder {header.coder}; coder {SEVERAL} is for 2 to "
            f"{MAX_IMAGES} images and every other one for 1"
        )
    return header, {chr(tag): data[start:end] for tag, start, end in spans}


def _check_start(data, length):
    start = data[: len(SIGNATURE)]
    if not SIGNATURE.startswith(start):
        if start[:4] == SIGNATURE[:4]:
            reason = "it was changed by a transfer in text mode; send it again as a binary file"
        elif start[:4] == b"\xd0\xcf\x11\xe0":
            reason = "it looks like a StarOffice Calc document, which has the same extension"
        else:
            reason = "another kind of file may have the same extension"
        raise SdcSignatureError(f"not an SDC file: it starts with {start.hex(' ')}, not {SIGNATURE.hex(' ')}; {reason}")
    if len(data) > len(SIGNATURE) and data[len(SIGNATURE)] != VERSION:
        raise SdcUnsupportedError(
            f"the file has format version {data[len(SIGNATURE)]}; this reader knows version {VERSION} alone, update it"
        )
    if length < _SMALLEST:
        raise SdcTruncatedError(f"the file has {length} bytes; even the smallest has {_SMALLEST}, fetch it again")


def section_spans(data, position, end, short):
    """Walk the sections from `position` to `end` by their lengths.

    Parameters
    ----------
    data : memoryview
    position, end : int
    short : callable
        Gives the error for a section beyond `end`, from (data, its position, the first byte that has to be there).

    Returns
    -------
    list of (tag byte, payload start, payload end)
    """
    spans: list[tuple[int, int, int]] = []
    while position < end:
        if len(spans) == MAX_SECTIONS:
            raise SdcSectionError(f"there are more than {MAX_SECTIONS} sections; there are no more tags than that")
        start = position + 4
        after = start + int.from_bytes(data[position + 1 : start], "little")
        if start > end or after > end:
            raise short(data, position, max(start, after))
        spans.append((data[position], start, after))
        position = after
    return spans


def _cut_short(data, position, needed):
    return SdcTruncatedError(
        f"the file has {len(data)} bytes but its section at byte {position} and the checksum need at least "
        f"{needed + _CHECKSUM.size}: it was cut short, fetch it again"
    )


def _check_header(header, max_pixels):
    latent_format = by_id(header.latent_format)
    if header.images == 0:
        raise SdcHeaderError("the header says that the file holds no image")
    if header.channels != latent_format.channels:
        raise SdcHeaderError(
            f"the header says {header.channels} channels; {latent_format.name} has {latent_format.channels}"
        )
    if not all((header.latent_height, header.latent_width, header.width, header.height)):
        raise SdcHeaderError(
            f"the header has an empty size: latent {header.latent_width} x {header.latent_height}, "
            f"image {header.width} x {header.height}"
        )
    check_pixels(header, max_pixels)


def check_pixels(header, max_pixels):
    """Refuse images that have more pixels together, or latents of larger areas, than the caller allows."""
    latent_area = header.latent_height * header.latent_width * by_id(header.latent_format).spatial_factor ** 2
    pixels = header.images * max(latent_area, header.width * header.height)
    if pixels > max_pixels:
        found = "image has" if header.images == 1 else f"{header.images} images have"
        raise SdcLimitError(
            f"the {found} {pixels} pixels and {max_pixels} are allowed; raise max_pixels if you trust the file"
        )


def check_order(tags, coder, known):
    """Check the tags (bytes, in their order) of a coder's sections; `known` is REQUIRED, or REQUIRED_OF_FILE."""
    for position, tag in enumerate(tags):
        if not bytes([tag]).isalpha():
            raise SdcSectionError(f"section {position} has the tag byte {tag:#04x}; tags are ASCII letters")
    names = [chr(tag) for tag in tags]
    needed = [name for name in names if name.isupper()]
    sections = sorted({name for required in known.values() for name in required})
    unknown = sorted(set(needed) - set(sections))
    if unknown:
        raise SdcUnsupportedError(
            f"the file cannot be read without section {unknown[0]!r}, which came after this reader; it knows "
            f"{', '.join(sections[:-1])} and {sections[-1]}, update it"
        )
    if coder not in known:
        coders = [f"{number} ({name})" for number, name in CODER_NAMES.items() if number in known]
        raise SdcUnsupportedError(
            f"the file uses coder {coder}, which came after this reader; it knows {', '.join(coders[:-1])} and "
            f"{coders[-1]}, update it"
        )
    required = known[coder]
    if tuple(names[: len(required)]) != required or len(set(names)) != len(names) or len(needed) != len(required):
        raise SdcSectionError(
            f"the sections are {''.join(names)!r}; they must be {', '.join(required)}, then optional ones, each at "
            "most once"
        )
