"""The VAE of a latent: which one made it, a warning where it is not the one connected, and decoding by it."""

import torch
from nodes import VAEDecode  # ComfyUI's own node, not the folder of this file

from ... import codec
from ...codec.vae_identity import MAX_WEIGHTS
from .. import file_name

WARNING = "\u26a0"


def fingerprint_of(vae) -> bytes:
    """Fingerprint of a VAE: 8 bytes, the same on every device and in every dtype; `codec.fingerprint` says of what."""
    return codec.fingerprint({name: Start(tensor) for name, tensor in vae.first_stage_model.state_dict().items()})


class Start:
    """The first weights of a tensor on any device, read only when they are needed."""

    def __init__(self, tensor: torch.Tensor):
        self.tensor, self.shape = tensor, tensor.shape

    def __array__(self, dtype=None, copy=None):
        values = self.tensor.detach().reshape(-1)[:MAX_WEIGHTS].to(device="cpu", dtype=torch.float32).numpy()
        return values if dtype is None else values.astype(dtype)


def vae_notes(images: list[codec.EncodedImage], vae) -> list[str]:
    """A warning for each VAE other than `vae` that the images were made with; images that name no VAE are skipped."""
    marked = [(image, image.vae) for image in images if image.vae is not None]
    if not marked:
        return []
    connected = fingerprint_of(vae)
    others = [(image, fingerprint) for image, fingerprint in marked if not codec.same_vae(fingerprint, connected)]
    return list(dict.fromkeys(note(image, fingerprint, connected) for image, fingerprint in others))


def note(image: codec.EncodedImage, fingerprint: bytes, connected: bytes) -> str:
    name = image.metadata.get("vae")
    name = file_name(name) if isinstance(name, str) else ""
    vae = f"{name} ({fingerprint.hex()})" if name else fingerprint.hex()
    return (
        f"{WARNING} This image was made with the {image.latent_format} VAE {vae}, but the connected VAE is "
        f"{connected.hex()}: colors and details may differ."
    )


def decode_latent(vae, latent: dict, images: list[codec.EncodedImage]) -> torch.Tensor:
    """IMAGE (B, H, W, 3) of the LATENT that `images` decode to, by ComfyUI's VAE Decode.

    Raises ValueError where the VAE takes another number of channels.
    """
    wanted = images[0]
    if vae.latent_channels != wanted.channels:
        raise ValueError(
            f"The image is a {wanted.latent_format} latent with {wanted.channels} channels, but this VAE decodes "
            f"{vae.latent_channels} channels. Connect the VAE of a {wanted.latent_format} checkpoint."
        )
    return VAEDecode().decode(vae, latent)[0]
