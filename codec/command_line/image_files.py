"""Images as files, to .sdc and back by the project's own small autoencoder. Needs torch, pillow and safetensors."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autoencoder.srgb import WHITE, to_srgb
from ..encoder import encode
from ..errors import SdcArgumentError, SdcUnsupportedError
from ..geometry import restored, trimmed
from ..image import EncodedImage, decode

FACTOR = 8  # pixels a latent


def encode_file(
    data: bytes,
    background: tuple[int, int, int] = WHITE,
    mask: bytes | None = None,
    encode_latent: Callable[..., list[EncodedImage]] = encode,
) -> tuple[EncodedImage, list[str]]:
    """Encode an image file of any kind that Pillow reads.

    Parameters
    ----------
    data : bytes
    background : (int, int, int)
        Color, 0 to 255, that shows through where the image is transparent.
    mask : bytes, optional
        An image file of any size; what is white in it keeps more detail. For the preset *best* only.
    encode_latent : callable
        `encode` with a preset and settings; it is given latent_format, width and height.

    Returns
    -------
    (EncodedImage, list of str)
        The image, and notes about what was done to it.

    Raises
    ------
    SdcArgumentError
        Not an image, too large a one, or a setting that cannot be used.
    SdcUnsupportedError
        torch, pillow or safetensors is not installed.
    """
    image_module, tiny_vae = _needed()
    try:
        with image_module.open(io.BytesIO(data)) as image:
            pixels, notes = to_srgb(image, background)
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise SdcArgumentError(f"cannot be read as an image: {error}") from None
    height, width = pixels.shape[:2]
    about: dict[str, Any] = {"latent_format": tiny_vae.LATENT_FORMAT, "width": width, "height": height}
    if mask is not None:
        about["mask"] = _mask(mask, width, height)
        if about["mask"].min() == about["mask"].max():
            notes.append("the mask is not used: it is the same everywhere")
    (encoded,) = encode_latent([tiny_vae.encode_pixels(_trim(pixels))], **about)
    return encoded, notes


def decode_to_file(image: EncodedImage, suffix: str) -> bytes:
    """Decode an EncodedImage to an image file of the kind that `suffix` names (".png" for one without loss).

    Raises SdcUnsupportedError for a latent of another family, whose autoencoder is not here, and SdcArgumentError for
    a suffix that Pillow cannot write.
    """
    image_module, tiny_vae = _needed()
    if image.latent_format != tiny_vae.LATENT_FORMAT:
        raise SdcUnsupportedError(
            f"the file holds a latent of {image.latent_format}, and the small autoencoder knows "
            f"{tiny_vae.LATENT_FORMAT} only; decode it in ComfyUI with the VAE of that family"
        )
    if image.frames not in (None, 1):
        raise SdcUnsupportedError(f"the latent has {image.frames} frames, and the small autoencoder decodes images")
    latent = decode(image).reshape(image.channels, image.latent_height, image.latent_width)
    pixels = _restore_size(tiny_vae.decode_latent(latent), image.height, image.width)
    kinds = image_module.registered_extensions()
    kind = kinds.get(suffix.lower())
    if kind not in image_module.SAVE:
        raise SdcArgumentError(
            f"Pillow cannot write {suffix or 'a file without an ending'}; choose .png, .jpg or .webp"
        )
    buffer = io.BytesIO()
    image_module.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def _mask(data: bytes, width: int, height: int) -> np.ndarray:
    """How white an image file is at each pixel of an image of this size, (height, width) in 0..1."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            gray = image.convert("L").resize((width, height), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SdcArgumentError(f"the mask cannot be read as an image: {error}") from None
    return np.asarray(gray, np.float32) / 255


def _trim(pixels: np.ndarray) -> np.ndarray:
    """What ComfyUI's VAE Encode keeps. Sides below 8 are left for the autoencoder to pad."""
    height, width = pixels.shape[:2]
    return pixels[trimmed(height, FACTOR), trimmed(width, FACTOR)]


def _restore_size(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 3) decoded pixels in the true size of the image."""
    return pixels[restored(pixels.shape[0], height)][:, restored(pixels.shape[1], width)]


def _needed():
    """PIL.Image and the autoencoder, which the rest of the codec does without."""
    try:
        from PIL import Image

        from ..autoencoder import tiny_vae
    except ImportError as error:
        raise SdcUnsupportedError(
            f"images need torch, pillow and safetensors beside numpy, and {error.name} is not installed; "
            "run this with the Python that runs ComfyUI"
        ) from None
    return Image, tiny_vae
