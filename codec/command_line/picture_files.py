"""Pictures as files, to .sdc and back by the project's own small autoencoder. Needs torch, pillow and safetensors."""

import io

import numpy as np

from ..encoder import encode
from ..errors import SdcArgumentError, SdcUnsupportedError
from ..picture import decode

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff")


def encode_file(data, **settings):
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
    latent = tiny_vae.encode_pixels(pixels)
    return encode(latent, latent_format=tiny_vae.LATENT_FORMAT, width=width, height=height, **settings)


def decode_to_file(picture, suffix):
    """Decode an EncodedPicture to a picture file of the kind that `suffix` names (".png" for one without loss).

    Raises SdcUnsupportedError for a latent of another family, whose autoencoder is not here, and SdcArgumentError for
    a suffix that Pillow cannot write.
    """
    image_module, tiny_vae = _needed()
    if picture.latent_format != tiny_vae.LATENT_FORMAT:
        raise SdcUnsupportedError(
            f"the file holds a latent of {picture.latent_format}, and the small autoencoder knows "
            f"{tiny_vae.LATENT_FORMAT} only; decode it in ComfyUI with the VAE of that family"
        )
    pixels = tiny_vae.decode_latent(decode(picture))[: picture.height, : picture.width]
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

        from ..autoencoder import tiny_vae
    except ImportError as error:
        raise SdcUnsupportedError(
            f"pictures need torch, pillow and safetensors beside numpy, and {error.name} is not installed; "
            "run this with the Python that runs ComfyUI"
        ) from None
    return Image, tiny_vae
