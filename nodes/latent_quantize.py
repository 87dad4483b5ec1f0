"""SD Latent Quantize. Presets, their settings and what each does are those of `codec.presets`."""

from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import io

from .. import codec
from ..codec.presets import EFFORTS, FAST, THOROUGH
from . import CATEGORY, plain_errors
from .latents.arrays import check_latent
from .latents.formats import AUTO, UNKNOWN
from .latents.quantize import DEFAULTS, USED, quantize
from .progress import cancelable, check_cancel
from .sockets.sdc import SDC, size_line

PROGRESS = 1000  # of which the bar of "thorough" shows the share that is done


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
                        "best: the closest to the image at a file size that you choose, by the learned codec, for "
                        f"{' and '.join(codec.LEARNED_FORMATS)}; other latent formats use fine. fine: the finest "
                        "palette, 256 colors, about 5 kB for 512x512. clean: smooth, 64 colors, about 3 kB. paper: as "
                        "in the paper, 64 colors with dithering; grainier. archive: hardly any loss, the latent "
                        "itself, of any model or video; about 14 kB for 512x512 with SD1.x, 51 kB with Flux. custom: "
                        "your own colors, dither and dither_strength."
                    ),
                ),
                io.Int.Input(
                    "colors",
                    default=DEFAULTS["colors"],
                    min=2,
                    max=4096,
                    advanced=True,
                    tooltip=(
                        "For custom. More colors give a cleaner image and a larger file. 16 looks painted, 64 is the "
                        "paper's setting, 256 takes about 1.6 times the size of 64."
                    ),
                ),
                io.Combo.Input(
                    "dither",
                    options=list(codec.DITHERS),
                    default=DEFAULTS["dither"],
                    advanced=True,
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
                    max=codec.MAX_BITS_PER_PIXEL,
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
                    tooltip="For best: the same limit in bytes. 0 uses bits_per_pixel.",
                ),
                io.Int.Input(
                    "quality",
                    default=DEFAULTS["quality"],
                    min=0,
                    max=100,
                    optional=True,
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
                    advanced=True,
                    tooltip=(
                        "For archive: how exactly the latent is kept. No value is off by more than the standard "
                        "deviation divided by twice this. 4 takes about 2/3 of the bytes of 16, and 64 about 1.4 times "
                        "as many. 0 takes what the latent format needs for an image that looks the same."
                    ),
                ),
                io.Combo.Input(
                    "effort",
                    options=list(EFFORTS),
                    default=FAST,
                    optional=True,
                    tooltip=(
                        "For best. thorough refines what is stored until the decoded image looks as close to yours as "
                        "it gets, by LPIPS, in as many bytes: minutes on a processor, less on a graphics card. For "
                        "images that the pack's small VAE decodes, so not with a VAE of SD 1.x."
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
        effort=FAST,
    ) -> io.NodeOutput:
        check_latent(latent)
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
        progress = ProgressBar(PROGRESS if effort == THOROUGH else len(latent["samples"]))

        def step():
            check_cancel()
            if effort != THOROUGH:
                progress.update(1)

        def tell(share):
            progress.update_absolute(round(PROGRESS * share))

        quantized = quantize(
            latent, preset, widgets, latent_format, image=image, vae=vae, effort=effort, step=step, tell=tell
        )
        images = quantized.images
        num_bytes = sum(encoded.num_bytes for encoded in images)
        bits_per_pixel = sum(encoded.bits_per_pixel for encoded in images) / len(images)
        lines = [*(size_line(encoded) for encoded in images), *quantized.notes]
        return io.NodeOutput(images, quantized.decode(), num_bytes, bits_per_pixel, ui={"text": lines})
