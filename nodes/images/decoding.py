"""A latent to the image that its file stands for, by ComfyUI's own VAE Decode."""

import torch
from nodes import VAEDecode  # ComfyUI's own node, not the folder of this file

from ... import codec


def decode_latent(vae, latent: dict, images: list[codec.EncodedImage]) -> torch.Tensor:
    """IMAGE (B, H, W, 3) of a LATENT that came from `images`.

    Raises ValueError where the VAE is for latents with more or fewer channels.
    """
    wanted = images[0]
    if vae.latent_channels != wanted.channels:
        raise ValueError(
            f"The image is a latent of {wanted.latent_format}, with {wanted.channels} channels, and this VAE works "
            f"with {vae.latent_channels}. Connect the VAE of a checkpoint of {wanted.latent_format}."
        )
    return VAEDecode().decode(vae, latent)[0]
