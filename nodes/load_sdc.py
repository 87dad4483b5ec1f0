"""Load SDC. Its list is built anew for every prompt (nodes/files/listing.py says at what cost)."""

import hashlib

from comfy_api.v0_0_2 import io

from .. import codec
from . import CATEGORY, never_equal, plain_errors
from .files.listing import find_listed, list_files, load_listed
from .files.samples import list_samples
from .latents.vae import open_for
from .metadata.outputs import generation_outputs, generation_values
from .sockets.sdc import SDC, about_file


class SDCLoad(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLoad",
            display_name="Load SDC",
            category=CATEGORY,
            description="Opens a .sdc file. Connect VAE Decode to view the image, or DDIM Invert to regenerate it. "
            "An image sequence is loaded as a batch.",
            search_aliases=["sdc", "open", "decompress", "decode", "load latent", "load image", "import", "sample"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[*list_files(), *list_samples()],
                    tooltip="Files in the input folder and its subfolders, then files saved in the output folder, then "
                    "a sample that comes with the pack. Press R to refresh the list.",
                ),
                io.Int.Input(
                    "max_megapixels",
                    default=36,
                    min=1,
                    max=codec.MAX_PIXELS // 10**6 + 1,
                    optional=True,
                    tooltip="Files with larger images, or with more pixels in all images together, are rejected before "
                    "anything is decoded: a tiny file from a stranger could otherwise keep VAE Decode busy for hours. "
                    "Increase it for large images of your own.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The VAE that will decode the image. Files of SD 1.x, as preset best makes for all models, "
                    "open with any VAE; for others a warning says which VAE they need.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="LATENT", tooltip="The stored image, for VAE Decode."),
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed image, for Save SDC."),
                io.String.Output("prompt", display_name="prompt", tooltip="The stored prompt; empty if none."),
                io.Int.Output("width", display_name="width", tooltip="Original width of the image in pixels."),
                io.Int.Output("height", display_name="height", tooltip="Original height of the image in pixels."),
                *generation_outputs(),
            ],
        )

    @classmethod
    def validate_inputs(cls, file):
        if file is None:  # linked to a node that has not run yet
            return True
        if not file:
            return "No .sdc file is chosen yet. Drop one on Load SDC, upload one, or choose the sample from the list."
        try:
            find_listed(file)
        except (ValueError, OSError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file, max_megapixels=36, vae=None):
        try:
            return hashlib.sha256(codec.read_bounded(find_listed(file))).hexdigest()
        except (ValueError, OSError):
            return never_equal()  # so the node runs and raises the error

    @classmethod
    @plain_errors()
    def execute(cls, file, max_megapixels=36, vae=None) -> io.NodeOutput:
        images, num_bytes = load_listed(file, max_megapixels)
        first = images[0]  # its metadata count for all
        values = first.metadata.get("prompt", ""), first.width, first.height, *generation_values(first)
        latent, notes = open_for(vae, images)
        lines = about_file(images, num_bytes) + notes
        return io.NodeOutput(latent, images, *values, ui={"text": lines, "sdc_file": [file]})
