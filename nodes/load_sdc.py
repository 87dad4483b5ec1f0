import hashlib
import math
import os

import folder_paths
from comfy_api.v0_0_2 import io

from .. import codec
from .paths import find, is_within
from .sockets import CATEGORY, SDC, describe_file, to_latent

NO_FILES = "no .sdc file yet: save one with Save SDC, or put one into ComfyUI's input folder"


class SDCLoad(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLoad",
            display_name="Load SDC",
            category=CATEGORY,
            description="Opens a .sdc file. Connect VAE Decode to see the picture, or DDIM Invert to regenerate it.",
            search_aliases=["sdc", "open", "decompress", "decode", "load latent", "import"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=sdc_files() or [NO_FILES],
                    tooltip="Files of the input folder and its subfolders, then those saved in the output folder. "
                    "Press R to refresh the list.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="LATENT", tooltip="The stored picture, for VAE Decode."),
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed picture, for Save SDC."),
                io.String.Output(
                    "prompt", display_name="prompt", tooltip="The words stored in the file, empty if none."
                ),
                io.Int.Output("width", display_name="width", tooltip="Width of the original picture in pixels."),
                io.Int.Output("height", display_name="height", tooltip="Height of the original picture in pixels."),
            ],
        )

    @classmethod
    def validate_inputs(cls, file):
        if file == NO_FILES:
            return f"There is {NO_FILES}, then press R and choose it."
        try:
            find(file)
        except (ValueError, OSError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, file):
        try:
            return hashlib.sha256(codec.read_file(find(file))).hexdigest()
        except (ValueError, OSError):
            return math.nan  # equal to nothing: the node runs, and says what is wrong

    @classmethod
    def execute(cls, file) -> io.NodeOutput:
        picture = read(file)
        prompt = picture.metadata.get("prompt", "")
        return io.NodeOutput(
            to_latent([picture]), [picture], prompt, picture.width, picture.height, ui={"text": describe_file(picture)}
        )


def read(file: str) -> codec.EncodedPicture:
    """Read a file that the Load list offers; whatever is wrong is told with its name."""
    path = find(file)
    try:
        return codec.read(codec.read_file(path))
    except codec.SdcError as error:
        raise type(error)(f"{file}: {error}") from error
    except OSError as error:
        raise OSError(f"{file} cannot be read: {error.strerror or error}") from error


def sdc_files() -> list[str]:
    """Names as ComfyUI annotates them: plain for the input folder, 'name [output]' for the output folder."""
    inputs = find_sdc(folder_paths.get_input_directory())
    outputs = find_sdc(folder_paths.get_output_directory())
    return inputs + [f"{name} [output]" for name in outputs]


def find_sdc(folder: str) -> list[str]:
    files, _ = folder_paths.recursive_search(folder)
    # Windows separators would give one workflow two names for the same file.
    return sorted(
        name.replace(os.sep, "/")
        for name in files
        if name.lower().endswith(".sdc") and is_within(folder, os.path.join(folder, name))
    )
