import math
import os

from comfy_api.v0_0_2 import io

from .. import codec
from . import CATEGORY
from .files.folders import ORDERS, PLACES, choose_files
from .files.listing import find_listed, load_listed
from .latents.arrays import to_latent
from .metadata.outputs import generation_outputs, generation_values
from .sockets.sdc import SDC

WARNING = "\u26a0"
SHOWN = 20  # lines


class SDCLoadFolder(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        listed = {"is_output_list": True}
        return io.Schema(
            node_id="SDCLoadFolder",
            display_name="Load SDC Folder",
            category=CATEGORY,
            description="Opens all .sdc files of a folder, one after the other: what follows runs once for each. "
            "A file of several images gives them as a batch.",
            search_aliases=["sdc", "batch", "folder", "directory", "list", "load many", "decompress"],
            inputs=[
                io.Combo.Input(
                    "place",
                    options=list(PLACES),
                    default="output",
                    tooltip="In which of ComfyUI's folders to look: where Save SDC writes, or where uploads go.",
                ),
                io.String.Input(
                    "folder",
                    default="SDC",
                    tooltip="A folder in it, with / between names; its subfolders count too. Empty: all of it.",
                ),
                io.String.Input(
                    "pattern",
                    default="*.sdc",
                    tooltip="Which files: * stands for any letters, ? for one. cat*.sdc: all that begin with cat.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(ORDERS),
                    default="name",
                    tooltip="The order of the files: by name, or by the time at which they were written.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=10**6,
                    tooltip="The file to begin with, in that order; 0 is the first.",
                ),
                io.Int.Input(
                    "limit",
                    default=0,
                    min=0,
                    max=10**6,
                    tooltip="How many files at most, 0 for all. What follows keeps every image in memory: with "
                    "thousands of files go on in parts, by index.",
                ),
                io.Int.Input(
                    "max_megapixels",
                    default=36,
                    min=1,
                    max=codec.MAX_PIXELS // 10**6 + 1,
                    optional=True,
                    tooltip="Files that claim to hold larger images are left out, as those that are damaged are.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    "latent", display_name="LATENT", tooltip="The stored images, for VAE Decode.", **listed
                ),
                SDC.Output("sdc", display_name="SDC", tooltip="The compressed images, for Save SDC.", **listed),
                io.String.Output("prompt", tooltip="The words stored in each file, empty if none.", **listed),
                io.Int.Output("width", tooltip="Widths of the original images in pixels.", **listed),
                io.Int.Output("height", tooltip="Heights of the original images in pixels.", **listed),
                *generation_outputs(**listed),
                io.String.Output("name", tooltip="Name of each file, without folder and ending.", **listed),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder, pattern):
        if folder is None or pattern is None:  # it comes over a link, and the node that gives it has not run yet
            return True
        try:
            choose_files("input", folder, pattern, "name", 0, 1)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, place, folder, pattern, order, index, limit, max_megapixels=36):
        try:
            files = choose_files(place, folder, pattern, order, index, limit)
            states = [os.stat(find_listed(file)) for file in files]
        except (ValueError, OSError):
            return math.nan  # equal to nothing: the node runs, and says what is wrong
        return [(file, state.st_mtime_ns, state.st_size) for file, state in zip(files, states, strict=True)]

    @classmethod
    def execute(cls, place, folder, pattern, order, index, limit, max_megapixels=36) -> io.NodeOutput:
        files = choose_files(place, folder, pattern, order, index, limit)
        if not files:
            raise ValueError(
                f"No file of the folder {folder!r} in ComfyUI's {place} folder matches {pattern!r}, from index {index}."
            )
        rows, lines, total = [], [], 0
        for file in files:
            try:
                images, size = load_listed(file, max_megapixels)
                image = images[0]
                row = [
                    to_latent(images),
                    images,
                    image.metadata.get("prompt", ""),
                    image.width,
                    image.height,
                ]
            except (ValueError, OSError) as error:  # one bad file costs itself alone
                lines.append(f"{WARNING} {error}")
                continue
            name = file.removesuffix(" [output]").split("/")[-1]
            total += size
            rows.append([*row, *generation_values(image), os.path.splitext(name)[0]])
        if not rows:
            raise ValueError("\n".join(["None of the files could be opened.", *lines[:SHOWN]]))
        count = sum(len(row[1]) for row in rows)
        files_of = f" in {len(rows)} files" if count > len(rows) else ""
        lines.insert(0, f"{count} images{files_of}, {total} bytes")
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return io.NodeOutput(*map(list, zip(*rows, strict=True)), ui={"text": lines[:SHOWN] + more})
