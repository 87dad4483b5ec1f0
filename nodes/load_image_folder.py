"""Load Image Folder: outputs are lists, so ComfyUI runs what follows once for each image, and names go along."""

import math
import os

import comfy.model_management
import torch
from comfy_api.v0_0_2 import io
from PIL import Image

from ..codec.autoencoder.srgb import SUFFIXES, to_srgb
from . import CATEGORY
from .files.folders import ORDERS, PLACES, choose_files, prefix_of
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
                io.Combo.Input(
                    "place",
                    options=list(PLACES),
                    default="input",
                    tooltip="input: the folder for uploads. output: the folder that Save Image writes to.",
                ),
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="A subfolder, with / between names; its own subfolders are included. Empty: everything.",
                ),
                io.String.Input(
                    "pattern",
                    default="*",
                    tooltip="Which files: * matches any characters, ? one. cat*.png: PNG files that start with cat.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(ORDERS),
                    default="name",
                    tooltip="By name, or by the time when the files were written.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=10**6,
                    tooltip="The first image to load, in that order; 0 is the first one.",
                ),
                io.Int.Input(
                    "limit",
                    default=0,
                    min=0,
                    max=10**6,
                    tooltip="Maximum number of images; 0 for all. All stay in memory: load thousands in parts, with "
                    "index.",
                ),
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
        if folder is None or pattern is None:  # linked to a node that has not run yet
            return True
        try:
            choose_files("input", folder, pattern, "name", 0, 1, SUFFIXES)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, place, folder, pattern, order, index, limit):
        try:
            files = choose_files(place, folder, pattern, order, index, limit, SUFFIXES)
            states = [os.stat(find_listed(file)) for file in files]
        except (ValueError, OSError):
            return math.nan  # equal to nothing, so the node runs and raises the error
        return [(file, state.st_mtime_ns, state.st_size) for file, state in zip(files, states, strict=True)]

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
