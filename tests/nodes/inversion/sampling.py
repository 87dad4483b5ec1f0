"""What tests of both directions share: stock sampling, and a distance."""

import comfy.samplers
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, SamplerCustomAdvanced


def basic(model, positive):
    """GUIDER without a negative."""
    return BasicGuider.execute(model, positive).result[0]


def restore(guider, noise, sigmas, latent: dict) -> torch.Tensor:
    """Samples by ComfyUI's own `euler`."""
    euler = comfy.samplers.sampler_object("euler")
    return SamplerCustomAdvanced.execute(noise, guider, euler, sigmas, latent).result[0]["samples"]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative L2."""
    return ((a - b).norm() / b.norm()).item()
