"""Load Image Folder: outputs are lists, so ComfyUI runs what follows once for each image, and names go along."""

import comfy.model_management
import torch
from comfy_api.v0_0_2 import io
from PIL import Image

from ..codec.autoencoder.srgb import SUFFIXES, to_srgb
from . import CATEGORY
from .files.folder_inputs import check_choice, order_inputs, place_inputs, state_of
from .files.folders import choose_files, prefix_of
from .files.listing import find_listed

MAX_LINES = 20


class SDCLoadImageFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLoadImageFolder",
            display_name="Load Image Folder",
            category=CATEGORY,
            description="Loads all images of a folder by name, one after the other, each in its own size: the nodes "
            "that follow run once for each. Connect name to the file name of Save SDC to keep the names.",
            search_aliases=["sdc", "batch", "folder", "directory", "list", "load many", "load images", "compress"],
            inputs=[
                *place_inputs("input", "", "*", "cat*.png"),
                *order_inputs("images"),
            ],
            outputs=[
                io.Image.Output(
                    "image", display_name="IMAGE", tooltip="The images, upright and in sRGB.", is_output_list=True
                ),
                io.String.Output(
                    "name",
                    tooltip="Name of each image, without folder and extension, as a file name that all systems allow.",
                    is_output_list=True,
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder, pattern):
        return check_choice(folder, pattern)

    @classmethod
    def fingerprint_inputs(cls, place, folder, pattern, order, index, limit):
        return state_of(place, folder, pattern, order, index, limit, SUFFIXES)

    @classmethod
    def execute(cls, place, folder, pattern, order, index, limit) -> io.NodeOutput:
        files = choose_files(place, folder, pattern, order, index, limit, SUFFIXES)
        if not files:
            raise ValueError(
                f"No image in the folder {folder!r} of ComfyUI's {place} folder matches {pattern!r} after the first "
                f"{index}."
            )
        images, names, lines = [], [], []
        for file in files:
            comfy.model_management.throw_exception_if_processing_interrupted()
            try:
                with Image.open(find_listed(file)) as opened:
                    pixels, notes = to_srgb(opened)
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                lines.append(f"\u26a0 {file} cannot be read as an image: {error}")  # which does not stop the others
                continue
            lines += [f"{file}: {note}" for note in notes]
            image = torch.from_numpy(pixels.copy())[None].float().div(255)
            images.append(image.to(comfy.model_management.intermediate_device()))
            names.append(prefix_of(file))
        if not images:
            raise ValueError("\n".join(["None of the images could be opened.", *lines[:MAX_LINES]]))
        lines.insert(0, f"{len(images)} images")
        more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        return io.NodeOutput(images, names, ui={"text": lines[:MAX_LINES] + more})
