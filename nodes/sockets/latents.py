"""LATENT to and from what the codec works on."""

import comfy.model_management
import numpy as np
import torch

from ... import codec


def check_images(latent: dict) -> torch.Tensor:
    """Return the samples of a LATENT, or raise ValueError when they are not a batch of images: (B, C, H, W)."""
    samples = latent["samples"]
    if samples.is_nested or samples.ndim != 4:
        found = "several tensors" if samples.is_nested else f"shape {tuple(samples.shape)}"
        advice = "Latents of video and audio models cannot be used."
        if not samples.is_nested and samples.ndim == 5:  # (B, C, T, H, W), by models of images too: Qwen-Image, Wan
            advice = (
                f"It is one of a model for video, with {samples.shape[2]} frames in time, which .sdc files cannot hold "
                "yet. Decode it with its own VAE, encode the frames by that of SD1.x, SDXL, SD3 or Flux, pack those."
            )
        elif not samples.is_nested and samples.ndim == 3:
            advice = "It is one of a model for sound, which .sdc files cannot hold."
        raise ValueError(f"The latent holds {found}, but SDC works on images: batch, channels, height, width. {advice}")
    return samples


def to_arrays(latent: dict) -> list[np.ndarray]:
    """Split a LATENT into one (C, H, W) float32 array an image."""
    return list(check_images(latent).to(device="cpu", dtype=torch.float32).numpy())


def to_latent(images: list[codec.EncodedImage]) -> dict:
    """Decode images into one LATENT, (B, C, H, W) float32, from their very bytes; it remembers the model family."""
    samples = torch.from_numpy(np.stack([codec.decode(image) for image in images]))
    samples = samples.to(comfy.model_management.intermediate_device())
    return {"samples": samples, "latent_format": images[0].latent_format}
