"""Load SDC Folder: outputs are lists, so ComfyUI runs what follows once for each file."""

import os

from comfy_api.v0_0_2 import io

from .. import codec
from . import CATEGORY
from .files.folder_inputs import check_choice, order_inputs, place_inputs, state_of
from .files.folders import choose_files
from .files.listing import load_listed
from .latents.arrays import to_latent
from .metadata.outputs import generation_outputs, generation_values
from .progress import steps
from .sockets.sdc import SDC

MAX_LINES = 20


class SDCLoadFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        listed = {"is_output_list": True}
        return io.Schema(
            node_id="SDCLoadFolder",
            display_name="Load SDC Folder",
            category=CATEGORY,
            description="Opens all .sdc files of a folder, one after the other: the nodes that follow run once for "
            "each. An image sequence is loaded as a batch.",
            search_aliases=["sdc", "batch", "folder", "directory", "list", "load many", "decompress"],
            inputs=[
                *place_inputs("output", "SDC", "*.sdc", "cat*.sdc"),
                *order_inputs("files"),
                io.Int.Input(
                    "max_megapixels",
                    default=36,
                    min=1,
                    max=codec.MAX_PIXELS // 10**6 + 1,
                    optional=True,
                    tooltip="Files with larger images are skipped, like damaged files, with a warning.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    "latent", display_name="LATENT", tooltip="The stored images, for VAE Decode.", **listed
                ),
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed images, for Save SDC.", **listed),
                io.String.Output("prompt", tooltip="The prompt stored in each file; empty if none.", **listed),
                io.Int.Output("width", tooltip="Original widths of the images in pixels.", **listed),
                io.Int.Output("height", tooltip="Original heights of the images in pixels.", **listed),
                *generation_outputs(**listed),
                io.String.Output("name", tooltip="Name of each file, without folder and extension.", **listed),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder, pattern):
        return check_choice(folder, pattern)

    @classmethod
    def fingerprint_inputs(cls, place, folder, pattern, order, index, limit, max_megapixels=36):
        return state_of(place, folder, pattern, order, index, limit)

    @classmethod
    def execute(cls, place, folder, pattern, order, index, limit, max_megapixels=36) -> io.NodeOutput:
        files = choose_files(place, folder, pattern, order, index, limit)
        if not files:
            raise ValueError(
                f"No file in the folder {folder!r} of ComfyUI's {place} folder matches {pattern!r} after "
                f"the first {index}."
            )
        rows, lines, total = [], [], 0
        for file in steps(files):
            try:
                images, num_bytes = load_listed(file, max_megapixels)
                first, latent = images[0], to_latent(images, shows_progress=False)
            except (ValueError, OSError) as error:  # a bad file does not stop the others
                lines.append(f"\u26a0 {error}")
                continue
            total += num_bytes
            name = os.path.splitext(file.removesuffix(" [output]").split("/")[-1])[0]
            prompt = first.metadata.get("prompt", "")
            rows.append([latent, images, prompt, first.width, first.height, *generation_values(first), name])
        if not rows:
            raise ValueError("\n".join(["None of the files could be opened.", *lines[:MAX_LINES]]))
        count = sum(len(row[1]) for row in rows)
        in_files = f" in {len(rows)} files" if count > len(rows) else ""
        lines.insert(0, f"{count} images{in_files}, {total} bytes")
        more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
        return io.NodeOutput(*map(list, zip(*rows, strict=True)), ui={"text": lines[:MAX_LINES] + more})
