"""Images as files, to .sdc and back by the project's own small autoencoder. Needs pillow; torch makes it faster."""

import io
from collections.abc import Callable

import numpy as np

from ..autoencoder.srgb import WHITE, to_srgb
from ..encoder import encode
from ..errors import SdcArgumentError, SdcUnsupportedError
from ..image import EncodedImage
from ..image_sequence import load_first
from ..presets import FAST


def encode_file(
    data: bytes,
    background: tuple[int, int, int] = WHITE,
    mask: bytes | None = None,
    encode_latent: Callable[..., list[EncodedImage]] = encode,
    effort: str = FAST,
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
    effort : str
        As for `encode_image`.

    Returns
    -------
    (EncodedImage, list of str)
        The image, and notes about what was done to it.

    Raises
    ------
    SdcArgumentError
        Not an image, too large a one, or a setting that cannot be used.
    SdcUnsupportedError
        pillow is not installed, or torch where the effort needs it.
    """
    image_module = _pillow()
    try:
        with image_module.open(io.BytesIO(data)) as image:
            pixels, notes = to_srgb(image, background)
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise SdcArgumentError(f"cannot be read as an image: {_reason(error)}") from None
    from ..autoencoder.images import encode_image  # here, for where there is torch it imports that

    settings = {}
    if mask is not None:
        settings["mask"] = _mask(mask, pixels.shape[1], pixels.shape[0])
        if settings["mask"].min() == settings["mask"].max():
            notes.append("the mask is not used: it is the same everywhere")
    return encode_image(pixels, encode_latent, effort, **settings), notes


def decode_to_file(image: EncodedImage, suffix: str) -> bytes:
    """Decode an EncodedImage to an image file of the kind that `suffix` names (".png" for one without loss).

    Raises SdcUnsupportedError for what `decode_image` cannot decode, SdcArgumentError for a suffix that Pillow cannot
    write.
    """
    image_module = _pillow()
    from ..autoencoder.images import decode_image

    pixels = decode_image(image)
    return _file_of(image_module.fromarray(pixels), image_module.registered_extensions().get(suffix.lower()), suffix)


def thumbnail_file(data: bytes, side: int, suffix: str) -> bytes:
    """Draw the first image in a `.sdc` file with at most `side` pixels each way, as an image file.

    It is a PNG where `suffix` does not name another of the usual kinds: some services give their files any name. Raises
    what `thumbnail.draw` raises.
    """
    image_module = _pillow()
    from ..autoencoder import thumbnail

    image = thumbnail.draw(load_first(data, max_pixels=thumbnail.MAX_PIXELS), side)
    image_module.preinit()  # to load all kinds takes longer than to draw a thumbnail
    return _file_of(image, image_module.EXTENSION.get(suffix.lower(), "PNG"), suffix)


def _file_of(image, kind: str | None, suffix: str) -> bytes:
    image_module = _pillow()
    if kind not in image_module.SAVE:
        raise SdcArgumentError(
            f"Pillow cannot write {suffix or 'a file without an ending'}; choose .png, .jpg or .webp"
        )
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def _mask(data: bytes, width: int, height: int) -> np.ndarray:
    """How white an image file is at each pixel of an image of this size, (height, width) in 0..1."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            gray = image.convert("L").resize((width, height), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SdcArgumentError(f"the mask cannot be read as an image: {_reason(error)}") from None
    return np.asarray(gray, np.float32) / 255


def _reason(error: Exception) -> str:
    """What Pillow says, which of an unknown format is no more than the address of some memory."""
    from PIL import UnidentifiedImageError

    return "it is empty, damaged or of an unknown format" if isinstance(error, UnidentifiedImageError) else str(error)


def _pillow():
    """PIL.Image, which the rest of the codec does without."""
    try:
        from PIL import Image
    except ImportError:
        raise SdcUnsupportedError("images need pillow beside numpy, and it is not installed") from None
    return Image
