"""A small image of a `.sdc` file, for whoever shows folders."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from ..errors import SdcLimitError
from ..image import EncodedImage, decode
from ..latent_formats import by_name
from . import plain

MAX_PIXELS = 4096**2  # of the true image; the latent of a larger one is not decoded only for a preview


def draw(image: EncodedImage, side: int) -> Image.Image:
    """Draw a thumbnail in numpy: it takes less time than torch takes to load.

    Latents of SD 1.x are decoded, of others the main component is shown, in gray.

    Parameters
    ----------
    image : EncodedImage
    side : int
        Most pixels of width and height.

    Returns
    -------
    PIL.Image.Image
        RGB, in the aspect ratio of the true image and no larger than that.

    Raises
    ------
    SdcLimitError
        The image has more than 4096x4096 pixels.
    SdcFormatError
        What is coded is damaged.
    """
    check_pixels(image, MAX_PIXELS)
    latent = first_frame(image)
    if image.latent_format == plain.LATENT_FORMAT:
        return fitted(by_decoder(latent, image, side, plain.decode_latent), image, side)
    return fitted(by_main_component(latent), image, side)


def check_pixels(image: EncodedImage, most: int) -> None:
    """Raise SdcLimitError where the image, or its latent, has more pixels."""
    factor = by_name(image.latent_format).spatial_factor
    pixels = max(image.width * image.height, image.latent_width * image.latent_height * factor**2)
    pixels *= image.frames or 1
    if pixels > most:
        raise SdcLimitError(f"the image has {pixels} pixels, and previews are drawn up to {most}")


def first_frame(image: EncodedImage) -> np.ndarray:
    """The latent (C, h, w) of an image, or of the first frame of a video."""
    latent = decode(image)
    return latent[:, 0] if latent.ndim == 4 else latent


def by_decoder(
    latent: np.ndarray, image: EncodedImage, side: int, decode_latent: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    """(H, W, 3) uint8 of a latent (4, h, w), as large as a thumbnail needs, without what pads the true image.

    A latent larger than the half of `side` is averaged before, which saves time.
    """
    height, width = latent.shape[1:]
    scale = next((scale for scale in plain.PREFIXES if scale * max(height, width) >= side), plain.FACTOR)
    share = side / (min(plain.PREFIXES) * max(height, width))
    if share < 1:
        size = max(1, round(width * share)), max(1, round(height * share))
        channels = [Image.fromarray(channel).resize(size, Image.Resampling.BOX) for channel in latent]
        latent = np.stack([np.asarray(channel) for channel in channels])
    pixels = decode_latent(latent, scale)
    # What fills the last latents beyond the true image is no part of it.
    rows, columns = (
        round(have * true / (plain.FACTOR * latents))
        for have, true, latents in zip(pixels.shape, (image.height, image.width), (height, width), strict=False)
    )
    return pixels[: max(1, rows), : max(1, columns)]


def by_main_component(latent: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8, gray, of a latent (C, h, w) of which nothing is known: the direction in which it varies most."""
    values = latent.reshape(len(latent), -1).astype(np.float64)
    values -= values.mean(1, keepdims=True)
    shown = np.linalg.eigh(values @ values.T)[1][:, -1] @ values
    gray = (127.5 + 60 * shown / (shown.std() or 1)).clip(0, 255).astype(np.uint8)
    return np.repeat(gray.reshape(*latent.shape[1:], 1), 3, 2)


def fitted(pixels: np.ndarray, image: EncodedImage, side: int) -> Image.Image:
    """Pixels of any size as an image of at most `side` pixels each way, in the aspect ratio of the true one."""
    scale = min(1, side / max(image.width, image.height))
    size = [max(1, round(scale * true)) for true in (image.width, image.height)]
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
