"""The outer layer of a `.sdc` file: signature, header, sections and checksum. FORMAT.md is the specification."""

import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import registry
from .errors import SdcArgumentError, SdcChecksumError, SdcFormatError, SdcLimitError, SdcUnsupportedError
from .latent_formats import by_id

SIGNATURE = b"\x93SDC\r\n\x1a"
VERSION = 1
MAX_SECTION = (1 << 24) - 1
MAX_FILE_BYTES = 32 << 20
MAX_SECTIONS = 52  # as many as there are tags
MAX_IMAGES = 255
# Byte of an image sequence in the header, whose images have coders of their own; and the tag of its section.
SEQUENCE_ID, SEQUENCE = 3, "A"
FRAMES = "T"  # tag of the section that makes a latent 5-D; it belongs to the header and comes before all others
# Coder of an image, or of a file -> the sections that it requires, in their order.
REQUIRED = {coder_id: tuple(coder.sections) for coder_id, coder in registry.BY_ID.items()}
REQUIRED_OF_FILE = {**REQUIRED, SEQUENCE_ID: (SEQUENCE,)}
CODER_NAMES = {coder_id: coder.ids[coder_id] for coder_id, coder in registry.BY_ID.items()}
CODER_NAMES[SEQUENCE_ID] = "image sequence"

_HEADER = struct.Struct("<BBHHHHBB")
_HEADER_END = len(SIGNATURE) + 1 + _HEADER.size
_CHECKSUM = struct.Struct("<I")
FRAMING = _HEADER_END + _CHECKSUM.size  # bytes of a file without its sections
SECTION_FRAMING = 4  # bytes of a section without its payload
_FRAMES = struct.Struct("<H")
_SMALLEST = FRAMING + 8  # the header of two sections; one of coder 2 has more in it


@dataclass(frozen=True)
class Header:
    """The fixed header after signature and version, with fields in file order; then what section T says.

    Attributes
    ----------
    frames : int or None
        T of a latent (C, T, H, W); None of one that is (C, H, W).
    """

    latent_format: int
    channels: int
    latent_height: int
    latent_width: int
    width: int
    height: int
    images: int
    coder: int
    frames: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the latent, (C, H, W) or (C, T, H, W)."""
        frames = () if self.frames is None else (self.frames,)
        return self.channels, *frames, self.latent_height, self.latent_width

    @property
    def framing(self) -> int:
        """Bytes of a file without the sections that come after T."""
        return FRAMING + (0 if self.frames is None else SECTION_FRAMING + _FRAMES.size)


def pack(header: Header, sections: Mapping[str, Any]) -> bytes:
    """Return a whole file.

    Parameters
    ----------
    header : Header
    sections : mapping of str to bytes-like
        Payload by tag, in file order: those that the coder needs, then optional ones.

    Raises
    ------
    SdcArgumentError
        A payload above 16 777 215 bytes, or a file above 32 MiB.
    """
    if header.frames is not None:
        sections = {FRAMES: _FRAMES.pack(header.frames), **sections}
    channels, *others = list(vars(header).values())[1:-1]
    packed = _HEADER.pack(header.latent_format, channels & 0xFF, *others)
    parts = [SIGNATURE, bytes([VERSION]), packed, *pack_sections(sections)]
    num_bytes = sum(map(len, parts)) + _CHECKSUM.size
    if num_bytes > MAX_FILE_BYTES:
        raise SdcArgumentError(f"the file would take {num_bytes} bytes and the format allows {MAX_FILE_BYTES}")
    body = b"".join(parts)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def pack_sections(sections: Mapping[str, Any]) -> list[Any]:
    """Return sections, payload by tag, as the pieces of a file (bytes-like) that follow one another.

    Raises
    ------
    SdcArgumentError
        A payload above 16 777 215 bytes.
    """
    parts: list[Any] = []
    for tag, payload in sections.items():
        if len(payload) > MAX_SECTION:
            advice = "fewer or smaller images" if tag == SEQUENCE else "a coarser setting or a smaller latent"
            raise SdcArgumentError(
                f"section {tag!r} would take {len(payload)} bytes and the format allows {MAX_SECTION}; use {advice}"
            )
        parts += [tag.encode("ascii"), len(payload).to_bytes(3, "little"), payload]
    return parts


def parse(data: bytes, max_pixels: float) -> tuple[Header, dict[str, memoryview]]:
    """Take a whole file apart into a checked header and the payloads of its sections.

    Parameters
    ----------
    data : bytes
    max_pixels : int or infinity
        Most pixels that all images together, or their latents' full areas in pixels, may have.

    Returns
    -------
    (Header, dict of str to memoryview)
        All header fields are within bounds and consistent with each other; section contents but that of T, which is
        in the header and left out here, are not looked at, unknown optional sections are included.

    Raises
    ------
    SdcFormatError, SdcChecksumError, SdcUnsupportedError, SdcLimitError
        As FORMAT.md lists them, in its order.
    """
    view = memoryview(data)
    _check_start(data[:_HEADER_END], len(data))
    # Lengths come before the checksum, because a file cut short should be called that. Nothing else is believed
    # until the checksum has vouched for it.
    spans = section_spans(view, _HEADER_END, len(view) - _CHECKSUM.size, _cut_short)
    (stored,) = _CHECKSUM.unpack(view[-_CHECKSUM.size :])
    actual = zlib.crc32(view[: -_CHECKSUM.size])
    if stored != actual:
        raise SdcChecksumError(
            f"the checksum is {actual:08x} but the file says {stored:08x}: it was damaged after it was written, "
            "fetch it again from where it came"
        )
    latent_format, channels, *others = _HEADER.unpack(view[len(SIGNATURE) + 1 : _HEADER_END])
    frames = None
    if spans and spans[0][0] == ord(FRAMES):
        frames = int.from_bytes(view[spans[0][1] : spans[0][2]], "little") if spans[0][2] - spans[0][1] == 2 else 0
        del spans[0]
    if channels == 0 and by_id(latent_format).channels is None:
        channels = 256
    header = dataclasses.replace(Header(latent_format, channels, *others), frames=frames)
    _check_header(header, max_pixels)
    check_order([tag for tag, _, _ in spans], header.coder, REQUIRED_OF_FILE)
    if (header.coder == SEQUENCE_ID) != (header.images > 1):
        raise SdcFormatError(
            f"the header says {header.images} images by coder {header.coder}; coder {SEQUENCE_ID} is for 2 to "
            f"{MAX_IMAGES} images and every other one for 1"
        )
    return header, {chr(tag): view[start:end] for tag, start, end in spans}


def _check_start(data: bytes, length: int) -> None:
    start = data[: len(SIGNATURE)]
    if not SIGNATURE.startswith(start):
        if start[:4] == SIGNATURE[:4]:
            reason = "it was changed by a transfer in text mode; send it again as a binary file"
        elif start[:4] == b"\xd0\xcf\x11\xe0":
            reason = "it looks like a StarOffice Calc document, which has the same extension"
        else:
            reason = "another kind of file may have the same extension"
        raise SdcFormatError(f"not an SDC file: it starts with {start.hex(' ')}, not {SIGNATURE.hex(' ')}; {reason}")
    if len(data) > len(SIGNATURE) and data[len(SIGNATURE)] != VERSION:
        raise SdcUnsupportedError(
            f"the file has format version {data[len(SIGNATURE)]}; this reader knows version {VERSION} alone, update it"
        )
    if length < _SMALLEST:
        raise SdcFormatError(f"the file has {length} bytes; even the smallest has {_SMALLEST}, fetch it again")


def section_spans(
    data: memoryview, position: int, end: int, cut_short: Callable[[memoryview, int, int], Exception]
) -> list[tuple[int, int, int]]:
    """Walk the sections from `position` to `end` by their lengths.

    Parameters
    ----------
    data : memoryview
    position, end : int
    cut_short : callable
        Gives the error for a section beyond `end`, from (data, its position, the first byte that has to be there).

    Returns
    -------
    list of (tag byte, payload start, payload end)
    """
    spans: list[tuple[int, int, int]] = []
    while position < end:
        if len(spans) == MAX_SECTIONS:
            raise SdcFormatError(f"there are more than {MAX_SECTIONS} sections; there are no more tags than that")
        start = position + 4
        after = start + int.from_bytes(data[position + 1 : start], "little")
        if start > end or after > end:
            raise cut_short(data, position, max(start, after))
        spans.append((data[position], start, after))
        position = after
    return spans


def _cut_short(data: memoryview, position: int, needed: int) -> SdcFormatError:
    return SdcFormatError(
        f"the file is incomplete ({len(data)} of at least {needed + _CHECKSUM.size} bytes). Download or copy it again"
    )


def _check_header(header: Header, max_pixels: float) -> None:
    latent_format = by_id(header.latent_format)
    if header.images == 0:
        raise SdcFormatError("the header says that the file holds no image")
    if not latent_format.takes(header.channels):
        raise SdcFormatError(
            f"the header says {header.channels} channels; {latent_format.name} has {latent_format.channels}"
        )
    if header.frames == 0:
        raise SdcFormatError("section T does not say in 2 bytes how many frames the latent has, which is 1 or more")
    if not all((header.latent_height, header.latent_width, header.width, header.height)):
        raise SdcFormatError(
            f"the header has an empty size: latent {header.latent_width} x {header.latent_height}, "
            f"image {header.width} x {header.height}"
        )
    check_pixels(header, max_pixels)


def check_pixels(header: Header, max_pixels: float) -> None:
    """Refuse images that have more pixels together, or latents of larger areas, than the caller allows.

    Each frame counts, and so do two pixels for each element of a latent: only those of an unknown format have more.
    """
    places, factor = header.latent_height * header.latent_width, by_id(header.latent_format).spatial_factor
    frame = max(places * max(factor**2, 2 * header.channels), header.width * header.height)
    pixels = header.images * (header.frames or 1) * frame
    if pixels > max_pixels:
        found = "image has" if header.images == 1 else f"{header.images} images have"
        raise SdcLimitError(
            f"the {found} {pixels} pixels and {max_pixels} are allowed; raise max_pixels if you trust the file"
        )


def check_order(tags: Iterable[int], coder: int, known: Mapping[int, tuple[str, ...]]) -> None:
    """Check the tags (bytes, in order) of a coder's sections behind T; `known` is REQUIRED, or those of a file."""
    tags = list(tags)
    for position, tag in enumerate(tags):
        if not bytes([tag]).isalpha():
            raise SdcFormatError(f"section {position} has the tag byte {tag:#04x}; tags are ASCII letters")
    names = [chr(tag) for tag in tags]
    needed = [name for name in names if name.isupper()]
    sections = sorted({FRAMES, *(name for required in known.values() for name in required)})
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
        raise SdcFormatError(
            f"the sections are {''.join(names)!r}; they must be {', '.join(required)}, then optional ones, each at "
            "most once"
        )
