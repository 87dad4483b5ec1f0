"""Images as pixels to `.sdc` and back, by the pack's own small autoencoder."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..encoder import encode
from ..errors import SdcArgumentError, SdcUnsupportedError
from ..geometry import restored, trimmed
from ..image import EncodedImage, decode
from ..presets import EFFORTS, FAST, THOROUGH
from . import tiny_vae

FACTOR = 8  # pixels a latent


def encode_image(
    pixels: np.ndarray,
    encode_latent: Callable[..., list[EncodedImage]] = encode,
    effort: str = FAST,
    **settings: Any,
) -> EncodedImage:
    """Encode an image.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        sRGB.
    encode_latent : callable
        `encode`, perhaps with some settings; it is given latent_format, width and height as well.
    effort : str
        "fast", or "thorough", for the preset *best*: the latent is refined until the file shows the image as closely as
        it can, which takes about a thousand times as long on a processor, and torch.
    **settings
        Of `encode`.

    Raises
    ------
    SdcArgumentError
        An argument that cannot be used.
    SdcUnsupportedError
        "thorough" without torch.
    """
    if effort not in EFFORTS:
        raise SdcArgumentError(f"effort is {effort!r}; choose one of: {', '.join(EFFORTS)}")
    if effort == THOROUGH and tiny_vae.torch is None:
        raise SdcUnsupportedError("effort thorough needs torch, which is not installed: pip install torch")
    height, width = pixels.shape[:2]
    # What ComfyUI's VAE Encode keeps. Sides below 8 are left for the autoencoder to pad.
    kept = pixels[trimmed(height, FACTOR), trimmed(width, FACTOR)]
    about = {"latent_format": tiny_vae.LATENT_FORMAT, "width": width, "height": height}
    latent = tiny_vae.encode_pixels(kept)
    encode_them = partial(encode_latent, **about, **settings)
    if effort == FAST:
        (encoded,) = encode_them([latent])
        return encoded
    from .refinement import encode_refined  # here, for it imports torch

    below, right = (-side % FACTOR for side in kept.shape[:2])
    padded = np.pad(kept, ((0, below), (0, right), (0, 0)), mode="edge")
    (encoded,) = encode_refined([latent], [padded], encode_them)
    return encoded


def decode_image(image: EncodedImage, scale: int = FACTOR) -> np.ndarray:
    """Decode an image.

    Parameters
    ----------
    image : EncodedImage
    scale : int
        Pixels per latent: 8, or 4 or 2 for an image of a half or a quarter of the sides, which is faster.

    Returns
    -------
    (height * scale / 8, width * scale / 8, 3) uint8 array
        Rounded up. The true size of the image where scale is 8.

    Raises
    ------
    SdcUnsupportedError
        The latent is of another format, or has several frames.
    SdcFormatError
        What is coded is damaged.
    """
    if image.latent_format != tiny_vae.LATENT_FORMAT:
        raise SdcUnsupportedError(
            f"the file holds a latent of {image.latent_format}, and the small autoencoder knows "
            f"{tiny_vae.LATENT_FORMAT} only; decode it in ComfyUI with the VAE of that model"
        )
    if image.frames not in (None, 1):
        raise SdcUnsupportedError(f"the latent has {image.frames} frames, and the small autoencoder decodes images")
    latent = decode(image).reshape(image.channels, image.latent_height, image.latent_width)
    pixels = tiny_vae.decode_latent(latent, scale)
    height, width = (-(-side * scale // FACTOR) for side in (image.height, image.width))
    return pixels[restored(pixels.shape[0], height)][:, restored(pixels.shape[1], width)]
