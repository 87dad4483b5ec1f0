"""The VAE of a latent: which one made it, a warning where it is not the one connected, and decoding by it."""

import torch
from nodes import VAEDecode  # ComfyUI's own node, not the folder of this file

from ... import codec
from ...codec.vae_identity import MAX_WEIGHTS
from .. import file_name
from ..images.sizes import restore_size
from .arrays import to_latent
from .formats import format_of_vae
from .through_pixels import has_pixels, latent_of, pixels_of

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


def open_for(vae, images: list[codec.EncodedImage]) -> tuple[dict, list[str]]:
    """LATENT of images for a VAE, whichever made them, and notes for whoever wonders.

    Where the VAE has another latent format, the pack's small VAE decodes what it can, and `vae` encodes that. Without
    a VAE, or where the small one cannot decode, the LATENT is the stored one.

    Parameters
    ----------
    vae : VAE or None
    images : list of EncodedImage
        Of one latent shape.
    """
    if vae is None:
        return to_latent(images), []
    if not has_another_format(vae, images):
        return to_latent(images), vae_notes(images, vae)
    own, wanted = images[0].latent_format, format_of_vae(vae)
    note = f"Stored for {own}: decoded by the pack's small VAE and encoded by this {wanted or 'other'} VAE."
    return latent_of(vae, wanted, images), [note]


def has_another_format(vae, images: list[codec.EncodedImage]) -> bool:
    """Whether the latents of the images are not for this VAE, and the pack's small one can decode them."""
    if not has_pixels(images) or is_of(vae, images):
        return False
    wanted = format_of_vae(vae)
    return wanted != images[0].latent_format if wanted else vae.latent_channels != images[0].channels


def is_of(vae, images: list[codec.EncodedImage]) -> bool:
    """Whether the images say that this VAE has made them."""
    known = [image.vae for image in images if image.vae is not None]
    return len(known) == len(images) and all(codec.same_vae(one, fingerprint_of(vae)) for one in known)


def decode_by(vae, images: list[codec.EncodedImage]) -> tuple[torch.Tensor, list[str]]:
    """IMAGE (B, H, W, 3) of images in their original size, and notes; without a VAE by the pack's small one."""
    own = images[0].latent_format
    if vae is None and not has_pixels(images):
        raise ValueError(
            f"The image is stored in a way that only a {own} VAE can decode: connect one to vae, from Load VAE or a "
            "checkpoint."
        )
    if vae is None:
        return pixels_of(images), ["Decoded by the pack's small VAE."]
    if has_another_format(vae, images):
        return pixels_of(images), [f"Stored for {own}: decoded by the pack's small VAE, not by the connected one."]
    return restore_size(decode_latent(vae, to_latent(images), images), images), vae_notes(images, vae)


def decode_latent(vae, latent: dict, images: list[codec.EncodedImage]) -> torch.Tensor:
    """IMAGE (B, H, W, 3) of the LATENT that `images` decode to, by ComfyUI's VAE Decode.

    Raises ValueError where the VAE takes another number of channels.
    """
    channels = latent["samples"].shape[1]
    if vae.latent_channels != channels:
        raise ValueError(
            f"The image is a {images[0].latent_format} latent with {channels} channels, but this VAE decodes "
            f"{vae.latent_channels} channels. Connect the VAE of a {images[0].latent_format} checkpoint."
        )
    return VAEDecode().decode(vae, latent)[0]
