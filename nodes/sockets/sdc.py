"""The SDC socket, and what a node says of the images on it."""

from comfy_api.v0_0_2 import io

from ... import codec
from ...codec.autoencoder import tiny_vae

# Carries a list[codec.EncodedImage], one an image of the batch, all of one latent shape.
SDC = io.Custom("SDC")


def size_words(size: int) -> str:
    """Bytes as file managers tell them: '713 bytes', '3.1 kB'."""
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.1f} kB" if size < 10**6 else f"{size / 10**6:.1f} MB"


def size_line(image: codec.EncodedImage) -> str:
    """The one line a node shows: '3.1 kB, 64 colors'."""
    return f"{size_words(image.num_bytes)}, {image.stored.describe()}"


def about_lines(image: codec.EncodedImage) -> list[str]:
    """What there is to know of a file without decoding it: size, image, latent family, what is embedded."""
    inside = " and ".join(name for name in ("prompt", "workflow") if name in image.metadata) or "no prompt"
    return [
        f"{image.width}x{image.height} in {size_line(image)}",
        f"{image.latent_format}, {inside} inside",
        *preview_notes(image),
    ]


def about_file(images: list[codec.EncodedImage], size: int) -> list[str]:
    """The same of a file of `size` bytes, which may hold several images."""
    first = images[0]
    if len(images) == 1:
        return about_lines(first)
    _, inside, *notes = about_lines(first)
    differing = any(image.metadata != first.metadata for image in images)
    notes += ["The images differ in their words and settings: those of the first are given."] * differing
    codings = dict.fromkeys(image.stored.describe() for image in images)
    coding = next(iter(codings)) if len(codings) == 1 else "coded in several ways"
    return [
        f"{len(images)} images, {first.width}x{first.height}, {size_words(size)}",
        f"{size_words(round(size / len(images)))} each, {coding}",
        inside,
        *notes,
    ]


def preview_notes(image: codec.EncodedImage) -> list[str]:
    """What the thumbnail beside these lines does not show."""
    if image.latent_format == tiny_vae.LATENT_FORMAT:
        return []
    return [f"{image.latent_format} latent: the preview shows rough colors only"]
