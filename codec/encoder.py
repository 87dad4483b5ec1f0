"""From a latent to an encoded image: checks what it is given, and leaves the quantizing to a coder."""

import math
import operator

import numpy as np

from . import container, learned, palette, vae_identity
from . import metadata as metadata_section
from .errors import SdcArgumentError
from .image import load
from .latent_formats import by_name

FLOAT16_MAX = 65504.0


def encode(
    latent,
    *,
    colors=64,
    dither="floyd-steinberg",
    dither_strength=1.0,
    seed=0,
    latent_format="SD1.x",
    width=None,
    height=None,
    metadata=None,
    vae=None,
):
    """Encode one latent.

    Parameters
    ----------
    latent : (C, H, W) real array
        In ComfyUI's unscaled convention: what VAEEncode puts in LATENT["samples"], before any scale factor. All
        channels count equally. Finite and within the float16 range (+-65504).
    colors : int
        Most palette entries to use, 2 to 4096.
    dither : str
        "floyd-steinberg" or "none".
    dither_strength : float
        Share of the error that is diffused, 0 to 1. Without effect when `dither` is "none".
    seed : int
        Seed of the palette's random start, 0 or more.
    latent_format : str
        "SD1.x", "SDXL", "SD3" or "Flux".
    width, height : int, optional
        True size of the image in pixels, 1 to 65535; by default the latent's size times its spatial factor.
    metadata : dict, optional
        JSON values to store beside the image, at most 512 KiB as text. "prompt" must be a string and "workflow" a
        dict; other keys are free.
    vae : bytes, optional
        Which VAE made the latent, as `fingerprint` gives it.

    Returns
    -------
    EncodedImage
        The same arguments give the same image on one machine. On another one the last bits of matrix products may
        differ, and so may the choice of palette; what a given file decodes to never does.

    Raises
    ------
    SdcArgumentError
        An argument that cannot be used.
    """
    return encode_together(
        [latent],
        colors=colors,
        dither=dither,
        dither_strength=dither_strength,
        seed=seed,
        latent_format=latent_format,
        width=width,
        height=height,
        metadata=metadata,
        vae=vae,
    )[0]


def encode_together(
    latents,
    *,
    colors=64,
    dither="floyd-steinberg",
    dither_strength=1.0,
    seed=0,
    latent_format="SD1.x",
    width=None,
    height=None,
    metadata=None,
    vae=None,
    each=None,
):
    """Encode latents by one palette, which `join_images` then stores once for all of them.

    Parameters
    ----------
    latents : sequence of (C, H, W) real arrays
        At least one, all of one shape.
    colors, dither, dither_strength, seed, latent_format, width, height, metadata, vae
        As for `encode`; the palette has so many entries for all images together.
    each : callable, optional
        Called without arguments after each latent, to show progress; what it raises ends the work.

    Returns
    -------
    list of EncodedImage

    Raises
    ------
    SdcArgumentError
        An argument that cannot be used.
    """
    space = by_name(latent_format)
    latents = [_checked_latent(latent, space) for latent in latents]
    shapes = sorted({latent.shape for latent in latents})
    if len(shapes) != 1:
        raise SdcArgumentError(f"latents have {len(shapes)} shapes {shapes or ''}; pass some of one shape")
    colors = _checked_integer("colors", colors, 2, palette.MAX_ENTRIES)
    seed = _checked_integer("seed", seed, 0, math.inf)
    strength = _checked_strength(dither, dither_strength)
    width, height = _checked_size(latents[0], space, width, height)
    described = vae_identity.to_sections(vae) | metadata_section.to_sections(metadata)
    payload, coded = palette.encode_latents(latents, colors, strength, seed, each)
    images = []
    for latent, (coder, indices) in zip(latents, coded, strict=True):
        sections = {container.PALETTE: payload, container.INDICES: indices, **described}
        images.append(_assemble(latent, space, width, height, coder, sections))
    return images


def encode_learned(
    latent,
    *,
    quality=None,
    size=None,
    bits_per_pixel=None,
    mask=None,
    latent_format="SD1.x",
    width=None,
    height=None,
    metadata=None,
    vae=None,
):
    """Encode one latent by the learned codec: much nearer than a palette of as many bytes.

    Parameters
    ----------
    latent : (C, H, W) real array
        As for `encode`, sides at most 2048.
    quality : int, optional
        0, coarse, to 255, fine. For SD1.x about 80 takes 1.7 kB for a photograph of 512x512, 140 takes 3.2 kB; the
        same quality of another latent format is another size.
    size : int, optional
        Most bytes of the whole file, metadata aside, instead of a quality. Met within 2 % as a rule, never passed.
    bits_per_pixel : float, optional
        The same, as bits for each pixel of the true image.
    mask : (H, W) real array, optional
        0 to 1 for each place of the latent: what is 1 is kept finer, and the rest pays for it.
    latent_format, width, height, metadata, vae
        As for `encode`. The fingerprint of a VAE counts as part of `size`.

    Returns
    -------
    EncodedImage
        What a given file decodes to never differs between machines; which file is made may, in a few bits.

    Raises
    ------
    SdcArgumentError
        An argument that cannot be used.
    """
    space = by_name(latent_format)
    latent = _checked_latent(latent, space)
    width, height = _checked_size(latent, space, width, height)
    if (quality, size, bits_per_pixel).count(None) != 2:
        raise SdcArgumentError("give one of quality, size and bits_per_pixel")
    if quality is not None:
        quality = _checked_integer("quality", quality, 0, learned.QUALITIES - 1)
    else:
        if size is None:
            if not (isinstance(bits_per_pixel, int | float) and 0 < bits_per_pixel <= 64):
                raise SdcArgumentError(f"bits_per_pixel is {bits_per_pixel!r}; it must be a number above 0, 64 at most")
            size = max(1, int(bits_per_pixel * width * height / 8))
        size = _checked_integer("size", size, 1, container.MAX_FILE_BYTES)
    if mask is not None:
        mask = _checked_mask(mask, latent.shape[1:])
    described = vae_identity.to_sections(vae) | metadata_section.to_sections(metadata)
    marks = sum(4 + len(payload) for payload in vae_identity.to_sections(vae).values())
    room = None if size is None else size - container.FRAMING - 4 - marks
    payload = learned.encode_latent(latent, space.name, quality=quality, size=room, mask=mask)
    if room is not None and len(payload) > room:
        least = size + len(payload) - room
        message = f"even at its coarsest this latent takes {least}"
        if bits_per_pixel is None:
            raise SdcArgumentError(f"size is {size} bytes; {message}")
        enough = math.ceil(8e4 * least / (width * height)) / 1e4
        raise SdcArgumentError(
            f"bits_per_pixel is {bits_per_pixel}, {size} bytes here; {message}: ask for {enough} or more"
        )
    sections = {container.LEARNED: payload, **described}
    return _assemble(latent, space, width, height, learned.CODER, sections)


def _assemble(latent, space, width, height, coder, sections):
    header = container.Header(
        latent_format=space.id,
        channels=space.channels,
        latent_height=latent.shape[1],
        latent_width=latent.shape[2],
        width=width,
        height=height,
        images=1,
        coder=coder,
    )
    return load(container.join(header, sections), max_pixels=math.inf)


def _checked_size(latent, space, width, height):
    """The true size of the image, by default that of the latent."""
    sides = (("width", width, latent.shape[2]), ("height", height, latent.shape[1]))
    return [
        _checked_integer(name, latents * space.spatial_factor if given is None else given, 1, 65535)
        for name, given, latents in sides
    ]


def _checked_mask(mask, shape):
    mask = np.asarray(mask, np.float32)
    if mask.shape != tuple(shape):
        raise SdcArgumentError(f"mask has shape {mask.shape}; it needs one value for each place of the latent, {shape}")
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise SdcArgumentError("mask holds values outside of 0 to 1")
    return mask


def _checked_latent(latent, space):
    latent = np.asarray(latent)
    if latent.dtype.kind not in "fiu":
        raise SdcArgumentError(f"latent holds {latent.dtype}; pass real numbers such as float32")
    if latent.ndim != 3:
        raise SdcArgumentError(
            f"latent has shape {latent.shape}; pass one image as (channels, height, width), without a batch axis"
        )
    if latent.shape[0] != space.channels:
        raise SdcArgumentError(
            f"latent has shape {latent.shape} but {space.name} has {space.channels} channels, which come first; "
            "pass the latent_format that the latent was made with"
        )
    if not all(1 <= side <= 65535 for side in latent.shape[1:]):
        raise SdcArgumentError(f"latent has shape {latent.shape}; height and width must be 1 to 65535")
    latent = latent.astype(np.float64)
    if not np.isfinite(latent).all():
        raise SdcArgumentError("latent holds NaN or infinity; check the autoencoder that made it")
    largest = np.abs(latent).max()
    if largest > FLOAT16_MAX:
        raise SdcArgumentError(f"latent reaches {largest:g}; the format stores up to {FLOAT16_MAX:g} in size")
    return latent


def _checked_integer(name, value, lowest, highest):
    try:
        number = operator.index(value)
    except TypeError:
        raise SdcArgumentError(f"{name} is {value!r}; pass an integer") from None
    if not lowest <= number <= highest:
        allowed = f"{lowest} to {highest}" if highest < math.inf else f"{lowest} or more"
        raise SdcArgumentError(f"{name} is {number}; it must be {allowed}")
    return number


def _checked_strength(dither, dither_strength):
    """Return the share of the error to diffuse, 0 for no dither."""
    if dither not in palette.DITHERS:
        raise SdcArgumentError(f"dither is {dither!r}; choose one of: {', '.join(palette.DITHERS)}")
    try:
        strength = float(dither_strength)
    except (TypeError, ValueError):
        strength = math.nan
    if not 0 <= strength <= 1:
        raise SdcArgumentError(f"dither_strength is {dither_strength!r}; it must be a number from 0 to 1")
    return 0.0 if dither == "none" else strength
