"""Stable Diffusion Codec: an image's latent in about 3 kB.

Examples
--------
>>> import numpy as np
>>> import codec
>>> latent = np.random.default_rng(0).normal(size=(4, 64, 64)).astype(np.float32)
>>> image = codec.encode(latent, **codec.PAPER_PRESET)
>>> image.width, image.height, image.size <= 3400
(512, 512, True)
>>> restored = codec.decode(codec.load(image.data))
>>> restored.shape, restored.dtype
((4, 64, 64), dtype('float32'))
"""

from .container import MAX_FILE_BYTES, MAX_IMAGES
from .encoder import encode, encode_learned, encode_together
from .errors import (
    SdcArgumentError,
    SdcChecksumError,
    SdcCorruptError,
    SdcError,
    SdcHeaderError,
    SdcIndexError,
    SdcLatentError,
    SdcLimitError,
    SdcMetadataError,
    SdcPaletteError,
    SdcSectionError,
    SdcSignatureError,
    SdcTruncatedError,
    SdcUnsupportedError,
)
from .files import load_file, read_bounded, remove_strays, save_file, write_whole
from .image import MAX_PIXELS, EncodedImage, decode, estimate_error, load, relabeled, with_metadata, with_vae
from .image_sequence import join_images, load_all, load_first
from .latent_formats import LATENT_FORMATS, by_name
from .learned import LEARNED_FORMATS, QUALITIES
from .metadata import check_metadata
from .palette import DITHERS, PAPER_PRESET
from .vae_identity import fingerprint, same_vae

__all__ = [
    "DITHERS",
    "LATENT_FORMATS",
    "LEARNED_FORMATS",
    "MAX_FILE_BYTES",
    "MAX_IMAGES",
    "MAX_PIXELS",
    "PAPER_PRESET",
    "QUALITIES",
    "EncodedImage",
    "SdcArgumentError",
    "SdcChecksumError",
    "SdcCorruptError",
    "SdcError",
    "SdcHeaderError",
    "SdcIndexError",
    "SdcLatentError",
    "SdcLimitError",
    "SdcMetadataError",
    "SdcPaletteError",
    "SdcSectionError",
    "SdcSignatureError",
    "SdcTruncatedError",
    "SdcUnsupportedError",
    "by_name",
    "check_metadata",
    "decode",
    "encode",
    "encode_learned",
    "encode_together",
    "estimate_error",
    "fingerprint",
    "join_images",
    "load",
    "load_all",
    "load_file",
    "load_first",
    "read_bounded",
    "relabeled",
    "same_vae",
    "remove_strays",
    "save_file",
    "with_metadata",
    "with_vae",
    "write_whole",
]
