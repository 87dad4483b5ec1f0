"""Which VAE a file was made with, and a warning where another one is to decode it."""

import torch

from ... import codec
from ...codec.vae_identity import MAX_WEIGHTS

WARNING = "\u26a0"


def fingerprint_of(vae) -> bytes:
    """Fingerprint of a VAE, the same on every device and in every type of number."""
    return codec.fingerprint({name: Start(tensor) for name, tensor in vae.first_stage_model.state_dict().items()})


class Start:
    """The first weights of a tensor on any device, read only when they are asked for."""

    def __init__(self, tensor: torch.Tensor):
        self.tensor, self.shape = tensor, tensor.shape

    def __array__(self, dtype=None, copy=None):
        values = self.tensor.detach().reshape(-1)[:MAX_WEIGHTS].to(device="cpu", dtype=torch.float32).numpy()
        return values if dtype is None else values.astype(dtype)


def vae_notes(images: list[codec.EncodedImage], vae) -> list[str]:
    """A warning for each other VAE that the images were made with; none where they do not say."""
    marked = [(image, image.vae) for image in images if image.vae is not None]
    if not marked:
        return []
    connected = fingerprint_of(vae)
    others = [(image, made_by) for image, made_by in marked if not codec.same_vae(made_by, connected)]
    return list(dict.fromkeys(note(image, made_by.hex(), connected) for image, made_by in others))


def note(image: codec.EncodedImage, made_by: str, connected: bytes) -> str:
    name = codec.generation_of(image.metadata).get("vae")
    made_by = f"{name} ({made_by})" if name else made_by
    return (
        f"{WARNING} The image was made with the VAE {made_by}, of {image.latent_format}, and the one connected is "
        f"{connected.hex()}: colors and details may come out otherwise."
    )
