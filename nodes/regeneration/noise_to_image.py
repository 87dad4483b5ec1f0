"""From noise back to an image, lightly held by edges: the second half of the decoder."""

import math

import comfy.samplers
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from nodes import ControlNetApplyAdvanced  # ComfyUI's own nodes, not the folder of this file

from ..inversion.exact_pair import ExactNoise, ExactRegeneration
from ..inversion.guidance import make_guider


def noise_to_image(
    model,
    positive,
    latent: dict,
    noise,
    sigmas: torch.Tensor,
    *,
    control_net=None,
    edges: torch.Tensor | None = None,
    canny_strength: float = 0.3,
    start_percent: float = 0.0,
    end_percent: float = 1.0,
    cfg: float = 1.0,
    negative=None,
    vae=None,
) -> tuple[dict, list[str]]:
    """Sample down by `euler`, or by the exact pair where `noise` comes from it.

    Parameters
    ----------
    latent, noise, sigmas :
        Of the inversion.
    control_net, edges :
        CONTROL_NET and its hint, IMAGE (B, H, W, 3); both or none.

    Returns
    -------
    latent : dict
        LATENT.
    notes : list of str
        For people: what is not as it was in the inversion.
    """
    if control_net is not None:
        # It wants two conditionings, and at w = 1 there need be only one.
        both = positive, positive if negative is None else negative
        held = ControlNetApplyAdvanced().apply_controlnet(
            *both, control_net, edges, canny_strength, start_percent, end_percent, vae=vae
        )
        positive, negative = held[0], None if negative is None else held[1]
    guider = make_guider(model, positive, negative, cfg)
    notes = differences(noise, sigmas, cfg)
    if "noise_mask" in latent:
        # Outside of the mask stock sampling would put back the latent beside it, which is noise here.
        notes.append("\u26a0 The latent's noise mask is ignored: the whole image is repainted.")
        latent = {key: value for key, value in latent.items() if key != "noise_mask"}
    if isinstance(noise, ExactNoise):
        noise, sampler = noise.start(), ExactRegeneration(noise.pair)
    else:
        sampler = comfy.samplers.sampler_object("euler")  # "ddim" is the same, but reseeds the global generator
    return SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).result[0], notes


def differences(noise, sigmas, cfg: float) -> list[str]:
    """What is not as it was in the inversion that gave `noise`, for the artist. Stock NOISE says nothing."""
    notes = []
    inverted_at, level = getattr(noise, "cfg", None), getattr(noise, "sigma", None)
    if inverted_at is not None and not math.isclose(inverted_at, cfg):
        notes.append(
            f"\u26a0 DDIM Invert used cfg {inverted_at:g} and this node {cfg:g}: "
            "the image will change. Set both alike to get it back."
        )
    if level is not None and len(sigmas) and not math.isclose(level, float(sigmas[0]), rel_tol=1e-4):
        notes.append(
            f"\u26a0 The noise is that of level {level:.3g}, but sigmas start at {float(sigmas[0]):.3g}: the image "
            "will come out too smooth or full of grain. Connect SIGMAS of the DDIM Invert that gave the noise."
        )
    return notes
