"""Whether a model can invert a latent, and which parts of the latent are ignored."""

import logging

import torch

from ..latents.arrays import check_images
from ..latents.formats import format_of_model, formats_with


def fit_latent(model, latent: dict) -> tuple[dict, list[str]]:
    """Check that a LATENT fits a model, and remove its noise mask, which would spoil the inversion.

    Returns
    -------
    latent : dict
        LATENT, (B, C, H, W).
    notes : list of str
        What was removed, for the user.

    Raises
    ------
    ValueError
        No images, another latent format or number of channels, values that are not finite, or an empty latent.
    """
    samples = check_images(latent)
    channels = model.get_model_object("latent_format").latent_channels
    if samples.shape[1] != channels:
        raise ValueError(
            f"The latent has {samples.shape[1]} channels, but this model works with {channels}: their latent formats "
            f"differ. Load a checkpoint of {candidates(latent)}."
        )
    # Two latent formats may have the same number of channels.
    stored, wanted = latent.get("latent_format"), format_of_model(model)
    if None not in (stored, wanted) and stored != wanted:
        raise ValueError(
            f"The image was compressed for {stored}, but this model works with latents of {wanted}. Load a "
            f"checkpoint of {stored}; or, if you compressed it with {wanted}, set latent_format in SD Latent Quantize."
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
    stored = latent.get("latent_format")
    return stored or " or ".join(formats_with(latent["samples"].shape[1])) or "the same latent format"
