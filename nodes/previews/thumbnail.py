"""A thumbnail of a `.sdc` file, drawn once for whoever shows it: Save SDC, and the page through its route."""

import hashlib
import io
import threading
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from ... import codec
from ...codec.autoencoder import tiny_vae
from ..latents.formats import rough_colors

SIDE = 256
MAX_PIXELS = 4096**2  # of the true image; the latent of a larger one is not decoded only for a preview
# The same of the learned codec, which takes a quarter of a second a megapixel, for whoever only looks at a file.
MAX_LEARNED_PIXELS = 2048**2
MAX_LATENTS = 128  # a side; a larger latent is averaged to this before the autoencoder decodes it, which saves time
MAX_KNOWN = 64  # JPEGs in memory, some 10 kB each

known: dict[str, bytes] = {}  # version of a file -> JPEG of its first image
lock = threading.Lock()  # the server and the nodes run in different threads


def version_of(data: bytes) -> str:
    """A name for the content of a file: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


def thumbnail_of(data: bytes, first: codec.EncodedImage | None = None) -> bytes:
    """JPEG of the first image in a file.

    Parameters
    ----------
    data : bytes
        The file.
    first : EncodedImage, optional
        Its first image, where the caller has parsed it already, and can wait for it.

    Raises
    ------
    codec.SdcError
        The file is damaged, or its first image has more than 4096x4096 pixels; more than 2048x2048 of the learned
        codec, where the caller has not parsed it.
    """
    version = version_of(data)
    jpeg = known.get(version)
    if jpeg is None:
        image = first
        if image is None:
            image = codec.load_first(data, max_pixels=MAX_PIXELS)
            if image.coder == "learned":
                check_pixels(image, MAX_LEARNED_PIXELS)
        buffer = io.BytesIO()
        draw_thumbnail(image).save(buffer, "JPEG", quality=85)
        jpeg = buffer.getvalue()
        with lock:
            known[version] = jpeg
            while len(known) > MAX_KNOWN:
                del known[next(iter(known))]
    return jpeg


def draw_thumbnail(image: codec.EncodedImage) -> Image.Image:
    """An RGB image of at most 256x256, in the aspect ratio of the true image.

    Raises codec.SdcLimitError for an image of more than 4096x4096 pixels.
    """
    check_pixels(image, MAX_PIXELS)
    latent = codec.decode(image)
    if latent.ndim == 4:  # of a video its first frame
        latent = latent[:, 0]
    if image.latent_format == tiny_vae.LATENT_FORMAT:
        shown = by_tiny_vae(latent, image)
    else:
        shown = by_rough_colors(latent, image.latent_format)
    scale = min(1, SIDE / max(image.width, image.height))
    size = [max(1, round(scale * side)) for side in (image.width, image.height)]
    return Image.fromarray(shown).resize(size, Image.Resampling.LANCZOS)


def check_pixels(image: codec.EncodedImage, most: int):
    """Raise codec.SdcLimitError where the image, or its latent, has more pixels."""
    factor = codec.by_name(image.latent_format).spatial_factor
    pixels = max(image.width * image.height, image.latent_width * image.latent_height * factor**2)
    pixels *= image.frames or 1
    if pixels > most:
        raise codec.SdcLimitError(f"the image has {pixels} pixels, and previews are drawn up to {most}")


def by_tiny_vae(latent: np.ndarray, image: codec.EncodedImage) -> np.ndarray:
    """(H, W, 3) uint8 of a latent (4, h, w), as large as a thumbnail needs, without what pads the true image."""
    height, width = latent.shape[1:]
    scale = next((scale for scale in (2, 4) if scale * max(height, width) >= SIDE), 8)
    share = min(1, MAX_LATENTS / max(height, width))
    if share < 1:
        size = max(1, round(height * share)), max(1, round(width * share))
        latent = interpolate(torch.from_numpy(latent)[None], size, mode="area")[0].numpy()
    pixels = tiny_vae.decode_latent(latent, scale)
    # What fills the last latents beyond the true image is no part of it.
    rows, columns = (
        round(side * true / (8 * latents))
        for side, true, latents in zip(pixels.shape, (image.height, image.width), (height, width), strict=False)
    )
    return pixels[: max(1, rows), : max(1, columns)]


def by_rough_colors(latent: np.ndarray, latent_format: str) -> np.ndarray:
    """(h, w, 3) uint8 of a latent (C, h, w); twice as many rows and columns for Flux2."""
    colors = rough_colors(latent, latent_format)
    if colors is None:
        return by_main_component(latent)
    return (((colors + 1) / 2).clip(0, 1) * 255).round().astype(np.uint8)


def by_main_component(latent: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8, gray, of a latent (C, h, w) of which nothing is known: the direction in which it varies most."""
    values = latent.reshape(len(latent), -1).astype(np.float64)
    values -= values.mean(1, keepdims=True)
    shown = np.linalg.eigh(values @ values.T)[1][:, -1] @ values
    gray = (127.5 + 60 * shown / (shown.std() or 1)).clip(0, 255).astype(np.uint8)
    return np.repeat(gray.reshape(*latent.shape[1:], 1), 3, 2)


def save_thumbnail(path: str, data: bytes, first: codec.EncodedImage) -> str | None:
    """Write the JPEG of `thumbnail_of` next to a file, and return its name.

    None where a file has this name already, it cannot be written, or the image is too large: it is only a preview.
    """
    target = Path(path).with_suffix(".jpg")
    try:
        codec.write_whole(target, thumbnail_of(data, first))
    except (OSError, codec.SdcLimitError):
        return None
    return target.name
