"""A thumbnail of a `.sdc` file, drawn once for whoever shows it: Save SDC, and the page through its route."""

import hashlib
import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from ... import codec
from ...codec.autoencoder import tiny_vae
from ...codec.autoencoder.thumbnail import (
    MAX_PIXELS,
    by_decoder,
    by_main_component,
    check_pixels,
    first_frame,
    fitted,
)
from ..latents.formats import rough_colors

SIDE = 256
# Of the learned codec, which takes a quarter of a second a megapixel, for whoever only looks at a file.
MAX_LEARNED_PIXELS = 2048**2
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
    latent = first_frame(image)
    if image.latent_format == tiny_vae.LATENT_FORMAT:
        return fitted(by_decoder(latent, image, SIDE, tiny_vae.decode_latent), image, SIDE)
    return fitted(by_rough_colors(latent, image.latent_format), image, SIDE)


def by_rough_colors(latent: np.ndarray, latent_format: str) -> np.ndarray:
    """(h, w, 3) uint8 of a latent (C, h, w); twice as many rows and columns for Flux2."""
    colors = rough_colors(latent, latent_format)
    if colors is None:
        return by_main_component(latent)
    return (((colors + 1) / 2).clip(0, 1) * 255).round().astype(np.uint8)


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
