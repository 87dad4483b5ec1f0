"""A compressed image up to noise, by whatever of the ways an artist has chosen: the first half of the decoder."""

from dataclasses import dataclass

import torch
from comfy_extras.nodes_custom_sampler import DisableNoise

from .euler import invert
from .exact_pair import invert_exactly
from .guidance import make_guider
from .latent import fit_latent
from .schedule import check_sigmas, ddim_schedule, lowest_levels
from .strength import quantization_noise, strength_of_noise

DDIM, EXACT_PAIR = "DDIM", "exact pair"


@dataclass
class Inverted:
    """NOISE, SIGMAS (falling; empty where nothing is to be done) and LATENT for the way back, and lines for people."""

    noise: object
    sigmas: torch.Tensor
    latent: dict
    lines: list[str]


def image_to_noise(
    model,
    positive,
    latent: dict,
    *,
    steps: int,
    cfg: float = 1.0,
    strength: float = 1.0,
    negative=None,
    sigmas: torch.Tensor | None = None,
    refine: int = 0,
    method: str = DDIM,
    auto_strength: bool = False,
    sdc=None,
) -> Inverted:
    """Invert a LATENT; what each argument does is said on DDIM Invert.

    Raises ValueError where latent, model and settings do not go together.
    """
    guider = make_guider(model, positive, negative, cfg)
    latent, notes = fit_latent(model, latent)
    schedule = check_sigmas(ddim_schedule(model, steps) if sigmas is None else sigmas)
    if auto_strength:
        level = quantization_noise(model, latent, sdc)
        strength = strength_of_noise(model.get_model_object("model_sampling"), schedule, level)
        notes.append(f"Strength {strength:.2f}, found from how much the compression has changed.")
    schedule = lowest_levels(schedule, strength)
    if len(schedule) == 0:
        no_noise = DisableNoise.execute().result[0]
        return Inverted(no_noise, schedule, latent, ["Strength 0: the image stays as it is.", *notes])
    if method == EXACT_PAIR:
        noise, inverted, report = invert_exactly(model, guider, latent, schedule, cfg)
    else:
        noise, inverted, report = invert(model, guider, latent, schedule, cfg, refine)
    return Inverted(noise, schedule, inverted, [*report.lines(), *notes])
