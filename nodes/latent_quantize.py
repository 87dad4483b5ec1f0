from functools import partial

import comfy.model_management
import numpy as np
import torch
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
                    options=["paper", "custom", "best"],
                    default="paper",
                    tooltip=(
                        "paper: 64 colours with full Floyd–Steinberg dither, about 3 kB for 512x512, whatever colours, "
                        "dither and dither_strength say. custom: your own settings of these. best: the trained coder, "
                        "far nearer to the picture at the same size, with the size that you choose below; SD1.x only."
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
                io.Float.Input(
                    "bits_per_pixel",
                    default=0.095,
                    min=0.01,
                    max=2.0,
                    step=0.005,
                    round=0.0001,
                    optional=True,
                    tooltip=(
                        "How big the file of each picture may get, with the preset best: 0.095 is 3.1 kB for 512x512, "
                        "0.04 is 1.3 kB and looks soft, 0.2 is near the best that the VAE can do. Never passed."
                    ),
                ),
                io.Int.Input(
                    "max_bytes",
                    default=0,
                    min=0,
                    max=codec.MAX_FILE_BYTES,
                    optional=True,
                    tooltip="The same in bytes, for the preset best. 0: go by bits_per_pixel.",
                ),
                io.Int.Input(
                    "quality",
                    default=0,
                    min=0,
                    max=100,
                    optional=True,
                    tooltip=(
                        "The same quality for every picture, instead of the same size, for the preset best: 1 is "
                        "coarse, 55 about 3 kB for 512x512, 100 as fine as it gets. 0: go by size."
                    ),
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip=(
                        "What is white here, a face or lettering, is kept finer, and the rest of the picture pays for "
                        "it: the file gets no bigger. For the preset best."
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
        cls,
        latent,
        preset,
        colours,
        dither,
        dither_strength,
        seed,
        latent_format,
        image=None,
        bits_per_pixel=0.095,
        max_bytes=0,
        quality=0,
        mask=None,
    ) -> io.NodeOutput:
        width, height = (None, None) if image is None else picture_size(image, latent, latent_format)
        about = {"latent_format": latent_format, "width": width, "height": height}
        batch = to_arrays(latent)
        if preset == "best":
            masks = [None] * len(batch) if mask is None else masks_of_latent(mask, latent)
            budget = size_of(bits_per_pixel, max_bytes, quality)
            jobs = [
                partial(codec.encode_learned, z, mask=m, **budget, **about) for z, m in zip(batch, masks, strict=True)
            ]
        else:
            custom = {"colours": colours, "dither": dither, "dither_strength": dither_strength}
            settings = codec.PAPER_PRESET if preset == "paper" else custom
            jobs = [partial(codec.encode, z, seed=seed, **settings, **about) for z in batch]
        pictures = []
        progress = ProgressBar(len(jobs))
        for encode in jobs:
            comfy.model_management.throw_exception_if_processing_interrupted()
            pictures.append(encode())
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


def size_of(bits_per_pixel: float, max_bytes: int, quality: int) -> dict:
    """What codec.encode_learned is to keep to; a quality in 1..100 becomes one of its own."""
    if quality:
        return {"quality": round((quality - 1) * (codec.QUALITIES - 1) / 99)}
    return {"size": max_bytes} if max_bytes else {"bits_per_pixel": bits_per_pixel}


def masks_of_latent(mask: torch.Tensor, latent: dict) -> list[np.ndarray]:
    """A MASK (H, W) or (B, H, W) as one (h, w) array in 0..1 for each picture of the latent."""
    samples = latent["samples"]
    mask = mask.float().clamp(0, 1).reshape(-1, 1, *mask.shape[-2:])
    if len(mask) not in (1, len(samples)):
        raise ValueError(f"mask has {len(mask)} pictures and latent {len(samples)}; give each one, or one for all.")
    small = torch.nn.functional.adaptive_max_pool2d(mask, samples.shape[-2:]).cpu().expand(len(samples), -1, -1, -1)
    return list(small[:, 0].numpy())


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
