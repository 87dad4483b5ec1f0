"""How far towards noise to go, judged by how far compression has moved the image: `auto_strength`."""

import torch

from ... import codec
from .noise import noise_scaling


def quantization_noise(model, latent: dict, sdc) -> float:
    """Estimated quantization error in the units of the model's noise; the largest one of a batch."""
    if not sdc:
        raise ValueError("auto_strength asks the file what was lost: connect sdc, or switch auto_strength off.")
    channels = latent["samples"].shape[1]
    if any(image.channels != channels for image in sdc):
        raise ValueError(f"sdc is of another model family than latent, which has {channels} channels.")
    one, zero = torch.ones(1, channels, 1, 1), torch.zeros(1, channels, 1, 1)
    latent_format = model.get_model_object("latent_format")
    scale = (latent_format.process_in(one) - latent_format.process_in(zero)).square().mean().sqrt().item()
    return scale * max(codec.estimate_error(image) for image in sdc)


def strength_of_noise(model_sampling, sigmas: torch.Tensor, level: float) -> float:
    """The share of a falling schedule, by its intervals, that lies below a noise level relative to the image.

    `level` is the standard deviation of the noise beside an image of weight 1: sigma for EPS and V models,
    sigma / (1 - sigma) for flow. At least one interval, so that there is something to regenerate.
    """
    intervals = len(sigmas) - 1
    if intervals < 1:
        return 0.0
    scalings = [noise_scaling(model_sampling, sigma) for sigma in sigmas[:-1]]
    below = sum(scaling.noise <= level * scaling.latent for scaling in scalings)
    return max(1, below) / intervals
