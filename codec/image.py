"""An encoded image in memory: from the bytes of a `.sdc` file, and on to its latent."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import container, registry, vae_identity
from . import metadata as metadata_section
from .coder import StoredLatent
from .errors import SdcArgumentError, SdcFormatError, SdcLimitError, SdcUnsupportedError
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
        As for `encode`.
    channels, latent_height, latent_width : int
        Shape of the latent.
    frames : int or None
        Frames of a latent (C, T, H, W); None of one that is (C, H, W).
    width, height : int
        True size of the image in pixels, before any padding or cropping that the autoencoder needed.
    stored : StoredLatent
        The latent as its coder stores it.
    metadata : dict
        Parsed metadata, empty when there are none. Treat it as read-only and use `with_metadata`.
    vae : bytes or None
        Fingerprint of the VAE that made the latent, for `same_vae`; None where it is not known.
    """

    data: bytes = field(repr=False)
    latent_format: str = field(compare=False)
    channels: int = field(compare=False)
    frames: int | None = field(compare=False)
    latent_height: int = field(compare=False)
    latent_width: int = field(compare=False)
    width: int = field(compare=False)
    height: int = field(compare=False)
    stored: StoredLatent = field(compare=False, repr=False)
    metadata: dict[str, Any] = field(compare=False, repr=False)
    vae: bytes | None = field(compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the latent, (C, H, W) or (C, T, H, W)."""
        frames = () if self.frames is None else (self.frames,)
        return self.channels, *frames, self.latent_height, self.latent_width

    @property
    def coder(self) -> str:
        """How the latent is coded: "fixed" or "zstd" for the indices of a palette, or "learned"."""
        return self.stored.coder

    @property
    def colors(self) -> int | None:
        """Entries in the stored palette; None where there is none."""
        return self.stored.details().get("colors")

    @property
    def quality(self) -> int | None:
        """Quality of the learned codec, 1 to 100; None for the other coders."""
        return self.stored.details().get("quality")

    @property
    def num_bytes(self) -> int:
        """Size of the file in bytes."""
        return len(self.data)

    @property
    def bits_per_pixel(self) -> float:
        """Bits of file for each pixel of the true image, of all frames of the latent."""
        return 8 * self.num_bytes / ((self.frames or 1) * self.width * self.height)


def load(data: bytes, *, max_pixels: float = MAX_PIXELS) -> EncodedImage:
    """Parse and check a whole `.sdc` file of one image; `load_all` reads those of many too.

    Parameters
    ----------
    data : bytes
    max_pixels : int or infinity
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
    header, sections = container.parse(data, max_pixels)
    if header.images > 1:
        raise SdcUnsupportedError(
            f"the file holds {header.images} images and one is requested: load_all reads them, "
            "`python -m codec split` makes a file of each"
        )
    return assemble(data, header, sections, metadata_section.from_sections)


def checked_bytes(data: Any) -> bytes:
    """Return `data` as bytes, or raise SdcArgumentError or SdcLimitError when they are none or too many."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise SdcArgumentError(f"data is {type(data).__name__}; pass the content of the file as bytes")
    num_bytes = memoryview(data).nbytes
    if num_bytes > container.MAX_FILE_BYTES:  # before copying it
        raise SdcLimitError(f"the data has {num_bytes} bytes; a .sdc file has at most {container.MAX_FILE_BYTES}")
    return bytes(data)


def assemble(
    data: bytes,
    header: container.Header,
    sections: Mapping[str, Any],
    read_metadata: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> EncodedImage:
    """Return the EncodedImage of a file of one image.

    Parameters
    ----------
    data : bytes
        What `container.pack` makes of the header and the sections.
    header : container.Header
    sections : mapping of str to bytes-like
        In order, with those that the coder requires.
    read_metadata : callable
        Gives the metadata of such sections.

    Raises
    ------
    SdcFormatError, SdcUnsupportedError
        What the sections hold.
    """
    latent_format = by_id(header.latent_format).name
    coder = registry.BY_ID[header.coder]
    shape = without_one_frame(header.shape)
    if len(shape) == 4 and not coder.video:
        raise SdcFormatError(f"section T says {header.frames} frames; what coder {header.coder} stores has one")
    return EncodedImage(
        data=data,
        latent_format=latent_format,
        channels=header.channels,
        frames=header.frames,
        latent_height=header.latent_height,
        latent_width=header.latent_width,
        width=header.width,
        height=header.height,
        stored=coder.parse(header.coder, {tag: sections[tag] for tag in coder.sections}, shape, latent_format),
        metadata=read_metadata(sections),
        vae=vae_identity.from_sections(sections),
    )


def without_one_frame(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a latent as its coder knows it: (C, H, W), but (C, T, H, W) where T is above 1."""
    return shape if shape[1] > 1 or len(shape) == 3 else (shape[0], *shape[2:])


def decode(image: EncodedImage) -> np.ndarray:
    """Return the latent of an `EncodedImage`.

    Returns
    -------
    (C, H, W) or (C, T, H, W) float32 array
        In ComfyUI's unscaled convention, the same bytes on every machine; a new one each time. A second call is fast:
        of the images of the learned codec decoded last, latents of up to 1 MiB are kept, also for what `with_metadata`
        and `with_vae` make of such an image.

    Raises
    ------
    SdcFormatError
        What the learned codec has coded is damaged; palettes were checked when the image was loaded.
    """
    return image.stored.decode().reshape(image.shape)


def estimate_error(image: EncodedImage) -> float:
    """RMS error that encoding made in the latent of an `EncodedImage`, in its units; within about 10 %."""
    return image.stored.estimate_error()


def with_metadata(image: EncodedImage, metadata: Mapping[str, Any] | None) -> EncodedImage:
    """Return the image with other metadata; every other section keeps its bytes.

    Parameters
    ----------
    image : EncodedImage
    metadata : mapping or None
        As for `encode`; None or an empty dict removes the section.

    Raises
    ------
    SdcArgumentError
        Metadata that cannot be stored.
    """
    sections = metadata_section.to_sections(metadata)
    data = _with_sections(image, (metadata_section.PLAIN, metadata_section.BY_DICTIONARY), sections)
    return dataclasses.replace(image, data=data, metadata=metadata_section.from_sections(sections))


def with_vae(image: EncodedImage, vae: bytes | None) -> EncodedImage:
    """Return the image with the fingerprint of its VAE, as `fingerprint` gives it; None removes it.

    Raises
    ------
    SdcArgumentError
        Bytes that are no fingerprint.
    """
    return dataclasses.replace(
        image, data=_with_sections(image, (vae_identity.TAG,), vae_identity.to_sections(vae)), vae=vae
    )


def _with_sections(image: EncodedImage, removed: tuple[str, ...], added: Mapping[str, bytes]) -> bytes:
    """Return the file of an image with some optional sections removed and others added at its end."""
    header, sections = container.parse(image.data, math.inf)
    kept = {tag: payload for tag, payload in sections.items() if tag not in removed}
    return container.pack(header, {**kept, **added})


def relabeled(image: EncodedImage, latent_format: str) -> EncodedImage:
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
    wanted = by_name(latent_format)
    if latent_format == image.latent_format:
        return image
    if not wanted.takes(image.channels):
        raise SdcArgumentError(
            f"the latent has {image.channels} channels and {latent_format} has {wanted.channels}; the formats are "
            "incompatible"
        )
    image.stored.check_relabel(latent_format)
    header, sections = container.parse(image.data, math.inf)
    data = container.pack(dataclasses.replace(header, latent_format=wanted.id), sections)
    return dataclasses.replace(image, data=data, latent_format=latent_format)
