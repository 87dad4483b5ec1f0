"""Whether the way back uses the MODEL of the inversion."""

import hashlib

import torch

SAMPLES = 16  # weights that are read of a model and of its patches, and values of each


def kind_of(inner_model) -> str:
    """What a model predicts, and its latent format, in words."""
    sampling = [base.__name__ for base in type(inner_model.model_sampling).__bases__]
    return " ".join([*sampling, type(inner_model.latent_format).__name__])


def identity(model) -> str:
    """A digest of a MODEL's noise levels, of samples of its weights, and of its LoRAs and merges.

    Two loaders of the same files give the same, and nothing is kept in memory. Functions that nodes have put on the
    model do not count: whether two of them are the same cannot be told.
    """
    sampling = model.get_model_object("model_sampling")
    digest = hashlib.sha256(
        repr([type(sampling).__bases__, float(sampling.sigma_min), float(sampling.sigma_max)]).encode()
    )
    for key in sorted(model.patches, key=str):
        strengths = [(strength, strength_model) for strength, _, strength_model, *_ in model.patches[key]]
        digest.update(repr((key, strengths)).encode())
    for key in spread(sorted(model.patches, key=str)):
        for _, patch, *_ in model.patches[key]:
            add(digest, patch)
    for key in spread([key for key in model.model_state_dict() if key.endswith(".weight")]):
        add(digest, model.get_key_patches(key)[key][0][0])  # as loaded, whatever has been patched since
    return digest.hexdigest()


def spread(keys: list) -> list:
    return keys[:: max(1, len(keys) // SAMPLES)]


def add(digest, value):
    """Add the first values of every tensor in what ComfyUI stores as a patch."""
    if torch.is_tensor(value):
        digest.update(value.reshape(-1)[:SAMPLES].cpu().double().numpy().tobytes())
    for part in value if isinstance(value, list | tuple) else getattr(value, "weights", ()):
        add(digest, part)
