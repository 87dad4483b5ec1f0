"""SD Latent Quantize. Presets, their settings and what each does are those of `codec.presets`."""

from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import io

from .. import codec
from . import CATEGORY, plain_errors
from .latents.arrays import check_latent, to_arrays, to_latent
from .latents.formats import AUTO, UNKNOWN, settle_format
from .latents.through_pixels import PRESET, encode_pixels, is_vae, keeps_more, latent_of
from .latents.vae import fingerprint_of
from .progress import cancelable, check_cancel
from .sockets.sdc import SDC, size_line

# What the page grays by: which inputs each preset uses.
USED = {name: list(preset.defaults) for name, preset in codec.PRESETS.items()}
DEFAULTS = {name: value for preset in codec.PRESETS.values() for name, value in preset.defaults.items()}
DEFAULTS |= {"max_bytes": 0, "quality": 0, "precision": 0.0}
ARCHIVE = "archive"  # the preset for latents of any kind
LARGE = 2 * 10**6  # pixels; twice what SDXL, SD3 and Flux were made for


class SDCLatentQuantize(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLatentQuantize",
            display_name="SD Latent Quantize",
            category=CATEGORY,
            description=(
                "Compresses the latent of an image to a few kilobytes. Connect Save SDC to write the file, and VAE "
                "Decode to view the result."
            ),
            search_aliases=[
                "sdc",
                "compress image",
                "codec",
                "encode",
                "quantize",
                "palette",
                "reduce colors",
                "posterize",
                "small file",
                "tiny file",
                "jpeg",
                "webp",
                "avif",
            ],
            inputs=[
                io.Latent.Input(
                    "latent",
                    tooltip="The image to compress, directly from VAE Encode. Its noise mask is not stored.",
                ),
                io.Combo.Input(
                    "preset",
                    options=list(USED),
                    default=codec.DEFAULT_PRESET,
                    extra_dict={"sdc_settings": USED},
                    tooltip=(
                        "best: the learned codec, much closer to the image at the same file size, which you can set; "
                        f"for {' and '.join(codec.LEARNED_FORMATS)}, other latent formats use fine. fine: 256 colors, "
                        "about 5 kB for 512x512. clean: 64 colors, about 3 kB. paper: 64 colors with dithering, as in "
                        "the paper; grainier. archive: the latent itself with hardly any loss, of any model or video; "
                        "about 11 kB for 512x512 with SD1.x, 40 kB with Flux. custom: your own colors, dither and "
                        "dither_strength."
                    ),
                ),
                io.Int.Input(
                    "colors",
                    default=DEFAULTS["colors"],
                    min=2,
                    max=4096,
                    tooltip=(
                        "For custom. More colors give a cleaner image and a larger file. 16 looks painted, 64 is the "
                        "paper's setting, 256 takes about 1.6 times the size of 64."
                    ),
                ),
                io.Combo.Input(
                    "dither",
                    options=list(codec.DITHERS),
                    default=DEFAULTS["dither"],
                    tooltip=(
                        "For custom. none is closer to the image, regenerated or not. floyd-steinberg, as in the "
                        "paper, spreads the error over neighbors: smooth areas keep their tone and get grainy."
                    ),
                ),
                io.Float.Input(
                    "dither_strength",
                    default=DEFAULTS["dither_strength"],
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    advanced=True,
                    tooltip="For custom. 1.0 is full dithering; lower values are less grainy and more blotchy; 0 is "
                    "none.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    advanced=True,
                    tooltip="Another seed gives a slightly different palette of the same size; the same seed gives the "
                    "same file. best does not use it.",
                ),
                io.Combo.Input(
                    "latent_format",
                    options=[AUTO, *(space.name for space in codec.LATENT_FORMATS), UNKNOWN],
                    default=AUTO,
                    tooltip=(
                        "The latent format of the VAE that made the latent, stored in the file so that it can be "
                        "decoded with the right VAE. auto takes it from the VAE or MODEL connected to vae. SD2.x uses "
                        "that of SD1.x, Z-Image and Chroma that of Flux, Qwen-Image and Wan Wan21; docs/models.md "
                        "lists all models. unknown stores any latent, and you have to remember its VAE."
                    ),
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip=(
                        "The image that was connected to VAE Encode, for its original size; nothing else is used. VAE "
                        "Encode crops images to multiples of 8, or 16 for FLUX.2. Without it, the size of what the "
                        "latent decodes to is stored."
                    ),
                ),
                io.Float.Input(
                    "bits_per_pixel",
                    default=DEFAULTS["bits_per_pixel"],
                    min=0.01,
                    max=codec.MAX_BITS_PER_PIXEL,  # a tiny image takes several: no more than the node may advise
                    step=0.005,
                    round=0.0001,
                    optional=True,
                    tooltip=(
                        "For best: an upper limit for the size of each file. 0.095 is 3.1 kB for 512x512, 0.04 is 1.3 "
                        "kB and looks soft, 0.2 is close to the best the VAE can do. If it cannot be reached, as for a "
                        "detailed SDXL image at 0.04, the node says what can."
                    ),
                ),
                io.Int.Input(
                    "max_bytes",
                    default=DEFAULTS["max_bytes"],
                    min=0,
                    max=codec.MAX_FILE_BYTES,
                    optional=True,
                    advanced=True,
                    tooltip="For best: the same limit in bytes. 0 uses bits_per_pixel.",
                ),
                io.Int.Input(
                    "quality",
                    default=DEFAULTS["quality"],
                    min=0,
                    max=100,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "For best: the same quality for every image instead of the same file size, from 1 to 100. "
                        "About 3 kB for 512x512 are 54 for SD1.x, 40 for SDXL and SD3, 30 for Flux. 0 uses the file "
                        "size."
                    ),
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "For best: white areas, such as a face or lettering, keep more detail at the expense of the "
                        "rest; the file size does not change."
                    ),
                ),
                io.MultiType.Input(
                    "vae",
                    types=[io.Vae, io.Model],
                    optional=True,
                    tooltip=(
                        "The VAE that made the latent, or the MODEL of its checkpoint; auto takes the latent format "
                        "from it. With a VAE other than that of SD 1.x, best stores the image through the small VAE of "
                        "the pack, which keeps far more of it in so few bytes. A VAE of SD 1.x is identified in the "
                        "file, in 12 bytes, so that Load SDC can warn if another one is used."
                    ),
                ),
                io.Boolean.Input(
                    "shared_palette",
                    default=DEFAULTS["shared_palette"],
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "One palette for all images of a batch instead of one for each: the frames of a video get the "
                        "same colors, and Save SDC stores it once in an image sequence. Images that have little in "
                        "common get coarser. best has no palette."
                    ),
                ),
                io.Float.Input(
                    "precision",
                    default=DEFAULTS["precision"],
                    min=0.0,
                    max=4096.0,
                    step=1.0,
                    optional=True,
                    tooltip=(
                        "For archive: how exactly the latent is kept. No value is off by more than the standard "
                        "deviation divided by twice this. 4 takes about 2/3 of the bytes of 16, and 64 about 1.4 times "
                        "as many. 0 takes what the latent format needs for an image that looks the same."
                    ),
                ),
            ],
            outputs=[
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed image, for Save SDC."),
                io.Latent.Output(
                    "decoded",
                    display_name="LATENT",
                    tooltip="The latent exactly as decoded from the file, for VAE Decode.",
                ),
                io.Int.Output("bytes", display_name="bytes", tooltip="File size in bytes; of all files for a batch."),
                io.Float.Output(
                    "bits_per_pixel", display_name="bits per pixel", tooltip="File size in bits per pixel of the image."
                ),
            ],
        )

    @classmethod
    @cancelable()
    @plain_errors()
    def execute(
        cls,
        latent,
        preset,
        colors,
        dither,
        dither_strength,
        seed,
        latent_format,
        image=None,
        bits_per_pixel=DEFAULTS["bits_per_pixel"],
        max_bytes=0,
        quality=0,
        mask=None,
        vae=None,
        shared_palette=False,
        precision=DEFAULTS["precision"],
    ) -> io.NodeOutput:
        check_latent(latent)
        latent_format = settle_format(latent_format, latent, vae, or_unknown=preset == ARCHIVE)
        widgets = {
            "bits_per_pixel": bits_per_pixel,
            "max_bytes": max_bytes,
            "quality": quality,
            "mask": mask,
            "colors": colors,
            "dither": dither,
            "dither_strength": dither_strength,
            "seed": seed,
            "shared_palette": shared_palette,
            "precision": precision,
        }
        width, height = (None, None) if image is None else image_size(image, latent, latent_format)
        own_format, own_latent = latent_format, latent
        through_pixels = keeps_more(preset, latent_format, latent, vae)
        if through_pixels:
            latent, size = encode_pixels(vae, latent)
            latent_format = latent["latent_format"]
            height, width = (height, width) if image is not None else size
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
        batch = to_arrays(latent)
        progress = ProgressBar(len(batch))

        def step():
            progress.update(1)
            check_cancel()

        encoded_images = codec.encode(
            batch,
            used.name,
            **settings,
            latent_format=latent_format,
            width=width,
            height=height,
            vae=None if through_pixels or not is_vae(vae) else fingerprint_of(vae),
            step=step,
        )
        latent = own_latent
        if through_pixels:
            decoded = latent_of(vae, own_format, encoded_images)
        else:
            decoded = to_latent(encoded_images, shows_progress=False)
        if "batch_index" in latent:
            decoded["batch_index"] = latent["batch_index"]
        if "noise_mask" in latent:
            notes.append("\u26a0 The latent's noise mask is not stored: a .sdc file holds a whole image.")
        lines = [*(size_line(encoded) for encoded in encoded_images), *about_size(encoded_images[0]), *notes]
        num_bytes = sum(encoded.num_bytes for encoded in encoded_images)
        bits_per_pixel = sum(encoded.bits_per_pixel for encoded in encoded_images) / len(encoded_images)
        return io.NodeOutput(encoded_images, decoded, num_bytes, bits_per_pixel, ui={"text": lines})


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
