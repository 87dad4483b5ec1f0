"""LATENT to and from the arrays that the codec works on."""

import comfy.model_management
import numpy as np
import torch

from ... import codec


def check_images(latent: dict) -> torch.Tensor:
    """Return the samples of a LATENT: (B, C, H, W), on any device and in any dtype.

    Raises ValueError where they are not a batch of images.
    """
    samples = latent["samples"]
    if samples.is_nested or samples.ndim != 4:
        found = "several tensors" if samples.is_nested else f"shape {tuple(samples.shape)}"
        advice = "Latents of video and audio models are not supported."
        if not samples.is_nested and samples.ndim == 5:  # (B, C, T, H, W), also from image models: Qwen-Image, Wan
            advice = (
                f"It comes from a video model, with {samples.shape[2]} frames, which .sdc files do not support yet. "
                "Decode it with its own VAE, then encode the frames with the VAE of SD1.x, SDXL, SD3 or Flux."
            )
        elif not samples.is_nested and samples.ndim == 3:
            advice = "It comes from an audio model, which .sdc files do not support."
        raise ValueError(f"The latent has {found}, but SDC needs images: batch, channels, height, width. {advice}")
    return samples


def to_arrays(latent: dict) -> list[np.ndarray]:
    """Split a LATENT into one (C, H, W) float32 array per image."""
    return list(check_images(latent).to(device="cpu", dtype=torch.float32).numpy())


def to_latent(images: list[codec.EncodedImage]) -> dict:
    """Decode images of one shape into a LATENT, (B, C, H, W) float32, that carries the name of its latent format.

    Raises codec.SdcError where a file is damaged within its coded latent.
    """
    samples = torch.from_numpy(np.stack([codec.decode(image) for image in images]))
    samples = samples.to(comfy.model_management.intermediate_device())
    return {"samples": samples, "latent_format": images[0].latent_format}
