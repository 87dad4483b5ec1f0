"""A small picture of what a `.sdc` file holds, made without any model."""

import comfy.latent_formats
import numpy as np
from PIL import Image

from .. import codec

SIDE = 256
MAX_PIXELS = 4096**2  # of the true picture; the latent of a larger one is not decoded just to look at it

# ComfyUI's own rough colours, which its sampling previews use when no TAESD is there.
FAMILIES = {
    "SD1.x": comfy.latent_formats.SD15,
    "SDXL": comfy.latent_formats.SDXL,
    "SD3": comfy.latent_formats.SD3,
    "Flux": comfy.latent_formats.Flux,
}


def thumbnail(picture: codec.EncodedPicture) -> Image.Image:
    """An RGB picture of at most 256x256, in the true picture's shape.

    Raises codec.SdcLimitError for a picture of more than 4096x4096 pixels.
    """
    latent = codec.decode(codec.read(picture.data, max_pixels=MAX_PIXELS))
    family = FAMILIES[picture.latent_format]()
    factors = np.asarray(family.latent_rgb_factors, np.float32)  # (C, 3)
    bias = np.asarray(family.latent_rgb_factors_bias or 0, np.float32)
    colours = np.einsum("chw,cd->hwd", family.process_in(latent), factors) + bias  # -1..1
    pixels = ((colours + 1) / 2).clip(0, 1) * 255
    scale = min(1, SIDE / max(picture.width, picture.height))
    size = [max(1, round(scale * side)) for side in (picture.width, picture.height)]
    return Image.fromarray(pixels.round().astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
