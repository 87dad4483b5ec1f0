"""`auto_strength`: how much noise covers the compression damage."""

import torch

from ... import codec
from .noise import noise_scaling


def quantization_noise(model, latent: dict, sdc) -> float:
    """Estimated RMS error of quantization, as a standard deviation in model space; the largest one of a batch.

    A palette estimates it from the spread of its entries, the learned codec from its weights and the quality.

    Parameters
    ----------
    latent : dict
        LATENT, (B, C, H, W).
    sdc : list of EncodedImage
        What the latent was decoded from.

    Raises
    ------
    ValueError
        No `sdc`, or one with another number of channels.
    """
    if not sdc:
        raise ValueError("auto_strength estimates the damage from the file: connect sdc, or turn auto_strength off.")
    channels = latent["samples"].shape[1]
    if any(image.channels != channels for image in sdc):
        raise ValueError(f"sdc has another latent format than latent, which has {channels} channels.")
    one, zero = torch.ones(1, channels, 1, 1), torch.zeros(1, channels, 1, 1)
    latent_format = model.get_model_object("latent_format")
    scale = (latent_format.process_in(one) - latent_format.process_in(zero)).square().mean().sqrt().item()
    return scale * max(codec.estimate_error(image) for image in sdc)


def strength_of_noise(model_sampling, sigmas: torch.Tensor, level: float) -> float:
    """The share of a falling schedule, in intervals, that lies below a noise level; at least one interval.

    `level` is the standard deviation of the noise relative to an image of weight 1: sigma for EPS and V models,
    sigma / (1 - sigma) for flow models.
    """
    intervals = len(sigmas) - 1
    if intervals < 1:
        return 0.0
    scalings = [noise_scaling(model_sampling, sigma) for sigma in sigmas[:-1]]
    below = sum(scaling.noise <= level * scaling.latent for scaling in scalings)
    return max(1, below) / intervals
