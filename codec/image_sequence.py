"""Several images of one size in one file: each coded as in a file of its own, what they share stored once."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

from . import container
from . import metadata as metadata_section
from .container import SEQUENCE, Header
from .errors import SdcArgumentError, SdcError, SdcFormatError, SdcLimitError
from .image import MAX_PIXELS, EncodedImage, assemble, checked_bytes
from .palette import PALETTE

LENGTH_BYTES = 3  # before each image of section A
MAX_PART = (1 << 8 * LENGTH_BYTES) - 1


def load_all(data: bytes, *, max_pixels: float = MAX_PIXELS) -> list[EncodedImage]:
    """Parse and check a whole `.sdc` file of any number of images.

    Parameters
    ----------
    data : bytes
    max_pixels : int or infinity
        As for `load`; of all images together.

    Returns
    -------
    list of EncodedImage
        In their order, all of one size. The `data` of each is a whole file of this image alone.

    Raises
    ------
    SdcError
        As for `load`. Where the file holds several, the message says which image is at fault.
    """
    data = checked_bytes(data)
    header, sections = container.parse(data, max_pixels)
    return list(_images(data, header, sections))


def load_first(data: bytes, *, max_pixels: float = MAX_PIXELS) -> EncodedImage:
    """Return the first image of a file, without looking into the others; `max_pixels` is of this image alone.

    Raises
    ------
    SdcError
        As for `load_all`.
    """
    data = checked_bytes(data)
    header, sections = container.parse(data, math.inf)  # which allocates nothing for them
    container.check_pixels(dataclasses.replace(header, images=1), max_pixels)
    return next(_images(data, header, sections))


def _images(data: bytes, header: Header, sections: Mapping[str, Any]) -> Iterator[EncodedImage]:
    """Give one image after the other of a file that `container.parse` has taken apart."""
    if header.images == 1:
        yield assemble(data, header, sections, metadata_section.from_sections)
        return
    parts, read_metadata = _parts(header, sections)
    for number, (coder, own) in enumerate(parts, 1):
        with _at_fault(number, header.images):
            own_header = dataclasses.replace(header, images=1, coder=coder)
            image = assemble(container.pack(own_header, own), own_header, own, read_metadata)
        yield image


def _parts(header: Header, sections: Mapping[str, Any]) -> tuple[list[tuple[int, dict[str, Any]]], "_MetadataReader"]:
    """Return (coder, sections) of each image of an image sequence, and what reads their metadata.

    Each becomes a file of its own; nothing of that is allocated before all of it is within bounds.
    """
    shared = {tag: payload for tag, payload in sections.items() if tag != SEQUENCE}
    parts = _split_sequence(sections[SEQUENCE], header.images, shared)
    num_bytes = sum(
        header.framing + sum(container.SECTION_FRAMING + len(payload) for payload in own.values()) for _, own in parts
    )
    if num_bytes > container.MAX_FILE_BYTES:
        raise SdcLimitError(
            f"the {header.images} images would take {num_bytes} bytes in files of their own; together they may take "
            f"{container.MAX_FILE_BYTES}"
        )
    return parts, _MetadataReader(shared)


def join_images(images: Iterable[EncodedImage]) -> bytes:
    """Return one file of several images; `load_all` gives each of them back byte for byte.

    Parameters
    ----------
    images : iterable of EncodedImage
        1 to 255, of one latent format, latent size, width and height. What neighbors have in common, a palette or
        metadata, is stored once. One image alone gives an ordinary file.

    Returns
    -------
    bytes

    Raises
    ------
    SdcArgumentError
        None or too many images, of different kinds or sizes, or more of them than fit into one file.
    """
    images = list(images)
    _check_alike(images)
    if len(images) == 1:
        return images[0].data
    parsed = [container.parse(image.data, math.inf) for image in images]
    optional = [[item for item in sections.items() if item[0].islower()] for _, sections in parsed]
    # Only what stands first in all of them: so the sections of each stay in their order.
    shared = [items[0] for items in takewhile(_equal, zip(*optional, strict=False))]
    payload, palette = bytearray(), None
    for header, sections in parsed:
        for tag, _ in shared:
            del sections[tag]
        if PALETTE in sections:
            same, palette = palette == sections[PALETTE], sections[PALETTE]
            sections[PALETTE] = memoryview(b"") if same else palette
        part = b"".join([bytes([header.coder]), *container.pack_sections(sections)])
        if len(part) > MAX_PART:
            raise SdcArgumentError(f"an image takes {len(part)} bytes; in a file of several it may take {MAX_PART}")
        payload += len(part).to_bytes(LENGTH_BYTES, "little") + part
    header = dataclasses.replace(parsed[0][0], images=len(images), coder=container.SEQUENCE_ID)
    data = container.pack(header, {SEQUENCE: payload, **dict(shared)})
    try:  # what is written must be readable: each image is, and here the bounds of all together are checked
        parts, read_metadata = _parts(*container.parse(data, math.inf))
        for number, (_, own) in enumerate(parts, 1):
            with _at_fault(number, len(images)):
                read_metadata(own)
    except SdcError as error:
        raise SdcArgumentError(f"the images do not fit into one file: {error}") from error
    return data


def _equal(items: tuple) -> bool:
    return all(item == items[0] for item in items)


def _check_alike(images: list[EncodedImage]) -> None:
    if not 1 <= len(images) <= container.MAX_IMAGES:
        raise SdcArgumentError(f"there are {len(images)} images; one file holds 1 to {container.MAX_IMAGES}")
    first = _kind(images[0])
    for number, image in enumerate(images, 1):
        if _kind(image) != first:
            raise SdcArgumentError(
                f"image {number} is {_kind(image)} and image 1 is {first}; one file holds images of one kind and size"
            )


def _kind(image: EncodedImage) -> str:
    frames = "" if image.frames is None else f", {image.frames} frames"
    return (
        f"{image.latent_format}, {image.width}x{image.height}, with a latent of "
        f"{image.latent_width}x{image.latent_height}, {image.channels} channels{frames}"
    )


def _split_sequence(payload: memoryview, count: int, shared: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Split section A; return (coder, sections) of each image, those of the whole file included, palettes found."""
    parts: list[tuple[int, dict[str, Any]]] = []
    position, palette = 0, None
    for number in range(1, count + 1):
        with _at_fault(number, count):
            start = position + LENGTH_BYTES
            end = start + int.from_bytes(payload[position:start], "little")
            if not start < end <= len(payload):
                raise SdcFormatError(
                    f"its part goes from byte {start} to {end} of section A, which has {len(payload)} bytes"
                )
            coder, sections = _split_part(payload[start:end], shared)
            if PALETTE in sections:
                palette = sections[PALETTE] or palette
                if palette is None:
                    raise SdcFormatError("its palette is that of an image before it, and none has one")
                sections[PALETTE] = palette
            parts.append((coder, sections))
            position = end
    if position < len(payload):
        raise SdcFormatError(f"section A has {len(payload) - position} bytes after the last of {count} images")
    return parts


def _split_part(part: memoryview, shared: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    coder = part[0]
    spans = container.section_spans(part, 1, len(part), _too_long)
    tags = [tag for tag, _, _ in spans]
    if coder == container.SEQUENCE_ID or ord(SEQUENCE) in tags:
        raise SdcFormatError("it is an image sequence itself, and an image sequence holds images alone")
    container.check_order(tags, coder, container.REQUIRED)
    own = {chr(tag): part[start:end] for tag, start, end in spans}
    twice = sorted(own.keys() & shared.keys())
    if twice:
        raise SdcFormatError(f"it has a section {twice[0]!r}, and so has the whole file")
    required = {tag: own.pop(tag) for tag in container.REQUIRED[coder]}
    return coder, {**required, **shared, **own}


def _too_long(part: memoryview, position: int, needed: int) -> SdcFormatError:
    return SdcFormatError(f"its section at byte {position} needs {needed} bytes, and its part has {len(part)}")


@contextmanager
def _at_fault(number: int, count: int) -> Iterator[None]:
    """Say of an error which image it is about."""
    try:
        yield
    except SdcError as error:
        raise type(error)(f"image {number} of {count}: {error}") from error


class _MetadataReader:
    """Metadata of one image after the other: those of the whole file are parsed once, and all have a bound in common.

    Images that share their metadata share the dict.
    """

    def __init__(self, shared: Mapping[str, Any]):
        self.left = metadata_section.MAX_BYTES
        self.shared = self._parse(shared)
        self.common = {tag for tag in (metadata_section.PLAIN, metadata_section.BY_DICTIONARY) if tag in shared}

    def __call__(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        counts = metadata_section.PLAIN if metadata_section.PLAIN in sections else metadata_section.BY_DICTIONARY
        return self.shared if counts in self.common else self._parse(sections)

    def _parse(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        text = metadata_section.inflate(sections, self.left)
        if text is None:
            return {}
        self.left -= len(text)
        return metadata_section.parse(text)
