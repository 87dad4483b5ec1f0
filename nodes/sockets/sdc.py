"""The SDC socket, and what a node says of the pictures on it."""

from comfy_api.v0_0_2 import io

from ... import codec
from ...codec.autoencoder import tiny_vae
from ...codec.learned import LearnedLatent

# Carries a list[codec.EncodedPicture], one a picture of the batch, all of one latent shape.
SDC = io.Custom("SDC")


def size_words(size: int) -> str:
    """Bytes as file managers tell them: '713 bytes', '3.1 kB'."""
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.1f} kB" if size < 10**6 else f"{size / 10**6:.1f} MB"


def coding_words(picture: codec.EncodedPicture) -> str:
    """How a picture is stored: '64 colours', 'trained coder, quality 55'."""
    stored = picture.quantised
    if isinstance(stored, LearnedLatent):
        return f"trained coder, quality {quality_for_people(stored.quality)}"
    return f"{stored.colours} colour{'s' if stored.colours > 1 else ''}"


def quality_for_people(quality: int) -> int:
    """0..255 of the file as the 1..100 that a node is set to."""
    return 1 + round(quality * 99 / (codec.QUALITIES - 1))


def quality_for_codec(quality: int) -> int:
    """1..100 of a node as the 0..255 of the file."""
    return round((quality - 1) * (codec.QUALITIES - 1) / 99)


def size_line(picture: codec.EncodedPicture) -> str:
    """The one line a node shows: '3.1 kB, 64 colours'."""
    return f"{size_words(picture.size)}, {coding_words(picture)}"


def about_lines(picture: codec.EncodedPicture) -> list[str]:
    """What there is to know of a file without decoding it: size, picture, latent family, what is embedded."""
    inside = " and ".join(name for name in ("prompt", "workflow") if name in picture.metadata) or "no prompt"
    return [
        f"{picture.width}x{picture.height} in {size_line(picture)}",
        f"{picture.latent_format}, {inside} inside",
        *preview_notes(picture),
    ]


def about_file(pictures: list[codec.EncodedPicture], size: int) -> list[str]:
    """The same of a file of `size` bytes, which may hold several pictures."""
    first = pictures[0]
    if len(pictures) == 1:
        return about_lines(first)
    _, inside, *notes = about_lines(first)
    differing = any(picture.metadata != first.metadata for picture in pictures)
    notes += ["The pictures differ in their words and settings: those of the first are given."] * differing
    codings = dict.fromkeys(coding_words(picture) for picture in pictures)
    coding = next(iter(codings)) if len(codings) == 1 else "coded in several ways"
    return [
        f"{len(pictures)} pictures, {first.width}x{first.height}, {size_words(size)}",
        f"{size_words(round(size / len(pictures)))} each, {coding}",
        inside,
        *notes,
    ]


def preview_notes(picture: codec.EncodedPicture) -> list[str]:
    """What the thumbnail beside these lines does not show."""
    if picture.latent_format == tiny_vae.LATENT_FORMAT:
        return []
    return [f"{picture.latent_format} latent: the preview shows rough colours only"]
