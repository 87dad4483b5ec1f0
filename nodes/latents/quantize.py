"""A LATENT to compressed images: what SD Latent Quantize and Compress Folder have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from ... import codec
from ...codec.presets import FAST, THOROUGH
from .arrays import to_arrays, to_latent
from .formats import UNKNOWN, settle_format
from .refining import LEARNED, refined, why_not
from .through_pixels import PRESET, decoded_pixels, encode_pixels, is_vae, keeps_more, latent_of
from .vae import fingerprint_of

# What the page grays by: which inputs each preset uses.
USED = {
    name: [*preset.defaults, *(["effort"] if preset.coder == LEARNED else [])] for name, preset in codec.PRESETS.items()
}
DEFAULTS = {name: value for preset in codec.PRESETS.values() for name, value in preset.defaults.items()}
DEFAULTS |= {"max_bytes": 0, "quality": 0, "precision": 0.0}
ARCHIVE = "archive"  # the preset for latents of any kind
LARGE = 2 * 10**6  # pixels; twice what SDXL, SD3 and Flux were made for


@dataclass(frozen=True)
class Quantized:
    """The images of a batch as they are stored.

    Attributes
    ----------
    images : list of EncodedImage
    notes : list of str
        For whoever wonders: what was not used, which preset was, how large the images are.
    decode : callable
        Returns the LATENT that the images decode to, for the VAE that made them.
    """

    images: list[codec.EncodedImage]
    notes: list[str]
    decode: Callable[[], dict]


def quantize(
    latent: dict,
    preset: str,
    widgets: dict,
    latent_format: str,
    image=None,
    vae=None,
    effort: str = FAST,
    step: Callable = lambda: None,
    tell: Callable[[float], object] = lambda share: None,
) -> Quantized:
    """Compress a LATENT.

    Parameters
    ----------
    latent : dict
        LATENT, as from VAE Encode, that `check_latent` has accepted.
    preset : str
    widgets : dict
        Settings under the names of DEFAULTS; what the preset does not use is named in a note.
    latent_format : str
        A name of `codec.LATENT_FORMATS`, or those that `settle_format` takes.
    image : Tensor, optional
        IMAGE (B, H, W, C) that was encoded, for its size; "thorough" looks at it, too.
    vae : VAE or MODEL, optional
        That made the latent.
    effort : str
        "fast", or "thorough": refined until the file shows the image as closely as it can.
    step : callable
        Called after each image that is encoded.
    tell : callable
        Called with the share of the work of "thorough" that is done, 0 to 1.

    Raises
    ------
    ValueError, codec.SdcError
        What cannot be encoded, and why.
    """
    widgets = DEFAULTS | widgets
    latent_format = settle_format(latent_format, latent, vae, or_unknown=preset == ARCHIVE)
    width, height = (None, None) if image is None else image_size(image, latent, latent_format)
    own_format, own_latent = latent_format, latent
    through_pixels = keeps_more(preset, latent_format, latent, vae)
    shown = None
    if through_pixels:
        shown = decoded_pixels(vae, latent)
        latent = encode_pixels(shown, latent)
        latent_format = latent["latent_format"]
        height, width = (height, width) if image is not None else shown.shape[1:3]
    used, note = codec.usable_preset(preset, latent_format)
    notes = [f"\u26a0 {note[0].upper()}{note[1:]}."] if note else []
    notes += unused(used, widgets, latent_format)
    if latent_format == UNKNOWN:
        notes.append("\u26a0 The file does not say which VAE decodes it. Connect it to vae, or set latent_format.")
    if note and preset == PRESET and not through_pixels:
        notes.append("Connect the VAE of the latent to vae, and best can store it through the pack's small VAE.")
    if through_pixels:
        notes.append(f"Stored as {latent_format}, of which more is left in so few bytes than of {own_format}.")
    settings = settings_of(used, widgets)
    notes += about_mask(settings.get("mask"))
    mark = None if through_pixels or not is_vae(vae) else fingerprint_of(vae)

    def encode(latents) -> list[codec.EncodedImage]:
        return codec.encode(
            latents, used.name, **settings, latent_format=latent_format, width=width, height=height, vae=mark, step=step
        )

    reason = why_not(used, latent_format, None if through_pixels else vae) if effort == THOROUGH else None
    if reason:
        notes.append(f"\u26a0 Not used: effort. {reason}")
    if effort == THOROUGH and not reason:
        encoded_images = refined(latent, encode, shown if shown is not None else image, vae, tell)
    else:
        encoded_images = encode(to_arrays(latent))
    if "noise_mask" in own_latent:
        notes.append("\u26a0 The latent's noise mask is not stored: a .sdc file holds a whole image.")

    def decode() -> dict:
        if through_pixels:
            decoded = latent_of(vae, own_format, encoded_images)
        else:
            decoded = to_latent(encoded_images, shows_progress=False)
        if "batch_index" in own_latent:
            decoded["batch_index"] = own_latent["batch_index"]
        return decoded

    return Quantized(encoded_images, [*about_size(encoded_images[0]), *notes], decode)


def settings_of(preset: codec.Preset, widgets: dict) -> dict:
    """The widgets that a preset uses, as `codec.encode` takes them: one rate, and a mask as an array."""
    settings = {name: widgets[name] for name in preset.defaults}
    if "quality" in settings:
        rate = next(name for name in ("quality", "max_bytes", "bits_per_pixel") if settings[name])
        settings.update({name: settings[name] if name == rate else None for name in codec.presets.RATES})
    if not settings.get("precision", True):
        settings["precision"] = None
    if settings.get("mask") is not None:
        settings["mask"] = settings["mask"].float().clamp(0, 1).cpu().numpy()
    return settings


def about_mask(masks) -> list[str]:
    """A warning for masks that prefer nothing, such as Load Image gives where nothing was painted."""
    constant = 0 if masks is None else sum(bool(mask.size) and mask.min() == mask.max() for mask in masks)
    if not constant:
        return []
    which = "mask" if len(masks) == 1 else f"{constant} of {len(masks)} masks"
    return [f"\u26a0 Not used: {which}, the same everywhere. Paint the parts that are to keep more detail."]


def unused(preset: codec.Preset, widgets: dict, latent_format: str) -> list[str]:
    """Notes about inputs that were changed and that this preset does not use."""
    changed = [name for name, default in DEFAULTS.items() if widgets[name] is not None and widgets[name] != default]
    ignored = [name for name in changed if name not in preset.defaults and name != "seed"]
    notes = []
    if ignored:
        usable = [other for other in codec.PRESETS if codec.usable_preset(other, latent_format)[0].name == other]
        instead = next((other for other in usable if set(ignored) <= set(USED[other])), None)
        advice = f" Choose {instead} to use it." if instead else ""
        notes.append(f"\u26a0 Not used by the preset {preset.name}: {', '.join(ignored)}.{advice}")
    if "quality" in preset.defaults and widgets["quality"] and widgets["max_bytes"]:
        notes.append("\u26a0 Not used together with quality: max_bytes. Set quality to 0 to use it.")
    return notes


def about_size(encoded: codec.EncodedImage) -> list[str]:
    """A line about what VAE Encode cropped, and a warning for images that take long."""
    factor = codec.by_name(encoded.latent_format).spatial_factor
    kept_width, kept_height = encoded.latent_width * factor, encoded.latent_height * factor
    lines = []
    if encoded.latent_format != UNKNOWN and (kept_width, kept_height) != (encoded.width, encoded.height):
        lines.append(
            f"VAE Encode kept {kept_width}x{kept_height} of {encoded.width}x{encoded.height}. SDC Regenerate and "
            "Decode SDC restore the original size."
        )
    pixels = encoded.width * encoded.height
    if pixels > LARGE:
        lines.append(
            f"\u26a0 {pixels / 10**6:.0f} megapixels: the VAE and the regeneration need about {pixels / 512**2:.0f} "
            "times the time and memory of 512x512. Scale the image before VAE Encode to save both."
        )
    return lines


def image_size(image, latent: dict, latent_format: str) -> tuple[int, int]:
    """Width and height of an IMAGE (B, H, W, C). Raises ValueError where the latent cannot be made from it."""
    height, width = image.shape[1:3]
    factor = codec.by_name(latent_format).spatial_factor
    latent_height, latent_width = latent["samples"].shape[-2:]
    if latent_format != UNKNOWN and (height // factor, width // factor) != (latent_height, latent_width):
        raise ValueError(
            f"The image is {width}x{height}, but the latent is of an image of {latent_width * factor}x"
            f"{latent_height * factor}. Connect the image that was connected to VAE Encode, or leave image "
            "unconnected."
        )
    return width, height
