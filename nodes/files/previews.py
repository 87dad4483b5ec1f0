"""A small picture of what a `.sdc` file holds, made without any model of the user's."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from ... import codec
from ...codec.autoencoder import tiny_vae
from ..sockets.latent_formats import rough_colours

SIDE = 256
MAX_PIXELS = 4096**2  # of the true picture; the latent of a larger one is not decoded just to look at it
MOST_LATENTS = 64  # a side; what the autoencoder is given of a larger latent is its average, for the sake of time


def thumbnail(picture: codec.EncodedPicture) -> Image.Image:
    """An RGB picture of at most 256x256, in the true picture's shape.

    Raises codec.SdcLimitError for a picture of more than 4096x4096 pixels.
    """
    latent = codec.decode(codec.load(picture.data, max_pixels=MAX_PIXELS))
    if picture.latent_format == tiny_vae.LATENT_FORMAT:
        shown = by_tiny_vae(latent, picture)
    else:
        shown = by_rough_colours(latent, picture.latent_format)
    scale = min(1, SIDE / max(picture.width, picture.height))
    size = [max(1, round(scale * side)) for side in (picture.width, picture.height)]
    return Image.fromarray(shown).resize(size, Image.Resampling.LANCZOS)


def by_tiny_vae(latent: np.ndarray, picture: codec.EncodedPicture) -> np.ndarray:
    height, width = latent.shape[1:]
    share = min(1, MOST_LATENTS / max(height, width))
    if share < 1:
        size = max(1, round(height * share)), max(1, round(width * share))
        latent = interpolate(torch.from_numpy(latent)[None], size, mode="area")[0].numpy()
    pixels = tiny_vae.decode_latent(latent)
    # What fills the last latents beyond the true picture is no part of it.
    rows, columns = (
        round(side * true / (8 * latents))
        for side, true, latents in zip(pixels.shape, (picture.height, picture.width), (height, width), strict=False)
    )
    return pixels[: max(1, rows), : max(1, columns)]


def by_rough_colours(latent: np.ndarray, latent_format: str) -> np.ndarray:
    colours = rough_colours(latent, latent_format)
    return (((colours + 1) / 2).clip(0, 1) * 255).round().astype(np.uint8)


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def save_thumbnail(path: str, picture: codec.EncodedPicture) -> str | None:
    """Write a JPEG beside the file of a picture, and return its name.

    None where a file has this name already, the disk takes no more, or the picture is too large to look at: it is only
    for the eye.
    """
    target = Path(path).with_suffix(".jpg")
    try:
        codec.write_whole(target, jpeg(thumbnail(picture)))
    except (OSError, codec.SdcLimitError):
        return None
    return target.name
