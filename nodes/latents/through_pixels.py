"""Latents of any model by way of pixels: the pack's small VAE encodes what the model's own VAE shows, and back.

Its latents, those of SD 1.x, are what the learned codec stores best, and it decodes them without any checkpoint. What
is stored so is a file of SD 1.x, whichever model painted the image; and every such file opens with every VAE.
"""

import functools

import comfy.sd
import torch
from nodes import VAEDecode, VAEEncode  # ComfyUI's own nodes, not the folder of this file

from ... import codec
from ...codec.autoencoder.tiny_vae import LATENT_FORMAT
from ...codec.geometry import trimmed
from ..images.sizes import restore_size
from ..tiny import models
from .arrays import to_latent
from .formats import UNKNOWN

PRESET = "best"  # other presets store the latent that they are given


@functools.cache
def small_vae() -> comfy.sd.VAE:
    """The small VAE of the pack, on whatever device ComfyUI gives it."""
    return comfy.sd.VAE(sd=models.vae())


def is_vae(source) -> bool:
    """Whether it is a VAE, and not a MODEL or nothing."""
    return source is not None and not hasattr(source, "get_model_object")


def keeps_more(preset: str, latent_format: str, latent: dict, source) -> bool:
    """Whether an image is stored better this way: preset best, another format than SD 1.x, and a VAE that decodes it.

    Videos are left to their own format.
    """
    frames = latent["samples"].shape[2] if latent["samples"].ndim == 5 else 1
    return is_vae(source) and preset == PRESET and latent_format not in (LATENT_FORMAT, UNKNOWN) and frames == 1


def decoded_pixels(vae, latent: dict) -> torch.Tensor:
    """IMAGE (B, H, W, 3) of a LATENT, within 0..1."""
    return VAEDecode().decode(vae, latent)[0][..., :3].clamp(0, 1)


def encode_pixels(pixels: torch.Tensor, latent: dict) -> dict:
    """LATENT of SD 1.x of what a LATENT shows, an IMAGE (B, H, W, 3)."""
    return {**latent, **VAEEncode().encode(small_vae(), pixels)[0], "latent_format": LATENT_FORMAT}


def has_pixels(images: list[codec.EncodedImage]) -> bool:
    """Whether the small VAE can decode the images."""
    return all(image.latent_format == LATENT_FORMAT for image in images)


def pixels_of(images: list[codec.EncodedImage]) -> torch.Tensor:
    """IMAGE (B, H, W, 3) that the small VAE decodes the images to, in their original size."""
    return restore_size(VAEDecode().decode(small_vae(), to_latent(images))[0], images)


def latent_of(vae, latent_format: str | None, images: list[codec.EncodedImage]) -> dict:
    """LATENT of `vae`, whose latent format may be unknown, of what the small VAE decodes."""
    pixels = pixels_of(images)
    if latent_format is not None:  # as VAE Encode does it; ComfyUI's own for TAEF2 fails at an odd number of 8 pixels
        factor = codec.by_name(latent_format).spatial_factor
        pixels = pixels[:, trimmed(pixels.shape[1], factor), trimmed(pixels.shape[2], factor)]
    # To a VAE of video a batch is the frames of one.
    parts = pixels.split(1) if vae.latent_dim == 3 else [pixels]
    encoded = [VAEEncode().encode(vae, part)[0] for part in parts]
    return {**encoded[0], "samples": torch.cat([each["samples"] for each in encoded])}
