"""LATENT to and from the arrays that the codec works on."""

import comfy.model_management
import numpy as np
import torch
from comfy.utils import ProgressBar

from ... import codec
from ..progress import check_cancel


def check_latent(latent: dict) -> torch.Tensor:
    """Return the samples of a LATENT: (B, C, H, W) or (B, C, T, H, W), on any device and in any dtype.

    Raises ValueError where they are neither images nor video.
    """
    samples = latent["samples"]
    if samples.is_nested:
        shapes = " and ".join(str(tuple(part.shape)) for part in samples.unbind())
        raise ValueError(
            f"The latent is nested: it holds tensors of shapes {shapes}, such as video and its audio. A .sdc file "
            "stores one. Take the video out first, with Separate AV Latent."
        )
    if samples.ndim not in (4, 5):
        advice = "It comes from an audio model, which .sdc files do not support." if samples.ndim == 3 else ""
        raise ValueError(
            f"The latent has shape {tuple(samples.shape)}, but SDC needs images (batch, channels, height, width) or "
            f"video (batch, channels, frames, height, width). {advice}".rstrip()
        )
    return samples


def to_arrays(latent: dict) -> list[np.ndarray]:
    """Split a LATENT into one (C, H, W) or (C, T, H, W) float32 array for each of its batch."""
    return list(check_latent(latent).to(device="cpu", dtype=torch.float32).numpy())


def to_latent(images: list[codec.EncodedImage], shows_progress: bool = True) -> dict:
    """Decode images of one shape into a LATENT that carries the name of its latent format.

    Its samples are (B, C, H, W) or (B, C, T, H, W) float32, as what was encoded. Cancel ends it at any moment. Raises
    codec.SdcError where a file is damaged within its coded latent.
    """
    progress = ProgressBar(100 * len(images)) if shows_progress else None
    decoded: list[np.ndarray] = []

    def check(share: float | None):
        check_cancel()
        if progress and share is not None:
            progress.update_absolute(round(100 * (len(decoded) + share)))

    with codec.interruptible(check):
        for image in images:
            check(0.0)
            decoded.append(codec.decode(image))
    samples = torch.from_numpy(np.stack(decoded))
    samples = samples.to(comfy.model_management.intermediate_device())
    latent_format = images[0].latent_format
    return {"samples": samples} | ({} if latent_format == "unknown" else {"latent_format": latent_format})
