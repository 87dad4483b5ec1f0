"""Pictures as files, to .sdc and back by the project's own small autoencoder. Needs torch, pillow and safetensors."""

import io

import numpy as np

from .encoder import encode
from .errors import SdcArgumentError, SdcUnsupportedError
from .picture import decode

FAMILY = "SD1.x"  # the latent space of the autoencoder
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff")


def from_bytes(data, **settings):
    """Encode a picture file of any kind that Pillow reads.

    Parameters
    ----------
    data : bytes
    **settings
        As `codec.encode` takes them, apart from latent_format, width and height.

    Returns
    -------
    EncodedPicture

    Raises
    ------
    SdcArgumentError
        Not a picture, too large a one, or a setting that cannot be used.
    SdcUnsupportedError
        torch, pillow or safetensors is not installed.
    """
    image_module, tiny_vae = _needed()
    try:
        with image_module.open(io.BytesIO(data)) as image:
            from PIL import ImageOps

            pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise SdcArgumentError(f"cannot be read as a picture: {error}") from None
    height, width = pixels.shape[:2]
    return encode(tiny_vae.encode(pixels), latent_format=FAMILY, width=width, height=height, **settings)


def to_bytes(picture, suffix):
    """Decode an EncodedPicture to a picture file of the kind that `suffix` names (".png" for one without loss).

    Raises SdcUnsupportedError for a latent of another family, whose autoencoder is not here, and SdcArgumentError for
    a suffix that Pillow cannot write.
    """
    image_module, tiny_vae = _needed()
    if picture.latent_format != FAMILY:
        raise SdcUnsupportedError(
            f"the file holds a latent of {picture.latent_format}, and the small autoencoder knows {FAMILY} only; "
            "decode it in ComfyUI with the VAE of that family"
        )
    pixels = tiny_vae.decode(decode(picture))[: picture.height, : picture.width]
    kinds = image_module.registered_extensions()
    kind = kinds.get(suffix.lower())
    if kind not in image_module.SAVE:
        raise SdcArgumentError(
            f"Pillow cannot write {suffix or 'a file without an ending'}; choose .png, .jpg or .webp"
        )
    buffer = io.BytesIO()
    image_module.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def _needed():
    """PIL.Image and the autoencoder, which the rest of the codec does without."""
    try:
        from PIL import Image

        from . import tiny_vae
    except ImportError as error:
        raise SdcUnsupportedError(
            f"pictures need torch, pillow and safetensors beside numpy, and {error.name} is not installed; "
            "run this with the Python that runs ComfyUI"
        ) from None
    return Image, tiny_vae
