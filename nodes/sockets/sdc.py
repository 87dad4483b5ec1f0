"""The SDC socket, and the lines that nodes show about the images on it."""

from comfy_api.v0_0_2 import io

from ... import codec
from ...codec.autoencoder import tiny_vae

# Carries a list[codec.EncodedImage], one per image of the batch, all of one latent shape.
SDC = io.Custom("SDC")
# For auto_strength, by which the page grays strength: what each of its values uses.
USES_STRENGTH = {"sdc_settings": {"true": [], "false": ["strength"]}}


def size_words(num_bytes: int) -> str:
    """A file size as file managers show it: '713 bytes', '3.1 kB'."""
    if num_bytes < 1000:
        return f"{num_bytes} bytes"
    return f"{num_bytes / 1000:.1f} kB" if num_bytes < 10**6 else f"{num_bytes / 10**6:.1f} MB"


def size_line(image: codec.EncodedImage) -> str:
    """'3.2 kB · preset best · quality 54', '3.1 kB · 64 colors'."""
    return f"{size_words(image.num_bytes)} \u00b7 {coding_words(image)}"


def coding_words(image: codec.EncodedImage) -> str:
    """How an image is stored, beginning with its preset where only one has this coder."""
    presets = [preset.name for preset in codec.PRESETS.values() if preset.coder == image.coder]
    coding, *details = image.stored.describe().split(", ")
    return " \u00b7 ".join([f"preset {presets[0]}" if len(presets) == 1 else coding, *details])


def about_lines(image: codec.EncodedImage) -> list[str]:
    """What is known of an image without decoding it: its sizes, latent format, and what the file includes."""
    included = " and ".join(name for name in ("prompt", "workflow") if name in image.metadata) or "no prompt"
    frames = "" if image.frames in (None, 1) else f", {image.frames} latent frames"
    return [
        f"{image.width}x{image.height}{frames} in {size_line(image)}",
        f"{image.latent_format}, {included} included",
        *preview_notes(image),
    ]


def about_file(images: list[codec.EncodedImage], num_bytes: int) -> list[str]:
    """The same for a file of `num_bytes`, which may have several images."""
    first = images[0]
    if len(images) == 1:
        return about_lines(first)
    _, included, *notes = about_lines(first)
    differing = any(image.metadata != first.metadata for image in images)
    notes += ["The images have different prompts or settings; those of the first are shown."] * differing
    codings = dict.fromkeys(map(coding_words, images))
    coding = next(iter(codings)) if len(codings) == 1 else "different codings"
    return [
        f"{len(images)} images, {first.width}x{first.height}, {size_words(num_bytes)}",
        f"{size_words(round(num_bytes / len(images)))} each \u00b7 {coding}",
        included,
        *notes,
    ]


def preview_notes(image: codec.EncodedImage) -> list[str]:
    """A note where the thumbnail is drawn without an autoencoder."""
    if image.latent_format == tiny_vae.LATENT_FORMAT:
        return []
    shown = "shapes without colors" if image.latent_format == "unknown" else "rough colors only"
    return [f"{image.latent_format} latent: the preview shows {shown}"]
