"""`auto_strength`: how much noise covers the compression damage."""

import torch

from ... import codec
from ..latents.formats import comfy_format
from .noise import noise_scaling


def quantization_noise(model, latent: dict, sdc) -> float:
    """Estimated RMS error of quantization, as a standard deviation in model space; the largest one of a batch.

    A palette estimates it from the spread of its entries, the learned codec from its weights and the quality. An image
    that is stored as a latent of another model has the error that it has in that model's space: both have a variance of
    about one.

    Parameters
    ----------
    latent : dict
        LATENT, (B, C, [T,] H, W).
    sdc : list of EncodedImage
        What the latent was decoded from.

    Raises
    ------
    ValueError
        No `sdc`.
    """
    if not sdc:
        raise ValueError("auto_strength estimates the damage from the file: connect sdc, or turn auto_strength off.")
    channels = latent["samples"].shape[1]

    def error(image):
        own = model.get_model_object("latent_format")
        scaling = own if image.channels == channels else comfy_format(image.latent_format) or own
        return scale_of(scaling, image.channels) * codec.estimate_error(image)

    return max(error(image) for image in sdc)


def scale_of(latent_format, channels: int) -> float:
    """By how much one of ComfyUI's latent formats enlarges a latent of so many channels for its model."""
    shape = 1, channels, *[1] * latent_format.latent_dimensions
    one, zero = torch.ones(shape), torch.zeros(shape)
    return (latent_format.process_in(one) - latent_format.process_in(zero)).square().mean().sqrt().item()


def strength_of_noise(model_sampling, sigmas: torch.Tensor, level: float, least: int = 1) -> float:
    """The share of a falling schedule, in intervals, that lies below a noise level; of `least` intervals, if there are.

    `level` is the standard deviation of the noise relative to an image of weight 1: sigma for EPS and V models,
    sigma / (1 - sigma) for flow models.
    """
    intervals = len(sigmas) - 1
    if intervals < 1:
        return 0.0
    scalings = [noise_scaling(model_sampling, sigma) for sigma in sigmas[:-1]]
    below = sum(scaling.noise <= level * scaling.latent for scaling in scalings)
    return min(max(least, below), intervals) / intervals
