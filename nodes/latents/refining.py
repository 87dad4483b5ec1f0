"""A LATENT refined before it is stored: effort "thorough" of SD Latent Quantize."""

from collections.abc import Callable

import comfy.model_management
import numpy as np
import torch

from ... import codec
from ...codec.autoencoder import refinement, tiny_vae
from ...codec.geometry import trimmed
from ..progress import check_cancel
from .arrays import to_arrays
from .through_pixels import decoded_pixels, is_vae, small_vae
from .vae import fingerprint_of

FACTOR = 8  # pixels a latent
LEARNED = "learned"  # the coder whose choices can be refined


def why_not(preset: codec.Preset, latent_format: str, vae) -> str | None:
    """Why nothing can be refined, for whoever asked for it; None where it can.

    `vae` is what will decode the file, or None where the small VAE of the pack will.
    """
    if preset.coder != LEARNED:
        return f"thorough is for best, not for {preset.name}."
    if latent_format != tiny_vae.LATENT_FORMAT:
        return f"thorough is for images that the pack's small VAE decodes: connect the VAE of {latent_format} to vae."
    if is_vae(vae) and not codec.same_vae(fingerprint_of(vae), fingerprint_of(small_vae())):
        return (
            "thorough is for images that the pack's small VAE decodes, and this one is stored for your VAE of SD 1.x."
        )
    return None


def refined(
    latent: dict, encode: Callable, image: torch.Tensor | None, vae, tell: Callable[[float], object]
) -> list[codec.EncodedImage]:
    """Encode a LATENT of SD 1.x so that its files show the image as closely as they can.

    Parameters
    ----------
    latent : dict
    encode : callable
        `codec.encode` with its settings.
    image : (B, H, W, C) tensor, optional
        What is to be seen. By default what `vae` decodes the latent to, or else the small VAE of the pack.
    vae : VAE or MODEL, optional
    tell : callable
        Called with the share of the work that is done, 0 to 1.
    """
    if image is None:
        image = decoded_pixels(vae if is_vae(vae) else small_vae(), latent)
    image = image[:, trimmed(image.shape[1], FACTOR), trimmed(image.shape[2], FACTOR), :3]
    pixels = (image.float().clamp(0, 1) * 255).round().to(device="cpu", dtype=torch.uint8).numpy()
    count = len(latent["samples"])
    if len(pixels) not in (1, count):
        raise ValueError(
            f"There are {len(pixels)} images for {count} latents, and effort thorough compares each with its own. "
            "Connect to image what was connected to VAE Encode, or nothing."
        )
    pixels = np.broadcast_to(pixels, (count, *pixels.shape[1:]))
    device = comfy.model_management.get_torch_device()
    comfy.model_management.free_memory(refinement.PEAK_BYTES, device)

    def poll(share):
        check_cancel()
        tell(share)

    return refinement.encode_refined(to_arrays(latent), list(pixels), encode, device=str(device), poll=poll)
