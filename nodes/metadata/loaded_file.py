"""The file that an image was loaded from, by the graph that ComfyUI runs: what a saved file is compared with."""

import os
from typing import NamedTuple

from PIL import Image

from ..files.listing import find_listed
from .graph import MAX_LINKS, Graph, to_link

ORIENTATION, SIDEWAYS = 274, 5  # the tag of Exif, and from which value on width and height change places
LOADERS = ("LoadImage", "LoadImageOutput")
# {class: input}: what stores or scales an image. Anything else may have made another one of it.
SCALED = {
    "SDCSave": "sdc", "SDCLatentQuantize": "latent", "VAEEncode": "pixels", "VAEEncodeTiled": "pixels",
    "ImageScale": "image", "ImageScaleBy": "image", "ImageScaleToTotalPixels": "image",
    "ImageScaleToMaxDimension": "image", "SDCScaleDown": "image", "ResizeImageMaskNode": "input",
}  # fmt: skip


class LoadedFile(NamedTuple):
    """Its name without folders, its size, and the width and height of its image where that can be read."""

    name: str
    num_bytes: int
    pixels: tuple[int, int] | None


def find_loaded_file(nodes, start: str) -> LoadedFile | None:
    """The file behind the image of the node `start`; None where it is not known, or is gone."""
    if not isinstance(nodes, dict):
        return None
    graph, node_id = Graph(nodes), start
    for _ in range(MAX_LINKS):
        if graph.kind(node_id) in LOADERS:
            return of_name(graph.inputs(node_id).get("image"))
        value = (
            graph.passed(node_id)
            if graph.is_passage(node_id)
            else graph.inputs(node_id).get(SCALED.get(graph.kind(node_id), ""))
        )
        link = to_link(value)
        if link is None:
            return None
        node_id = link[0]
    return None


def size_of(path: str) -> tuple[int, int] | None:
    """Width and height of an image as Load Image turns it, by its header alone."""
    try:
        with Image.open(path) as opened:
            width, height = opened.size
            return (height, width) if opened.getexif().get(ORIENTATION, 1) >= SIDEWAYS else (width, height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def of_name(name) -> LoadedFile | None:
    try:
        path = find_listed(name)
        return LoadedFile(os.path.basename(path), os.path.getsize(path), size_of(path))
    except (ValueError, OSError):
        return None
