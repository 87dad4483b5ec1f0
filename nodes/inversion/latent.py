"""Whether a latent can be inverted by a model, and what of it cannot be used."""

import logging

import torch

from ..latents.arrays import check_images
from ..latents.formats import format_of_model, formats_with


def fit_latent(model, latent: dict) -> tuple[dict, list[str]]:
    """Check that the latent fits the model, drop what would spoil the inversion, and say so."""
    samples = check_images(latent)
    channels = model.get_model_object("latent_format").latent_channels
    if samples.shape[1] != channels:
        raise ValueError(
            f"The latent has {samples.shape[1]} channels, but this model works with {channels}. The image was "
            f"compressed for another model family: load a checkpoint of {candidates(latent)}."
        )
    # Latents of other families may have as many channels and mean something else.
    stored, wanted = latent.get("latent_format"), format_of_model(model)
    if None not in (stored, wanted) and stored != wanted:
        raise ValueError(
            f"The image was compressed for {stored}, but this model works with latents of {wanted}. Load a "
            f"checkpoint of {stored}; or, if you compressed it with {wanted}, set latent_format in SD Latent Quantize."
        )
    if not torch.isfinite(samples).all():
        raise ValueError("The latent holds values that are not numbers: whatever made it failed, look there.")
    if not samples.any():
        raise ValueError("The latent is empty: every value is 0. Connect the compressed image, no Empty Latent Image.")
    notes = []
    if "noise_mask" in latent:
        notes.append("\u26a0 The latent's noise mask is ignored: inversion always covers the whole image.")
        logging.warning("DDIM Invert: %s", notes[-1].removeprefix("\u26a0 "))
        latent = {key: value for key, value in latent.items() if key != "noise_mask"}
    return latent, notes


def candidates(latent: dict) -> str:
    """The families that a latent may be of, for a person."""
    stored = latent.get("latent_format")
    return stored or " or ".join(formats_with(latent["samples"].shape[1])) or "the family that its latent_format names"
