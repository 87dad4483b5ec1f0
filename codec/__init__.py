"""Stable Diffusion Codec: an image's latent in about 3 kB.

Examples
--------
>>> import numpy as np
>>> import codec
>>> latent = np.random.default_rng(0).normal(size=(4, 64, 64)).astype(np.float32)
>>> (image,) = codec.encode([latent])
>>> image.width, image.height, image.num_bytes <= 3112
(512, 512, True)
>>> restored = codec.decode(codec.load(image.data))
>>> restored.shape, restored.dtype
((4, 64, 64), dtype('float32'))
"""

from .container import MAX_FILE_BYTES, MAX_IMAGES
from .encoder import MAX_BITS_PER_PIXEL, encode
from .errors import (
    SdcArgumentError,
    SdcChecksumError,
    SdcError,
    SdcFormatError,
    SdcLimitError,
    SdcUnsupportedError,
)
from .files import load_file, read_bounded, remove_strays, save_file, write_whole
from .image import MAX_PIXELS, EncodedImage, decode, estimate_error, load, relabeled, with_metadata, with_vae
from .image_sequence import join_images, load_all, load_first
from .interruption import interruptible
from .latent_formats import LATENT_FORMATS, LatentFormat, by_name
from .learned import LEARNED_FORMATS
from .metadata import check_metadata
from .palette import DITHERS
from .presets import DEFAULT as DEFAULT_PRESET
from .presets import PRESETS, Preset, usable_preset
from .vae_identity import fingerprint, same_vae

__all__ = [
    "DEFAULT_PRESET",
    "DITHERS",
    "LATENT_FORMATS",
    "LEARNED_FORMATS",
    "MAX_BITS_PER_PIXEL",
    "MAX_FILE_BYTES",
    "MAX_IMAGES",
    "MAX_PIXELS",
    "PRESETS",
    "EncodedImage",
    "LatentFormat",
    "Preset",
    "SdcArgumentError",
    "SdcChecksumError",
    "SdcError",
    "SdcFormatError",
    "SdcLimitError",
    "SdcUnsupportedError",
    "by_name",
    "check_metadata",
    "decode",
    "encode",
    "estimate_error",
    "fingerprint",
    "interruptible",
    "join_images",
    "load",
    "load_all",
    "load_file",
    "load_first",
    "read_bounded",
    "relabeled",
    "remove_strays",
    "same_vae",
    "save_file",
    "usable_preset",
    "with_metadata",
    "with_vae",
    "write_whole",
]
