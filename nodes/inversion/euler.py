"""DDIM inversion, Eq. (1) of "Post-processing Based Image Coding via Stable Diffusion" (Jin et al.), and exact.

With x = z / sqrt(a) and sigma = sqrt(1/a - 1), Eq. (1) is a forward Euler step up the noise levels,
x' = x + (sigma' - sigma) eps(x, sigma), the mirror image of what ComfyUI's `euler` sampler does downwards. That
sampler asks for eps at the upper end of each step, so x' = x + (sigma' - sigma) eps(x', sigma') undoes it exactly:
a fixed point, found with more model calls. The same holds for every kind of model, flow models included, with
eps = (x - denoised) / sigma.
"""

import comfy.samplers
import torch
from comfy.utils import model_trange
from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

from .epsilon import EpsilonPredictor, check_hooks
from .implicit_step import ImplicitStep, norm
from .noise import InvertedNoise, noise_scaling
from .report import Report

MAX_REFINE = 10
TOLERANCE = 1e-6  # of a step, relative: what float32 can still tell apart


class InversionSampler(comfy.samplers.Sampler):
    """SAMPLER that inverts an image along rising noise levels; the noise that it is given is ignored.

    Parameters
    ----------
    refine : int
        0 calls the model once per step, at its lower end: Eq. (1). n spends up to n more calls per step, on
        average, on the fixed point at its upper end, so that `euler` reproduces the image.

    Attributes
    ----------
    report : Report or None
        Figures of the last inversion.
    """

    def __init__(self, refine: int = 0):
        self.refine = refine
        self.report: Report | None = None

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        """Called by ComfyUI, in model space.

        Parameters
        ----------
        sigmas : torch.Tensor
            (N + 1,) rising.
        latent_image : torch.Tensor
            (B, C, [T,] H, W) the clean image, scaled by `process_in`.

        Returns
        -------
        torch.Tensor
            (B, C, [T,] H, W) float32, x at the last level: image + sigma * noise for EPS and V models.

        Raises
        ------
        ValueError
            Falling sigmas, hook keyframes, or values that are not finite.
        """
        check_rising(sigmas)
        check_hooks(model_wrap)
        steps = len(sigmas) - 1
        model = EpsilonPredictor(model_wrap, sigmas, extra_args, callback, steps * (1 + self.refine))
        x = latent_image.float() * noise_scaling(model.model_sampling, sigmas[0]).latent
        walk = self.walk_refined if self.refine else self.walk
        x, residuals = walk(model, x, sigmas.diff(), model_trange(steps, disable=disable_pbar))
        model.check_finite()
        z = x * model.input_scale(-1)
        self.report = Report.of(z, residuals, float(sigmas[-1]), steps, model.calls)
        return x

    def walk(self, model: EpsilonPredictor, x, steps, indices):
        """Eq. (1), from x (B, C, [T,] H, W) by `steps`, the N differences of sigma.

        Returns x at the last level, and the residual (B,) of each step but the last: how far `euler` would be from
        undoing it. eps at the start of a step is eps at the end of the one before, so this takes no more model calls.
        """
        residuals, previous = [], None
        for i in indices:
            eps = model.epsilon(x, i)
            if i > 0:
                length = norm(previous)
                # An empty image can only be compared with what it was turned into.
                length = torch.where(length > 0, length, norm(x))
                residuals.append(norm(previous + steps[i - 1] * eps - x) / length)
            previous, x = x, x + steps[i] * eps
        return x, residuals

    def walk_refined(self, model: EpsilonPredictor, x, steps, indices):
        """As `walk`, by the fixed point at the end of each step, with a residual for every step.

        The first guess of a step is free: eps at the end of the step before. Calls that a step saves are left for later
        ones, so items of a batch get at least their own 1 + refine calls per step, and more where others need fewer.
        """
        residuals, eps = [], None
        for i in indices:
            if i == 0:
                eps = model.epsilon(x, 0)
            end = ImplicitStep(x, steps[i], eps, TOLERANCE)
            while model.calls < (i + 1) * (1 + self.refine) and not end.done.all():
                end.judge(model.epsilon(end.x, i + 1))
            residuals.append(end.residual)
            if steps[i] != 0:
                eps = (end.solution - x) / steps[i]
            x = end.solution
        return x, residuals


def invert(
    model, guider, latent: dict, sigmas: torch.Tensor, cfg: float, refine: int = 0
) -> tuple[InvertedNoise, dict, Report]:
    """Invert a LATENT along `sigmas` and return the NOISE and LATENT to regenerate from.

    Parameters
    ----------
    latent : dict
        LATENT, (B, C, [T,] H, W).
    sigmas : torch.Tensor
        (N + 1,), falling, as the regeneration will use them; N >= 1.
    cfg : float
        That of the guider, for the regeneration to compare with.
    refine : int
        As in `InversionSampler`.

    Returns
    -------
    noise : InvertedNoise
        Restarts any stock sampler from x_T.
    latent : dict
        x_T itself where adding no noise to it restarts from x_T too (EPS and V models); for flow
        models, whose start is a mix of noise and latent, the latent as it came.
    report : Report

    Raises ValueError where the model gives values that are not finite.
    """
    sampler = InversionSampler(refine)
    no_noise = DisableNoise.execute().result[0]
    inverted = SamplerCustomAdvanced.execute(no_noise, guider, sampler, sigmas.flip(0), latent).result[0]
    assert sampler.report is not None  # it has run
    noise = InvertedNoise.of(model, inverted, sigmas[0], cfg)
    return noise, inverted if noise.scaling.latent == 1.0 else latent, sampler.report


def check_rising(sigmas: torch.Tensor):
    if not (sigmas.diff() >= 0).all():
        raise ValueError(
            "SDC Inversion Sampler needs rising sigmas, but these fall: connect the rising SIGMAS of SDC Inversion "
            "Sigmas to the sampler that inverts, and the falling ones to the sampler that samples back."
        )
