import comfy.model_management
from comfy.utils import ProgressBar
from comfy_api.v0_0_2 import io

from .. import codec
from .sockets import CATEGORY
from .sockets.latents import to_arrays, to_latent
from .sockets.sdc import SDC, size_line


class SDCLatentQuantize(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLatentQuantize",
            display_name="SD Latent Quantize",
            category=CATEGORY,
            description=(
                "Reduces a latent to a small palette of colours and packs it into a few kilobytes. "
                "Connect Save SDC to keep the file, and VAE Decode to see what is left of the picture."
            ),
            search_aliases=["compress", "codec", "sdc", "palette", "small", "tiny file", "jpeg"],
            inputs=[
                io.Latent.Input(
                    "latent",
                    tooltip="The picture to compress, fresh from VAE Encode. A noise mask on it is not stored.",
                ),
                io.Combo.Input(
                    "preset",
                    options=["paper", "custom"],
                    default="paper",
                    tooltip=(
                        "paper: 64 colours with full Floyd–Steinberg dither, about 3 kB for 512x512, whatever colours, "
                        "dither and dither_strength say. custom: your own settings of these."
                    ),
                ),
                io.Int.Input(
                    "colours",
                    default=64,
                    min=2,
                    max=4096,
                    tooltip=(
                        "How many different colours the latent may keep. More colours: a cleaner picture and a "
                        "bigger file. 16 looks painted, 64 is the paper's choice, 256 takes about 1.6 times as much. "
                        "Used by the custom preset."
                    ),
                ),
                io.Combo.Input(
                    "dither",
                    options=list(codec.DITHERS),
                    default="floyd-steinberg",
                    tooltip=(
                        "floyd-steinberg spreads the error over neighbours: smooth areas keep their tone but turn "
                        "grainy, which regeneration cleans up. none gives flat blotches: better where nothing "
                        "regenerates. Used by the custom preset."
                    ),
                ),
                io.Float.Input(
                    "dither_strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="1.0 dithers fully, lower values are less grainy and more blotchy, 0 is no dither at all. "
                    "Used by the custom preset.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    tooltip="Where the search for the palette starts. Another seed gives a slightly different palette; "
                    "the same seed always gives the same file.",
                ),
                io.Combo.Input(
                    "latent_format",
                    options=[space.name for space in codec.LATENT_FORMATS],
                    default="SD1.x",
                    tooltip=(
                        "The family of the VAE that made the latent. It is written into the file, so that whoever "
                        "opens it knows which VAE brings the picture back. SD2.x shares the SD1.x VAE."
                    ),
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip=(
                        "The picture that went into VAE Encode; only its width and height are read. VAE Encode trims "
                        "pictures to multiples of 8, so connect this to have the true size remembered in the file. "
                        "Without it the latent's size times 8 is written."
                    ),
                ),
            ],
            outputs=[
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed picture, ready for Save SDC."),
                io.Latent.Output(
                    "decoded",
                    display_name="LATENT",
                    tooltip="The picture as the file will give it back, for VAE Decode.",
                ),
                io.Int.Output("bytes", display_name="bytes", tooltip="Size of the file; of all files for a batch."),
                io.Float.Output(
                    "bits_per_pixel", display_name="bits per pixel", tooltip="File size in bits over picture area."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, latent, preset, colours, dither, dither_strength, seed, latent_format, image=None
    ) -> io.NodeOutput:
        if preset == "paper":
            settings = dict(codec.PAPER_PRESET)
        else:
            settings = {"colours": colours, "dither": dither, "dither_strength": dither_strength}
        width, height = (None, None) if image is None else picture_size(image, latent, latent_format)
        settings |= {"seed": seed, "latent_format": latent_format, "width": width, "height": height}
        pictures, batch = [], to_arrays(latent)
        progress = ProgressBar(len(batch))
        for samples in batch:
            comfy.model_management.throw_exception_if_processing_interrupted()
            pictures.append(codec.encode(samples, **settings))
            progress.update(1)
        decoded = to_latent(pictures)
        if "batch_index" in latent:
            decoded["batch_index"] = latent["batch_index"]
        size = sum(picture.size for picture in pictures)
        pixels = sum(picture.width * picture.height for picture in pictures)
        lines = [size_line(picture) for picture in pictures]
        if "noise_mask" in latent:
            lines.append("\u26a0 The latent's noise mask is not stored: a .sdc file holds a whole picture.")
        return io.NodeOutput(pictures, decoded, size, 8 * size / pixels, ui={"text": lines})


def picture_size(image, latent: dict, latent_format: str) -> tuple[int, int]:
    """Width and height of an IMAGE (B, H, W, C), once it is sure that the latent can have come from it."""
    height, width = image.shape[1:3]
    factor = codec.by_name(latent_format).spatial_factor
    latent_height, latent_width = latent["samples"].shape[-2:]
    if (height // factor, width // factor) != (latent_height, latent_width):
        raise ValueError(
            f"The image is {width}x{height}, but the latent is that of a picture of "
            f"{latent_width * factor}x{latent_height * factor}. Connect the picture that went into VAE Encode, "
            "or leave image unconnected."
        )
    return width, height
