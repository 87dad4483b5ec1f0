"""NOISE from which stock samplers start at exactly the inverted latent."""

import math
from typing import NamedTuple

import torch

from .identity import identity


class InvertedNoise:
    """NOISE that makes a stock sampler start from exactly x_T, whatever latent is connected to it.

    A sampler starts from `scaling.noise * noise + scaling.latent * latent`, so the noise is what remains of x_T
    without the connected latent.

    Parameters
    ----------
    x : torch.Tensor
        x_T in LATENT space (unscaled), (B, C, [T,] H, W) float32.
    scaling : NoiseScaling
        Weights of noise and latent at the top of the schedule.
    sigma : float
        Noise level of x_T, at which the regeneration has to start.
    cfg : float or None
        w of the inversion, for the regeneration to compare with; None if unknown.
    model : str or None
        The `identity` of the model, likewise.
    batch_index : list of int, optional
        As in LATENT: which images of an earlier batch these are.
    """

    seed = 0

    def __init__(self, x, scaling, latent_format, sigma, cfg=None, model=None, batch_index=None):
        self.x = x
        self.scaling = scaling
        self.latent_format = latent_format
        self.sigma = sigma
        self.cfg = cfg
        self.model = model
        self.batch_index = batch_index

    @classmethod
    def of(cls, model, inverted: dict, sigma: torch.Tensor, cfg: float | None = None) -> "InvertedNoise":
        """From the LATENT, (B, C, [T,] H, W), that an inversion up to `sigma` ended in.

        Raises ValueError where it has values that are not finite, or the model does not start from noise.
        """
        model_sampling = model.get_model_object("model_sampling")
        scaling = noise_scaling(model_sampling, sigma, starts_at_maximum(model_sampling, sigma))
        if scaling.noise == 0:
            raise ValueError("This model does not start from noise, so it cannot be used for inversion.")
        x = inverted["samples"].to(device="cpu", dtype=torch.float32)
        if not torch.isfinite(x).all():
            raise ValueError("The inverted latent contains NaN or infinity: check the nodes that made it.")
        latent_format, batch_index = model.get_model_object("latent_format"), inverted.get("batch_index")
        return cls(x, scaling, latent_format, float(sigma), cfg, identity(model), batch_index)

    def generate_noise(self, latent: dict) -> torch.Tensor:
        """The noise, (B, C, [T,] H, W) float32 on the CPU in model space, for a sampler that is given a LATENT.

        Raises ValueError where the two differ in shape.
        """
        samples = latent["samples"].to(device="cpu", dtype=torch.float32)
        x = self.select(latent)
        if x.shape != samples.shape:
            raise ValueError(
                f"The noise was inverted from a latent of shape {tuple(x.shape)}, but the sampler's latent has shape "
                f"{tuple(samples.shape)}. Connect the LATENT of DDIM Invert, or an empty latent of the same size."
            )
        x = self.latent_format.process_in(x)
        if torch.count_nonzero(samples) > 0:  # as CFGGuider does: an empty latent is not shifted
            x = x - self.scaling.latent * self.latent_format.process_in(samples)
        return x / self.scaling.noise

    def select(self, latent: dict) -> torch.Tensor:
        """The images of the inverted batch that `latent` contains, where it is a part of it."""
        wanted = latent.get("batch_index")
        own = list(self.batch_index or range(len(self.x)))
        if wanted is None or list(wanted) == own or not set(wanted) <= set(own):
            return self.x
        return self.x[[own.index(i) for i in wanted]]


class NoiseScaling(NamedTuple):
    """A stock sampler starts from `noise` times the noise plus `latent` times the latent."""

    noise: float
    latent: float


def noise_scaling(model_sampling, sigma, max_denoise=False) -> NoiseScaling:
    """The weights at `sigma`; `max_denoise` is ComfyUI's word for a start at the top of a schedule."""
    one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    sigma = sigma.cpu()
    noise = model_sampling.noise_scaling(sigma, one.clone(), zero, max_denoise)
    latent = model_sampling.noise_scaling(sigma, zero.clone(), one, max_denoise)
    return NoiseScaling(noise.item(), latent.item())


def starts_at_maximum(model_sampling, sigma) -> bool:
    """Whether ComfyUI calls this start max-denoise and scales the noise by sqrt(1 + sigma^2) instead of sigma."""
    maximum, sigma = float(model_sampling.sigma_max), float(sigma)
    return sigma > maximum or math.isclose(maximum, sigma, rel_tol=1e-5)
