"""Baseline samplers: how other ComfyUI nodes invert an image, written from the mathematics of their rules.

All are Eq. (1), with different ways round sigma = 0, where eps is 0/0.
"""

import torch


def sampler(rule):
    """SAMPLER for rising sigmas by a rule (ask, x, sigmas) -> x, where ask(x, sigma) is eps."""
    import comfy.samplers  # once ComfyUI has been made ready

    class BaselineSampler(comfy.samplers.Sampler):
        def sample(self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, *_, **__):
            def ask(x, sigma):
                return (x - model_wrap(x, sigma.expand(len(x)), **extra_args)) / sigma

            return rule(ask, latent_image, sigmas.clone())

    return BaselineSampler()


def flip_sigmas(ask, x, sigmas):
    """FlipSigmas and euler, of ComfyUI itself: starts at 0.0001."""
    sigmas[0] = torch.where(sigmas[0] == 0, 1e-4, sigmas[0])
    return euler(ask, x, sigmas)


def unsampler(ask, x, sigmas):
    """Unsampler of ComfyUI Noise: raises every level by 0.0001."""
    return euler(ask, x, sigmas + 1e-4)


def inversed_euler(ask, x, sigmas):
    """The samplers of that name: half of eps at the upper end for the first step, then Eq. (1)."""
    x = x + (sigmas[1] - sigmas[0]) * ask(x, sigmas[1]) / 2
    return euler(ask, x, sigmas[1:])


def euler(ask, x, sigmas):
    for low, high in zip(sigmas, sigmas[1:], strict=False):
        x = x + (high - low) * ask(x, low)
    return x


BASELINE_SAMPLERS = {"FlipSigmas + euler": flip_sigmas, "Unsampler": unsampler, "inversed euler": inversed_euler}
