"""DDIM inversion, Eq. (1) of "Post-processing Based Image Coding via Stable Diffusion" (Jin et al.), and exact.

With x = z / sqrt(a) and sigma = sqrt(1/a - 1), Eq. (1) is a forward Euler step up the noise levels,
x' = x + (sigma' - sigma) eps(x, sigma), the mirror image of what ComfyUI's `euler` sampler does downwards. That
sampler asks for eps at the upper end of each step, so x' = x + (sigma' - sigma) eps(x', sigma') undoes it exactly:
a fixed point, found by asking the model more often. The same holds for every family, flow models included, with
eps = (x - denoised) / sigma.
"""

import comfy.samplers
import torch
from comfy.utils import model_trange
from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

from .implicit_step import ImplicitStep, norm
from .inversion_report import Report
from .inverted_noise import InvertedNoise, no_numbers, noise_scaling

MAX_REFINE = 10
TOLERANCE = 1e-6  # of a step, relative: what float32 can still tell apart


class Asker:
    """Asks a model for eps along a list of noise levels; every call shows on the progress bar and can be cancelled.

    At level 0 the picture is clean and a model cannot be asked (ComfyUI's models return the picture itself there, and
    eps would be 0/0); nor, in float32, just above it, where core's FlipSigmas starts. Below the smallest sigma that
    the model knows it is asked at that one, with the input it would see at the true level.

    Parameters
    ----------
    sigmas, extra_args, callback :
        As a `comfy.samplers.Sampler` is given them.
    most_calls : int
        Length of the progress bar.
    """

    def __init__(self, model_wrap, sigmas: torch.Tensor, extra_args: dict, callback, most_calls: int):
        self.model_wrap, self.extra_args, self.callback, self.most_calls = model_wrap, extra_args, callback, most_calls
        self.calls = 0
        self.model_sampling = model_wrap.inner_model.model_sampling
        self.levels, self.asked = sigmas, sigmas
        smallest = float(self.model_sampling.sigma_min)
        if sigmas[0] < smallest:
            self.asked = sigmas.clone()
            self.asked[0] = min(smallest, float(sigmas[1]))
            # Hooks look the current sigma up in this list, so it holds the level the model is really asked at.
            extra_args["model_options"]["transformer_options"]["sample_sigmas"] = self.asked

    def eps(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """eps(x, sigmas[level]), (B, C, H, W)."""
        sigma = self.asked[level]
        if sigma != self.levels[level]:
            x = x * (self.input_scale(level) / input_scale(self.model_sampling, sigma))
        denoised = self.model_wrap(x, sigma.expand(x.shape[0]), **self.extra_args)
        if self.callback is not None:
            self.callback(self.calls, denoised, x, self.most_calls)
        self.calls += 1
        return (x - denoised) / sigma

    def input_scale(self, level: int) -> float:
        return input_scale(self.model_sampling, self.levels[level])


class Inversion(comfy.samplers.Sampler):
    """Sampler that walks a picture up a rising list of noise levels.

    Takes the latent it is given for the picture at the first level and ignores the noise.

    Parameters
    ----------
    refine : int
        0 asks the model once a step, at its lower end: Eq. (1). n spends up to n more calls a step, on
        average, on the fixed point at its upper end, so that `euler` comes back to the picture.

    Attributes
    ----------
    report : Report or None
        What the last walk took and how far its steps were from exact.
    """

    def __init__(self, refine: int = 0):
        self.refine = refine
        self.report: Report | None = None

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        check_rising(sigmas)
        check_hooks(model_wrap)
        steps = len(sigmas) - 1
        asker = Asker(model_wrap, sigmas, extra_args, callback, steps * (1 + self.refine))
        x = latent_image.float() * noise_scaling(asker.model_sampling, sigmas[0])[1]
        walk = self.walk_refined if self.refine else self.walk
        x, residuals = walk(asker, x, sigmas.diff(), model_trange(steps, disable=disable_pbar))
        z = x * asker.input_scale(-1)
        self.report = Report.of(z, residuals, float(sigmas[-1]), steps, asker.calls)
        return x

    def walk(self, asker: Asker, x, steps, indices):
        """Eq. (1). eps at the start of a step is eps at the end of the one before: so its residual costs nothing."""
        residuals, below = [], None
        for i in indices:
            eps = asker.eps(x, i)
            if i > 0:
                residuals.append(norm(below + steps[i - 1] * eps - x) / norm(below))
            below, x = x, x + steps[i] * eps
        return x, residuals

    def walk_refined(self, asker: Asker, x, steps, indices):
        """The first guess of each step is free: eps at the end of the step before. What a step saves, later ones spend.

        So where items of a batch have not converged within their own 1 + refine calls a step, the others can give
        them more by needing fewer themselves; never less.
        """
        residuals, eps = [], None
        for i in indices:
            if i == 0:
                eps = asker.eps(x, 0)
            end = ImplicitStep(x, steps[i], eps, TOLERANCE)
            while asker.calls < (i + 1) * (1 + self.refine) and not end.done.all():
                end.judge(asker.eps(end.x, i + 1))
            residuals.append(end.residual)
            if steps[i] != 0:
                eps = (end.solution - x) / steps[i]
            x = end.solution
        return x, residuals


def invert(
    model, guider, latent: dict, sigmas: torch.Tensor, guidance_scale: float, refine: int = 0
) -> tuple[InvertedNoise, dict, Report]:
    """Invert a LATENT along `sigmas` and return the NOISE and LATENT to regenerate from.

    Parameters
    ----------
    sigmas : torch.Tensor
        (N + 1,), falling, as the regeneration will use them; N >= 1.
    refine : int
        As in `Inversion`.

    Returns
    -------
    noise : InvertedNoise
        Restarts any stock sampler from x_T.
    latent : dict
        x_T itself where adding no noise to it restarts from x_T too (EPS and V models); for flow
        models, whose start is a mix of noise and latent, the latent as it came.
    report : Report

    Raises ValueError when the inversion gives values that are not numbers.
    """
    sampler = Inversion(refine)
    no_noise = DisableNoise.execute().result[0]
    inverted = SamplerCustomAdvanced.execute(no_noise, guider, sampler, sigmas.flip(0), latent).result[0]
    if sampler.report.residual.isinf().any():
        raise no_numbers()
    noise = InvertedNoise.of(model, inverted, sigmas[0], guidance_scale)
    return noise, inverted if noise.share == 1.0 else latent, sampler.report


def input_scale(model_sampling, sigma) -> float:
    """Factor between x and what the network sees at `sigma`: 1 / sqrt(1 + sigma^2) for SD1.x."""
    return model_sampling.calculate_input(sigma.cpu(), torch.ones(1, 1, 1, 1)).item()


def check_rising(sigmas: torch.Tensor):
    if not (sigmas.diff() >= 0).all():
        raise ValueError(
            "The SDC Inversion Sampler walks from low noise to high, but its sigmas fall: connect the rising SIGMAS "
            "of SDC Inversion Sigmas to the sampling that inverts, and the falling ones to the way back."
        )


def check_hooks(guider):
    """Keyframes of hooks only ever move on to lower noise, so on the way up the last one would hold throughout."""
    for conditioning in guider.conds.values():
        for entry in conditioning or ():
            for hook in getattr(entry.get("hooks"), "hooks", ()):
                if len(hook.hook_keyframe.keyframes) > 1:
                    raise ValueError(
                        "The conditioning carries hook keyframes (a LoRA or prompt that changes on the way), which "
                        "ComfyUI can only play from high noise to low. Invert with conditioning without keyframes; "
                        "regenerating with them is fine."
                    )
