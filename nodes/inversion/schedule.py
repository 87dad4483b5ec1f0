"""Noise levels for inversion and regeneration."""

import comfy.samplers
import torch


def ddim_schedule(model, steps: int) -> torch.Tensor:
    """ComfyUI's `ddim_uniform` SIGMAS, (N + 1,) falling: every (1000 // steps)-th level, so N may be above `steps`.

    50 and 100 steps are 50 and 100; 30 are 31; 300 are 333. Few steps end below full noise, since the levels are
    counted from the lowest: SD1.x ends at sigma 0.04 with one step, 8.4 with 10, 11.0 with 20, 13.1 with 50, of 14.6.
    """
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "ddim_uniform", steps)


def check_sigmas(sigmas: torch.Tensor) -> torch.Tensor:
    """Return `sigmas`, (N + 1,), as float32 on the CPU; raise ValueError unless they are finite, never rise and have at
    most one 0.
    """
    sigmas = sigmas.detach().to(device="cpu", dtype=torch.float32)
    if sigmas.ndim != 1 or not torch.isfinite(sigmas).all() or (sigmas < 0).any():
        raise ValueError(f"sigmas must be a list of finite noise levels of 0 or more, but are {sigmas.tolist()}.")
    if len(sigmas) > 1 and not (sigmas.diff() <= 0).all():
        raise ValueError(
            "sigmas must fall from high noise to low, as from a scheduler node, but do not: "
            f"{[round(s, 4) for s in sigmas.tolist()]}. DDIM Invert reverses them itself: remove FlipSigmas."
        )
    zeros = int((sigmas == 0).sum())
    if zeros > 1:
        raise ValueError(
            f"sigmas contain the level 0 {zeros} times. No sampler can step from 0 to 0: keep only one, at the end."
        )
    return sigmas


def lowest_levels(sigmas: torch.Tensor, strength: float) -> torch.Tensor:
    """The lowest round(strength * N) of the N intervals of a falling schedule, at least one unless strength is 0.

    Empty at strength 0, for which ComfyUI's samplers change nothing.
    """
    intervals = len(sigmas) - 1
    if strength <= 0 or intervals < 1:
        return sigmas.new_empty(0)
    kept = max(1, round(strength * intervals))
    return sigmas[-(kept + 1) :].clone()
