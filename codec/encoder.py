"""From latents to encoded images: checks what it is given, and leaves the coding to the coder of a preset."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import container, presets, registry, vae_identity
from . import metadata as metadata_section
from .checks import checked_integer, checked_number
from .errors import SdcArgumentError
from .geometry import mask_to_latent
from .image import EncodedImage, assemble, without_one_frame
from .latent_formats import MAX_CHANNELS, LatentFormat, by_name

FLOAT16_MAX = 65504.0
MAX_BITS_PER_PIXEL = 64
MIN_COUNTED_PIXELS = 128 * 128  # the frame of a file takes as much of an icon as of a photograph


def encode(
    latents: Sequence[np.ndarray] | np.ndarray,
    preset: str = presets.DEFAULT,
    *,
    bits_per_pixel: float | None = None,
    max_bytes: int | None = None,
    quality: float | None = None,
    mask: np.ndarray | Sequence[np.ndarray] | None = None,
    colors: int | None = None,
    dither: str | None = None,
    dither_strength: float | None = None,
    seed: int | None = None,
    shared_palette: bool | None = None,
    precision: float | None = None,
    latent_format: str = presets.DEFAULT_FORMAT,
    width: int | None = None,
    height: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    vae: bytes | None = None,
    step: Callable[[], object] | None = None,
) -> list[EncodedImage]:
    """Encode latents, each to an image of its own.

    Parameters
    ----------
    latents : (B, C, H, W) or (B, C, T, H, W) real array, or sequence of (C, H, W) or (C, T, H, W) real arrays
        At least one, all of one shape, in ComfyUI's unscaled convention: what VAEEncode puts in LATENT["samples"],
        before any scale factor. All channels count equally. Finite and within the float16 range (+-65504). T, the
        frames of models that make video, is 1 for an image.
    preset : str
        "best": the learned codec, much closer to the latent than a palette of as many bytes; sides of the latent at
        most 2048. "fine": 256 colors. "clean": 64 colors. "paper": 64 colors with dither. "archive": the latent itself,
        with a small error, in about a sixth of the bytes of float32; the only one for several frames. "custom": a
        palette by the settings below. For a latent format without weights, *fine* takes the place of *best*.
    bits_per_pixel : float, optional
        For *best*: most bits of a file for each pixel of the true image, above 0, 64 at most; by default 0.095, which
        is 3.1 kB for 512x512. Met within 2 % as a rule, never exceeded. An image of fewer than 128x128 pixels may
        take as many bytes as one of 128x128. Metadata are not counted, the fingerprint of a VAE is.
    max_bytes : int, optional
        The same in bytes of each file, instead.
    quality : float, optional
        Instead of a size, the same quality for all: 1, coarse, to 100, fine. For SD1.x 32 takes about 1.7 kB for a
        photograph of 512x512, 55 takes 3.2 kB; other latent formats differ.
    mask : array, optional
        For *best*: what is to keep more detail at the expense of the rest, 0 to 1. One (H, W) array of any size that
        covers the image or the latent, or one for each latent. One that is the same everywhere prefers nothing.
    colors : int, optional
        For *custom*: most palette entries, 2 to 4096; 64 by default.
    dither : str, optional
        For *custom*: "floyd-steinberg", the default, or "none".
    dither_strength : float, optional
        For *custom*: share of the error that is diffused, 0 to 1, the default.
    seed : int, optional
        For palettes: seed of the random start, 0 or more; 0 by default.
    shared_palette : bool, optional
        For palettes: one palette for all latents, which `join_images` then stores once. False by default.
    precision : float, optional
        For *archive*: steps of the quantizer to the standard deviation of the latent, 1 to 4096; by default
        what keeps decoded images within about 45 dB: 80 for SDXL, 16 for Flux2, 32 for the others. No element is off
        by more than half a step, nor by less than the 2^21th part of the largest.
    latent_format : str
        "SD1.x", "SDXL", "SD3" or "Flux"; or "unknown", with 1 to 256 channels and nothing known of the VAE.
    width, height : int, optional
        True size of the images in pixels, 1 to 65535; by default the latents' size times their spatial factor.
    metadata : mapping, optional
        JSON values to store with each image, at most 512 KiB as text. "prompt" must be a string and "workflow" a dict;
        other keys are free.
    vae : bytes, optional
        Which VAE made the latents, as `fingerprint` gives it.
    step : callable, optional
        Called without arguments after each latent, to show progress; what it raises ends the work.

    Returns
    -------
    list of EncodedImage
        The same arguments give the same images on one machine. On another one the last bits of matrix products may
        differ, and so may a few bits of a file; what a given file decodes to never does.

    Raises
    ------
    SdcArgumentError
        An argument that cannot be used, or that the preset does not use.
    """
    known = by_name(latent_format)
    chosen = {
        "bits_per_pixel": bits_per_pixel,
        "max_bytes": max_bytes,
        "quality": quality,
        "mask": mask,
        "colors": colors,
        "dither": dither,
        "dither_strength": dither_strength,
        "seed": seed,
        "shared_palette": shared_palette,
        "precision": precision,
    }
    settings = {name: value for name, value in chosen.items() if value is not None}
    used, settings, _ = presets.settle(preset, latent_format, settings)
    arrays = _checked_latents(latents, known)
    latent_height, latent_width = arrays[0].shape[-2:]
    width = _checked_side("width", width, latent_width * known.spatial_factor)
    height = _checked_side("height", height, latent_height * known.spatial_factor)
    if mask is not None:
        settings["mask"] = _masks(mask, len(arrays), (latent_height, latent_width), (height, width), known)
    coder = registry.coder_by_name(used.coder)
    marks = vae_identity.to_sections(vae)
    described = metadata_section.to_sections(metadata)
    parsed = metadata_section.from_sections(described)
    counted = max(width * height, MIN_COUNTED_PIXELS)
    most = _max_bytes(settings, counted)
    header = container.Header(
        latent_format=known.id,
        channels=arrays[0].shape[0],
        latent_height=latent_height,
        latent_width=latent_width,
        width=width,
        height=height,
        images=1,
        coder=0,
        frames=arrays[0].shape[1] if arrays[0].ndim == 4 else None,
    )
    shape = without_one_frame(header.shape)
    if len(shape) == 4 and not coder.video:
        able = " or ".join(name for name, other in presets.PRESETS.items() if registry.coder_by_name(other.coder).video)
        raise SdcArgumentError(f"a latent has {header.frames} frames, which only {able} can store; choose {able}")
    framing = header.framing + container.SECTION_FRAMING * (len(coder.sections) + len(marks))
    framing += sum(map(len, marks.values()))
    max_payload = None if most is None else most - framing
    images = []
    arrays = [latent.reshape(shape) for latent in arrays]
    for coder_id, payloads in coder.encode(arrays, latent_format, settings, max_payload, step or _nothing):
        if most is not None:
            _check_rate(settings, most, framing + sum(map(len, payloads.values())), counted)
        own = dataclasses.replace(header, coder=coder_id)
        sections = {**payloads, **marks, **described}
        images.append(assemble(container.pack(own, sections), own, sections, lambda _: parsed))
    return images


def _nothing() -> None:
    pass


def _max_bytes(settings: Mapping[str, Any], pixels: int) -> int | None:
    """Most bytes of a file by max_bytes or bits_per_pixel; None where neither counts."""
    if settings.get("max_bytes") is not None:
        return checked_integer("max_bytes", settings["max_bytes"], 1, container.MAX_FILE_BYTES)
    bits_per_pixel = settings.get("bits_per_pixel")
    if bits_per_pixel is None:
        return None
    if not checked_number("bits_per_pixel", bits_per_pixel, 0, MAX_BITS_PER_PIXEL):
        raise SdcArgumentError("bits_per_pixel is 0; it must be above")
    return min(max(1, int(bits_per_pixel * pixels / 8)), container.MAX_FILE_BYTES)


def _check_rate(settings: Mapping[str, Any], most: int, num_bytes: int, pixels: int) -> None:
    """Refuse a file above the size that was requested, and say which size is possible."""
    if num_bytes <= most:
        return
    message = f"even at its coarsest this latent takes {num_bytes}"
    if settings.get("max_bytes") is not None:
        raise SdcArgumentError(f"max_bytes is {most}; {message}")
    enough = math.ceil(8e4 * num_bytes / pixels) / 1e4
    raise SdcArgumentError(
        f"bits_per_pixel is {settings['bits_per_pixel']}, {most} bytes here; {message}: use {enough} or more"
    )


def _masks(
    mask: Any, count: int, latent_size: tuple[int, int], image_size: tuple[int, int], known: LatentFormat
) -> list[np.ndarray]:
    """One mask of the latent's size for each of `count` latents."""
    masks = [mask] if isinstance(mask, np.ndarray) and mask.ndim < 3 else list(mask)
    if len(masks) not in (1, count):
        raise SdcArgumentError(f"there are {len(masks)} masks for {count} latents; pass one mask, or one for each")
    small = [mask_to_latent(each, latent_size, image_size, known.spatial_factor) for each in masks]
    return small if len(small) == count else small * count


def _checked_side(name: str, side: Any, default: int) -> int:
    return checked_integer(name, default if side is None else side, 1, 65535)


def _checked_latents(latents: Any, known: LatentFormat) -> list[np.ndarray]:
    arrays = [_checked_latent(latent, known) for latent in latents]
    shapes = sorted({latent.shape for latent in arrays})
    if len(shapes) != 1:
        raise SdcArgumentError(f"latents have {len(shapes)} shapes {shapes or ''}; pass some of one shape")
    return arrays


def _checked_latent(latent: Any, known: LatentFormat) -> np.ndarray:
    latent = np.asarray(latent)
    if latent.dtype.kind not in "fiu":
        raise SdcArgumentError(f"a latent holds {latent.dtype}; pass real numbers such as float32")
    if latent.ndim not in (3, 4):
        raise SdcArgumentError(
            f"a latent has shape {latent.shape}; pass a list of (channels, height, width) or (channels, frames, "
            "height, width), or an array with a batch axis before these"
        )
    if not known.takes(latent.shape[0]):
        raise SdcArgumentError(
            f"a latent has shape {latent.shape} but {known.name} has {known.channels or f'1 to {MAX_CHANNELS}'} "
            "channels, which come first; pass the latent_format that the latent was made with"
        )
    if not all(1 <= side <= 65535 for side in latent.shape[1:]):
        raise SdcArgumentError(f"a latent has shape {latent.shape}; all of its sides must be 1 to 65535")
    latent = latent.astype(np.float64)
    if not np.isfinite(latent).all():
        raise SdcArgumentError("a latent holds NaN or infinity; check the autoencoder that made it")
    largest = np.abs(latent).max()
    if largest > FLOAT16_MAX:
        raise SdcArgumentError(f"a latent reaches {largest:g}; the format stores up to {FLOAT16_MAX:g} in size")
    return latent
