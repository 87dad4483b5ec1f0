"""Whether a model can invert a latent, and which parts of the latent are ignored."""

import logging

import torch

from ... import codec
from ..latents.arrays import check_latent
from ..latents.formats import format_of_model, formats_with, listed


def fit_latent(model, latent: dict) -> tuple[dict, list[str]]:
    """Check that a LATENT fits a model, and remove its noise mask, which would spoil the inversion.

    Returns
    -------
    latent : dict
        LATENT, (B, C, [T,] H, W); T for models with frames.
    notes : list of str
        What was removed, for the user.

    Raises
    ------
    ValueError
        Neither images nor video, another latent format, number of channels or of axes, values that are not finite, or
        an empty latent.
    """
    samples = check_latent(latent)
    comfy_format, name = model.get_model_object("latent_format"), format_of_model(model)
    channels = comfy_format.latent_channels if name is None else codec.by_name(name).channels
    if samples.shape[1] != channels:
        raise ValueError(
            f"The latent has {samples.shape[1]} channels, but this model works with {channels}: their latent formats "
            f"differ. Load a checkpoint of {candidates(latent)}."
        )
    # Two latent formats may have the same number of channels.
    stored = latent.get("latent_format")
    if None not in (stored, name) and stored != name:
        raise ValueError(
            f"The image was compressed for {stored}, but this model works with latents of {name}. Load a "
            f"checkpoint of {stored}; or, if you compressed it with {name}, set latent_format in SD Latent Quantize."
        )
    if comfy_format.latent_dimensions == 3 and samples.ndim == 4:
        samples = samples.unsqueeze(2)  # one frame, as ComfyUI's samplers do it
        latent = {**latent, "samples": samples}
    elif comfy_format.latent_dimensions == 2 and samples.ndim == 5:
        raise ValueError(
            f"The latent has {samples.shape[2]} frames, but this model works with latents without frames. Load a "
            f"checkpoint of {candidates(latent)}."
        )
    if not torch.isfinite(samples).all():
        raise ValueError("The latent contains NaN or infinity: check the nodes that made it.")
    if not samples.any():
        raise ValueError(
            "The latent is empty: all values are 0. Connect the compressed image instead of Empty Latent Image."
        )
    notes = []
    if "noise_mask" in latent:
        notes.append("\u26a0 The latent's noise mask is ignored: inversion always covers the whole image.")
        logging.warning("DDIM Invert: %s", notes[-1].removeprefix("\u26a0 "))
        latent = {key: value for key, value in latent.items() if key != "noise_mask"}
    return latent, notes


def candidates(latent: dict) -> str:
    """The latent formats that a latent may have, in words."""
    samples = latent["samples"]
    fitting = formats_with(samples.shape[1], samples.ndim - 2)
    return latent.get("latent_format") or listed(fitting, "or") or "the same latent format"
