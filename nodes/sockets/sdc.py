"""The SDC socket, and what a node says of the pictures on it."""

from comfy_api.v0_0_2 import io

from ... import codec
from ...codec.autoencoder import tiny_vae

# Carries a list[codec.EncodedPicture], one a picture of the batch, all of one latent shape.
SDC = io.Custom("SDC")


def size_line(picture: codec.EncodedPicture) -> str:
    """The one line a node shows: '3237 bytes · 0.099 bpp'."""
    return f"{picture.size} bytes · {picture.bits_per_pixel:.3f} bpp"


def about_lines(picture: codec.EncodedPicture) -> list[str]:
    """What there is to know of a file without decoding it: size, picture, latent family, coder, what is embedded."""
    inside = " and ".join(name for name in ("prompt", "workflow") if name in picture.metadata) or "no prompt"
    return [
        f"{size_line(picture)} · {picture.width}x{picture.height}",
        f"{picture.latent_format} · {picture.quantised.summary} · {inside} inside",
        *preview_notes(picture),
    ]


def preview_notes(picture: codec.EncodedPicture) -> list[str]:
    """What the thumbnail beside these lines does not show."""
    if picture.latent_format == tiny_vae.LATENT_FORMAT:
        return []
    return [f"{picture.latent_format} latent: the preview shows rough colours only"]
