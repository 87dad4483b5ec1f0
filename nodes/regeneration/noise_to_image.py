"""From noise back to an image, lightly guided by edges: the second half of the decoder."""

import math

import comfy.samplers
import torch
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from nodes import ControlNetApplyAdvanced  # ComfyUI's own nodes, not the folder of this file

from ..inversion.exact_pair import ExactNoise, ExactRegeneration
from ..inversion.guidance import make_guider
from ..inversion.identity import identity
from ..inversion.one_function import with_same_draws, without_caches
from ..tiny.loading import for_exact_pair


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
    """Sample by ComfyUI's `euler`, or by the exact pair if `noise` comes from it.

    Parameters
    ----------
    model, positive, negative :
        MODEL and CONDITIONING; negative is needed where `cfg` is not 1.
    latent : dict
        LATENT of the inversion, (B, C, [T,] h, w).
    noise : NOISE
        Of the inversion, or any other.
    sigmas : torch.Tensor
        (N + 1,) falling; empty changes nothing.
    control_net, edges :
        CONTROL_NET and its hint, IMAGE (B, H, W, 3), which is not needed without the former.
    canny_strength, start_percent, end_percent : float
        Strength of the ControlNet, and the part of `sigmas` in which it is active, 0 to 1.
    cfg : float
        w of Eq. (1).
    vae : VAE, optional
        For ControlNets that encode their hint.

    Returns
    -------
    latent : dict
        LATENT, (B, C, [T,] h, w).
    notes : list of str
        Warnings about what differs from the inversion.

    Raises
    ------
    ValueError
        `cfg` needs a negative, or the exact pair is given other settings than in its inversion.
    """
    model, notes = without_caches(model)
    if isinstance(noise, ExactNoise):
        control_net = for_exact_pair(control_net, positive, negative)
    if control_net is not None:
        start_percent, end_percent = (part_of_schedule(model, sigmas, part) for part in (start_percent, end_percent))
        # The node needs two conditionings, and at w = 1 there may be only one.
        both = positive, positive if negative is None else negative
        held = ControlNetApplyAdvanced().apply_controlnet(
            *both, control_net, edges, canny_strength, start_percent, end_percent, vae=vae
        )
        positive, negative = held[0], None if negative is None else held[1]
    guider = make_guider(with_same_draws(model), positive, negative, cfg)
    notes += differences(noise, model, sigmas, cfg)
    if "noise_mask" in latent:
        # Stock sampling would put back the latent outside of the mask, which is noise here.
        notes.append("\u26a0 The latent's noise mask is ignored: the whole image is regenerated.")
        latent = {key: value for key, value in latent.items() if key != "noise_mask"}
    if isinstance(noise, ExactNoise):
        noise, sampler = noise.start(), ExactRegeneration(noise.pair)
    else:
        sampler = comfy.samplers.sampler_object("euler")  # "ddim" is the same, but reseeds the global generator
    return SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas, latent).result[0], notes


def part_of_schedule(model, sigmas: torch.Tensor, part: float) -> float:
    """Where in the model's whole schedule `part` of the way down `sigmas` lies, both 0 to 1 and in timesteps.

    ComfyUI counts the range of a ControlNet on the whole schedule, of which a low strength uses the end only.
    """
    if len(sigmas) == 0 or part in (0.0, 1.0):
        return part
    sampling = model.get_model_object("model_sampling")
    low, high = 0.0, 1.0  # of the schedule; its noise falls in between
    for _ in range(40):
        start = (low + high) / 2
        low, high = (start, high) if sampling.percent_to_sigma(start) > float(sigmas[0]) else (low, start)
    return start + (1 - start) * part


def differences(noise, model, sigmas, cfg: float) -> list[str]:
    """Warnings about what differs from the inversion that made `noise`; none for stock NOISE."""
    notes = []
    if getattr(noise, "model", None) not in (None, identity(model)):
        notes.append(
            "\u26a0 The model is not the one that DDIM Invert used (another checkpoint, LoRA, merge or schedule): the "
            "image will change. Use the same in both."
        )
    inverted_at, level = getattr(noise, "cfg", None), getattr(noise, "sigma", None)
    if inverted_at is not None and not math.isclose(inverted_at, cfg):
        notes.append(
            f"\u26a0 DDIM Invert used cfg {inverted_at:g}, but this node uses {cfg:g}: the image will change. Use the "
            "same value in both."
        )
    if level is not None and len(sigmas) and not math.isclose(level, float(sigmas[0]), rel_tol=1e-4):
        notes.append(
            f"\u26a0 The noise level is {level:.3g}, but sigmas start at {float(sigmas[0]):.3g}: the image will be too "
            "smooth or grainy. Connect the SIGMAS of the DDIM Invert that made the noise."
        )
    return notes
