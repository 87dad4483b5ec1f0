"""Reading: from the bytes of a `.sdc` file to an `EncodedPicture`, and from that to a latent."""

import math
from dataclasses import dataclass, field

import numpy as np

from . import container, indices, palette
from . import metadata as metadata_section
from .errors import SdcArgumentError, SdcLimitError
from .latent_formats import by_id

MAX_PIXELS = 16384**2
BLOCK = 1 << 16  # latent pixels decoded at once


@dataclass(frozen=True)
class EncodedPicture:
    """One encoded picture: a whole, checked `.sdc` file and what its header says.

    Made by `encode`, `read` and `with_metadata`; two are equal when their files are.

    Attributes
    ----------
    data : bytes
        The file, exactly as it is to be saved.
    latent_format : str
        "SD1.x", "SDXL", "SD3" or "Flux".
    channels, latent_height, latent_width : int
        Shape of the latent.
    width, height : int
        True size of the picture in pixels, before any padding or cropping that the autoencoder needed.
    coder : str
        How the indices are coded: "fixed" or "zstd".
    colours : int
        Entries in the stored palette.
    metadata : dict
        Parsed metadata, empty when there are none. Treat it as read-only and use `with_metadata`.
    """

    data: bytes = field(repr=False)
    latent_format: str = field(compare=False)
    channels: int = field(compare=False)
    latent_height: int = field(compare=False)
    latent_width: int = field(compare=False)
    width: int = field(compare=False)
    height: int = field(compare=False)
    coder: str = field(compare=False)
    colours: int = field(compare=False)
    metadata: dict = field(compare=False, repr=False)
    _values: np.ndarray = field(compare=False, repr=False)  # (colours, channels) float32
    _indices: np.ndarray = field(compare=False, repr=False)  # (latent_height, latent_width) uint16

    @property
    def size(self):
        """Size of the file in bytes."""
        return len(self.data)

    @property
    def bits_per_pixel(self):
        """Bits of file for each pixel of the true picture."""
        return 8 * self.size / (self.width * self.height)


def read(data, *, max_pixels=MAX_PIXELS):
    """Parse and check a whole `.sdc` file.

    Parameters
    ----------
    data : bytes
    max_pixels : int
        Refuse pictures with more pixels than this before allocating anything for them. With the default, reading and
        decoding take at most 64 MB beyond the data and the latent.

    Returns
    -------
    EncodedPicture

    Raises
    ------
    SdcError
        One of its subclasses, which says what is wrong. No other exception comes from the content of `data`.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise SdcArgumentError(f"data is {type(data).__name__}; pass the content of the file as bytes")
    size = memoryview(data).nbytes
    if size > container.MAX_FILE_BYTES:  # before copying it
        raise SdcLimitError(f"the data has {size} bytes; a .sdc file has at most {container.MAX_FILE_BYTES}")
    data = bytes(data)
    header, sections = container.read(data, max_pixels)
    stored_palette = palette.from_bytes(sections[container.PALETTE], header.channels)
    colours = len(stored_palette.components)
    count = header.latent_height * header.latent_width
    flat = indices.decode(header.coder, sections[container.INDICES], count, colours)
    described = sections.get(container.METADATA)
    return EncodedPicture(
        data=data,
        latent_format=by_id(header.latent_format).name,
        channels=header.channels,
        latent_height=header.latent_height,
        latent_width=header.latent_width,
        width=header.width,
        height=header.height,
        coder=indices.CODER_NAMES[header.coder],
        colours=colours,
        metadata={} if described is None else metadata_section.from_bytes(described),
        _values=stored_palette.values(),
        _indices=flat.reshape(header.latent_height, header.latent_width),
    )


def decode(picture, *, max_pixels=MAX_PIXELS):
    """Return the latent of a picture.

    Parameters
    ----------
    picture : EncodedPicture or bytes
        Bytes are first passed to `read`.
    max_pixels : int
        For `read`.

    Returns
    -------
    (C, H, W) float32 array
        In ComfyUI's unscaled convention, the same bytes on every machine.
    """
    if not isinstance(picture, EncodedPicture):
        picture = read(picture, max_pixels=max_pixels)
    entries = np.ascontiguousarray(picture._values.T)
    latent = np.empty((picture.channels, picture.latent_height, picture.latent_width), np.float32)
    # Some rows at a time, because numpy widens the indices to 8 bytes each before it looks them up.
    step = max(1, BLOCK // picture.latent_width)
    for top in range(0, picture.latent_height, step):
        rows = slice(top, top + step)
        latent[:, rows] = entries[:, picture._indices[rows]]
    return latent


def with_metadata(picture, metadata):
    """Return the picture with other metadata; every other section keeps its bytes.

    Parameters
    ----------
    picture : EncodedPicture
    metadata : dict or None
        As for `encode`; None or an empty dict removes the section.

    Raises
    ------
    SdcArgumentError
        Metadata that cannot be stored.
    """
    header, sections = container.read(picture.data, math.inf)
    sections.pop(container.METADATA, None)
    if metadata:
        sections[container.METADATA] = metadata_section.to_bytes(metadata)
    return read(container.write(header, sections), max_pixels=math.inf)
