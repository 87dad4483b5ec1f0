import hashlib
import math

from comfy_api.v0_0_2 import io

from .. import codec
from . import CATEGORY, plain_errors
from .files.listing import find_listed, list_files, load_listed
from .files.samples import list_samples
from .latents.arrays import to_latent
from .latents.vae import vae_notes
from .metadata.outputs import generation_outputs, generation_values
from .sockets.sdc import SDC, about_file

NOTHING = "no .sdc file yet"  # how the only entry of an empty list once began; saved workflows may hold it
INVITATION = (
    "No .sdc file is chosen yet. Drop one on Load SDC, press its upload button, or choose the sample from its list."
)


class SDCLoad(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLoad",
            display_name="Load SDC",
            category=CATEGORY,
            description="Opens a .sdc file. Connect VAE Decode to see the image, or DDIM Invert to regenerate it. "
            "A file of several images gives them as a batch.",
            search_aliases=["sdc", "open", "decompress", "decode", "load latent", "load image", "import", "sample"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=[*list_files(), *list_samples()],
                    tooltip="Files of the input folder and its subfolders, then those saved in the output folder, then "
                    "a sample that comes with the pack. Press R to refresh the list.",
                ),
                io.Int.Input(
                    "max_megapixels",
                    default=36,
                    min=1,
                    max=codec.MAX_PIXELS // 10**6 + 1,
                    optional=True,
                    tooltip="A file that claims to hold a larger image, or larger ones all together, is refused "
                    "before anything is decoded: a stranger's file of a few bytes could otherwise keep VAE Decode busy "
                    "for hours. Raise it for large or many images of your own.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The VAE that is to decode the image: the node warns where the file says that another "
                    "one has made it. Nothing else is done with it.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="LATENT", tooltip="The stored image, for VAE Decode."),
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed image, for Save SDC."),
                io.String.Output(
                    "prompt", display_name="prompt", tooltip="The words stored in the file, empty if none."
                ),
                io.Int.Output("width", display_name="width", tooltip="Width of the original image in pixels."),
                io.Int.Output("height", display_name="height", tooltip="Height of the original image in pixels."),
                *generation_outputs(),
            ],
        )

    @classmethod
    def validate_inputs(cls, file):
        if file is None:  # it comes over a link, and the node that gives it has not run yet
            return True
        if not file or file.startswith(NOTHING):
            return INVITATION
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
            return math.nan  # equal to nothing: the node runs, and says what is wrong

    @classmethod
    @plain_errors()
    def execute(cls, file, max_megapixels=36, vae=None) -> io.NodeOutput:
        images, size = load_listed(file, max_megapixels)
        first = images[0]  # what it says is given for all
        about = first.width, first.height, *generation_values(first)
        lines = about_file(images, size) + ([] if vae is None else vae_notes(images, vae))
        return io.NodeOutput(to_latent(images), images, first.metadata.get("prompt", ""), *about, ui={"text": lines})
