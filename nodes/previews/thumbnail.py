"""A small image of what a `.sdc` file holds, made without any model of the user's."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from ... import codec
from ...codec.autoencoder import tiny_vae
from ..latents.formats import rough_colors

SIDE = 256
MAX_PIXELS = 4096**2  # of the true image; the latent of a larger one is not decoded just to look at it
MAX_LATENTS = 64  # a side; what the autoencoder is given of a larger latent is its average, for the sake of time


def thumbnail(image: codec.EncodedImage) -> Image.Image:
    """An RGB image of at most 256x256, in the true image's shape.

    Raises codec.SdcLimitError for an image of more than 4096x4096 pixels.
    """
    latent = codec.decode(codec.load(image.data, max_pixels=MAX_PIXELS))
    if image.latent_format == tiny_vae.LATENT_FORMAT:
        shown = by_tiny_vae(latent, image)
    else:
        shown = by_rough_colors(latent, image.latent_format)
    scale = min(1, SIDE / max(image.width, image.height))
    size = [max(1, round(scale * side)) for side in (image.width, image.height)]
    return Image.fromarray(shown).resize(size, Image.Resampling.LANCZOS)


def by_tiny_vae(latent: np.ndarray, image: codec.EncodedImage) -> np.ndarray:
    height, width = latent.shape[1:]
    share = min(1, MAX_LATENTS / max(height, width))
    if share < 1:
        size = max(1, round(height * share)), max(1, round(width * share))
        latent = interpolate(torch.from_numpy(latent)[None], size, mode="area")[0].numpy()
    pixels = tiny_vae.decode_latent(latent)
    # What fills the last latents beyond the true image is no part of it.
    rows, columns = (
        round(side * true / (8 * latents))
        for side, true, latents in zip(pixels.shape, (image.height, image.width), (height, width), strict=False)
    )
    return pixels[: max(1, rows), : max(1, columns)]


def by_rough_colors(latent: np.ndarray, latent_format: str) -> np.ndarray:
    colors = rough_colors(latent, latent_format)
    return (((colors + 1) / 2).clip(0, 1) * 255).round().astype(np.uint8)


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def save_thumbnail(path: str, image: codec.EncodedImage) -> str | None:
    """Write a JPEG beside the file of an image, and return its name.

    None where a file has this name already, the disk takes no more, or the image is too large to look at: it is only
    for the eye.
    """
    target = Path(path).with_suffix(".jpg")
    try:
        codec.write_whole(target, jpeg(thumbnail(image)))
    except (OSError, codec.SdcLimitError):
        return None
    return target.name
