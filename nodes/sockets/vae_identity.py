"""Which VAE a file was made with, and a warning where another one is to decode it."""

import torch

from ... import codec
from ...codec.vae_identity import MOST_WEIGHTS

WARNING = "\u26a0"


def fingerprint_of(vae) -> bytes:
    """Fingerprint of a VAE, the same on every device and in every type of number."""
    return codec.fingerprint({name: Start(tensor) for name, tensor in vae.first_stage_model.state_dict().items()})


class Start:
    """The first weights of a tensor on any device, read only when they are asked for."""

    def __init__(self, tensor: torch.Tensor):
        self.tensor, self.shape = tensor, tensor.shape

    def __array__(self, dtype=None, copy=None):
        values = self.tensor.detach().reshape(-1)[:MOST_WEIGHTS].to(device="cpu", dtype=torch.float32).numpy()
        return values if dtype is None else values.astype(dtype)


def vae_notes(pictures: list[codec.EncodedPicture], vae) -> list[str]:
    """A warning for each other VAE that the pictures were made with; none where they do not say."""
    marked = [(picture, picture.vae) for picture in pictures if picture.vae is not None]
    if not marked:
        return []
    connected = fingerprint_of(vae)
    others = [(picture, made_by) for picture, made_by in marked if not codec.same_vae(made_by, connected)]
    return list(dict.fromkeys(note(picture, made_by.hex(), connected) for picture, made_by in others))


def note(picture: codec.EncodedPicture, made_by: str, connected: bytes) -> str:
    name = codec.generation_of(picture.metadata).get("vae")
    made_by = f"{name} ({made_by})" if name else made_by
    return (
        f"{WARNING} The picture was made with the VAE {made_by}, of {picture.latent_format}, and the one connected is "
        f"{connected.hex()}: colours and details may come out otherwise."
    )
