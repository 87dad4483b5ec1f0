"""Compress Folder: what Load Image Folder, VAE Encode, SD Latent Quantize and Save SDC do, one image at a time."""

from comfy.cli_args import args
from comfy_api.v0_0_2 import io

from .. import codec
from ..codec.autoencoder.srgb import SUFFIXES
from ..codec.presets import EFFORTS, FAST
from . import CATEGORY, never_equal, plain_errors
from .files.folder_inputs import check_choice, place_inputs
from .files.folders import choose_files
from .folder_work.compress import FolderCompression, Total
from .latents.quantize import DEFAULTS
from .progress import cancelable, steps

SETTINGS, NOTHING = "prompt and settings", "none"  # as Save SDC calls them


class SDCCompressFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCCompressFolder",
            display_name="Compress Folder",
            category=CATEGORY,
            description="Compresses all images of a folder, one after the other, into .sdc files of the same names and "
            "subfolders, and says how much that saved. After Cancel, run it again: files that are there are not made "
            "again.",
            search_aliases=["sdc", "batch", "folder", "directory", "output folder", "compress images", "archive"],
            is_output_node=True,
            inputs=[
                *place_inputs("output", "", "*", "cat*.png"),
                io.String.Input(
                    "output_folder",
                    default="SDC/folder",
                    tooltip="Where the .sdc files go, in ComfyUI's output folder. Nothing is overwritten or deleted.",
                ),
                io.Combo.Input(
                    "preset",
                    options=[name for name in codec.PRESETS if name != "custom"],
                    default=codec.DEFAULT_PRESET,
                    tooltip="As in SD Latent Quantize. best: the learned codec, much closer to the image at the same "
                    "file size.",
                ),
                io.Float.Input(
                    "bits_per_pixel",
                    default=DEFAULTS["bits_per_pixel"],
                    min=0.01,
                    max=codec.MAX_BITS_PER_PIXEL,
                    step=0.005,
                    round=0.0001,
                    tooltip="For best: an upper limit for the size of each file. 0.095 is 12 kB for 1024x1024, 0.04 is "
                    "5 kB and looks soft, 0.2 is close to the best the VAE can do.",
                ),
                io.Float.Input(
                    "megapixels",
                    default=1.0,
                    min=0.0,
                    max=16.0,
                    step=0.05,
                    round=0.001,
                    tooltip="Larger images are scaled down to this; smaller ones stay as they are. 0: none is scaled.",
                ),
                io.Combo.Input(
                    "embed",
                    display_name="include",
                    options=[SETTINGS, NOTHING],
                    default=SETTINGS,
                    tooltip="prompt and settings: what a PNG from ComfyUI says about prompts, seed and sampler goes "
                    "along, in about 200 bytes; Load SDC outputs it again.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The VAE that encodes the images. Without one, the small VAE of the pack does, and no "
                    "model is loaded.",
                ),
                io.Combo.Input(
                    "effort",
                    options=list(EFFORTS),
                    default=FAST,
                    optional=True,
                    tooltip="For best. thorough refines what is stored until the decoded image is as close to yours as "
                    "it gets: minutes for each image on a processor, less on a graphics card. Files are as large.",
                ),
            ],
            outputs=[
                io.String.Output("folder", tooltip="The folder of the .sdc files, for folder of Load SDC Folder."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder, pattern):
        return check_choice(folder, pattern)

    @classmethod
    def fingerprint_inputs(cls, **_):
        return never_equal()  # each run looks for what is missing

    @classmethod
    @cancelable()
    @plain_errors()
    def execute(
        cls, place, folder, pattern, output_folder, preset, bits_per_pixel, megapixels, embed, vae=None, effort=FAST
    ) -> io.NodeOutput:
        files = choose_files(place, folder, pattern, "name", 0, 0, SUFFIXES)
        if not files:
            raise ValueError(f"No image in the folder {folder!r} of ComfyUI's {place} folder matches {pattern!r}.")
        settings = {"bits_per_pixel": bits_per_pixel} if "bits_per_pixel" in codec.PRESETS[preset].defaults else {}
        keeps = embed == SETTINGS and not args.disable_metadata
        work = FolderCompression(place, folder, output_folder, preset, settings, vae, megapixels, keeps, effort)
        total = work.run(steps(files), Total())
        return io.NodeOutput(work.target, ui={"text": total.lines()})
