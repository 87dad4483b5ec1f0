"""From a compressed image to noise by the chosen method: the first half of the decoder."""

from dataclasses import dataclass

import torch
from comfy_extras.nodes_custom_sampler import DisableNoise

from .euler import invert
from .exact_pair import invert_exactly
from .guidance import make_guider
from .latent import fit_latent
from .one_function import without_caches
from .schedule import check_sigmas, ddim_schedule, lowest_levels
from .strength import quantization_noise, strength_of_noise

DDIM, EXACT_PAIR = "DDIM", "exact pair"


@dataclass
class Inverted:
    """What the regeneration starts from.

    Attributes
    ----------
    noise : NOISE
        An InvertedNoise or ExactNoise; at strength 0, no noise.
    sigmas : torch.Tensor
        (N + 1,) float32, falling; empty at strength 0.
    latent : dict
        LATENT.
    lines : list of str
        What the node shows.
    """

    noise: object
    sigmas: torch.Tensor
    latent: dict
    lines: list[str]


def image_to_noise(
    model,
    positive,
    latent: dict,
    *,
    steps: int = 50,
    cfg: float = 1.0,
    strength: float = 1.0,
    negative=None,
    sigmas: torch.Tensor | None = None,
    refine: int = 0,
    method: str = DDIM,
    auto_strength: bool = False,
    sdc=None,
) -> Inverted:
    """Invert a LATENT by Eq. (1) of the paper, or by the exact pair.

    Parameters
    ----------
    model, positive, negative :
        MODEL and CONDITIONING; negative is needed where `cfg` is not 1.
    latent : dict
        LATENT, (B, C, [T,] H, W).
    steps : int
        Steps of the whole schedule, as for `ddim_schedule`.
    cfg : float
        w of Eq. (1).
    strength : float
        Share of the schedule, 0 to 1.
    sigmas : torch.Tensor, optional
        (N + 1,) falling noise levels instead of `steps`.
    refine : int
        As for `InversionSampler`; the exact pair ignores it.
    method : str
        DDIM or EXACT_PAIR.
    auto_strength : bool
        Take the strength from the estimated quantization error of `sdc`, a list of EncodedImage.

    Raises
    ------
    ValueError
        Latent, model and settings do not fit together, or the model gives values that are not finite.
    """
    model, notes = without_caches(model)
    guider = make_guider(model, positive, negative, cfg)
    latent, ignored = fit_latent(model, latent)
    notes += ignored
    schedule = check_sigmas(ddim_schedule(model, steps) if sigmas is None else sigmas)
    if auto_strength:
        level = quantization_noise(model, latent, sdc)
        least = 2 if method == EXACT_PAIR else 1
        strength = strength_of_noise(model.get_model_object("model_sampling"), schedule, level, least)
        notes.append(f"Strength {strength:.2f} (automatic)")
    schedule = lowest_levels(schedule, strength)
    if len(schedule) == 0:
        no_noise = DisableNoise.execute().result[0]
        return Inverted(no_noise, schedule, latent, ["Strength 0: the image is not changed.", *notes])
    if method == EXACT_PAIR:
        noise, inverted, report = invert_exactly(model, guider, latent, schedule, cfg)
    else:
        noise, inverted, report = invert(model, guider, latent, schedule, cfg, refine)
    return Inverted(noise, schedule, inverted, [*report.lines(), *notes])
