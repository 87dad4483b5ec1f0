"""An encoded image in memory: from the bytes of a `.sdc` file, and on to its latent."""

import dataclasses
import math
from dataclasses import dataclass, field

from . import container, learned, palette, vae_identity
from . import metadata as metadata_section
from .errors import SdcArgumentError, SdcLimitError, SdcUnsupportedError
from .latent_formats import by_id, by_name

MAX_PIXELS = 16384**2


@dataclass(frozen=True)
class EncodedImage:
    """One encoded image: a whole, checked `.sdc` file and what its header says.

    Made by `encode`, `load` and `with_metadata`; two are equal when their files are.

    Attributes
    ----------
    data : bytes
        The file, exactly as it is to be saved.
    latent_format : str
        "SD1.x", "SDXL", "SD3" or "Flux".
    channels, latent_height, latent_width : int
        Shape of the latent.
    width, height : int
        True size of the image in pixels, before any padding or cropping that the autoencoder needed.
    quantized : PaletteLatent or LearnedLatent
        The latent as its coder stores it.
    metadata : dict
        Parsed metadata, empty when there are none. Treat it as read-only and use `with_metadata`.
    vae : bytes or None
        Fingerprint of the VAE that made the latent, for `same_vae`; None where it is not known.
    """

    data: bytes = field(repr=False)
    latent_format: str = field(compare=False)
    channels: int = field(compare=False)
    latent_height: int = field(compare=False)
    latent_width: int = field(compare=False)
    width: int = field(compare=False)
    height: int = field(compare=False)
    quantized: palette.PaletteLatent | learned.LearnedLatent = field(compare=False, repr=False)
    metadata: dict = field(compare=False, repr=False)
    vae: bytes | None = field(compare=False)

    @property
    def coder(self):
        """How the latent is coded: "fixed" or "zstd" for the indices of a palette, or "learned"."""
        return self.quantized.coder

    @property
    def colors(self):
        """Entries in the stored palette; None where there is none."""
        return self.quantized.colors

    @property
    def size(self):
        """Size of the file in bytes."""
        return len(self.data)

    @property
    def bits_per_pixel(self):
        """Bits of file for each pixel of the true image."""
        return 8 * self.size / (self.width * self.height)


def load(data, *, max_pixels=MAX_PIXELS):
    """Parse and check a whole `.sdc` file of one image; `load_all` reads those of many too.

    Parameters
    ----------
    data : bytes
    max_pixels : int
        Refuse images with more pixels than this before allocating anything for them. With the default, reading and
        decoding take at most 64 MB beyond the data and the latent.

    Returns
    -------
    EncodedImage

    Raises
    ------
    SdcError
        One of its subclasses, which says what is wrong. No other exception comes from the content of `data`.
    """
    data = checked_bytes(data)
    header, sections = container.split(data, max_pixels)
    if header.images > 1:
        raise SdcUnsupportedError(
            f"the file holds {header.images} images and one is asked for: load_all reads them, "
            "`python -m codec split` makes a file of each"
        )
    return parse(data, header, sections)


def checked_bytes(data):
    """Return `data` as bytes, or raise SdcArgumentError or SdcLimitError when they are none or too many."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise SdcArgumentError(f"data is {type(data).__name__}; pass the content of the file as bytes")
    size = memoryview(data).nbytes
    if size > container.MAX_FILE_BYTES:  # before copying it
        raise SdcLimitError(f"the data has {size} bytes; a .sdc file has at most {container.MAX_FILE_BYTES}")
    return bytes(data)


def parse(data, header, sections, read_metadata=metadata_section.from_sections):
    """Return the EncodedImage of a file of one image that `container.split` has taken apart.

    Parameters
    ----------
    data : bytes
    header : container.Header
    sections : dict of str to bytes-like
    read_metadata : callable
        Gives the metadata of such sections.
    """
    shape = (header.channels, header.latent_height, header.latent_width)
    latent_format = by_id(header.latent_format).name
    if header.coder == learned.CODER:
        quantized = learned.parse_section(sections[container.LEARNED], shape, latent_format)
    else:
        parts = sections[container.PALETTE], sections[container.INDICES]
        quantized = palette.parse_sections(header.coder, *parts, shape)
    return EncodedImage(
        data=data,
        latent_format=latent_format,
        channels=header.channels,
        latent_height=header.latent_height,
        latent_width=header.latent_width,
        width=header.width,
        height=header.height,
        quantized=quantized,
        metadata=read_metadata(sections),
        vae=vae_identity.from_sections(sections),
    )


def decode(image):
    """Return the latent of an `EncodedImage`.

    Returns
    -------
    (C, H, W) float32 array
        In ComfyUI's unscaled convention, the same bytes on every machine.

    Raises
    ------
    SdcLatentError
        What the learned codec has coded is damaged; palettes were checked when the image was loaded.
    """
    return image.quantized.dequantize()


def estimate_error(image):
    """RMS error that encoding made in the latent of an `EncodedImage`, in its units; within about 10 %."""
    return image.quantized.estimate_error()


def with_metadata(image, metadata):
    """Return the image with other metadata; every other section keeps its bytes.

    Parameters
    ----------
    image : EncodedImage
    metadata : dict or None
        As for `encode`; None or an empty dict removes the section.

    Raises
    ------
    SdcArgumentError
        Metadata that cannot be stored.
    """
    header, sections = container.split(image.data, math.inf)
    for tag in (metadata_section.PLAIN, metadata_section.BY_DICTIONARY):
        sections.pop(tag, None)
    return load(container.join(header, sections | metadata_section.to_sections(metadata)), max_pixels=math.inf)


def with_vae(image, vae):
    """Return the image with the fingerprint of its VAE, as `fingerprint` gives it; None removes it."""
    header, sections = container.split(image.data, math.inf)
    sections.pop(vae_identity.TAG, None)
    return load(container.join(header, sections | vae_identity.to_sections(vae)), max_pixels=math.inf)


def relabeled(image, latent_format):
    """Return the image as one of another latent format: for files that were labeled wrongly. The latent stays.

    Parameters
    ----------
    image : EncodedImage
    latent_format : str
        As for `encode`.

    Raises
    ------
    SdcArgumentError
        The latent format is unknown, has another number of channels, or the image was coded by weights for one.
    """
    space = by_name(latent_format)
    if latent_format == image.latent_format:
        return image
    if space.channels != image.channels:
        raise SdcArgumentError(
            f"the latent has {image.channels} channels and {latent_format} has {space.channels}: it is none"
        )
    if image.quantized.coder == "learned":
        raise SdcArgumentError(
            f"the learned codec has stored it by weights for {image.latent_format}: "
            f"encode the image again, as {latent_format}"
        )
    header, sections = container.split(image.data, math.inf)
    header = dataclasses.replace(header, latent_format=space.id)
    return load(container.join(header, sections), max_pixels=math.inf)
