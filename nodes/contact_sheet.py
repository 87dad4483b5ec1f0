"""SDC Contact Sheet: takes whole lists, so that what Load SDC Folder gives one by one comes together on one sheet."""

import torch
from comfy_api.v0_0_2 import io

from . import CATEGORY
from .previews.contact_sheet import MAX_IMAGES, draw_contact_sheet
from .sockets.sdc import SDC


class SDCContactSheet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCContactSheet",
            display_name="SDC Contact Sheet",
            category=CATEGORY,
            description="Thumbnails of many compressed images on one sheet, without loading a model.",
            search_aliases=["sdc", "grid", "overview", "thumbnails", "index", "gallery"],
            is_input_list=True,
            inputs=[
                SDC.Input("sdc", tooltip="The compressed images, from Load SDC Folder."),
                io.Int.Input("columns", default=6, min=1, max=32, tooltip="Number of columns."),
                io.Int.Input("side", default=192, min=32, max=256, tooltip="Longer side of each thumbnail in pixels."),
                io.String.Input(
                    "name",
                    default="",
                    optional=True,
                    tooltip="Text below each thumbnail, from Load SDC Folder; nothing if empty.",
                ),
            ],
            outputs=[io.Image.Output("sheet", display_name="IMAGE", tooltip="The sheet, for Save Image or Preview.")],
        )

    @classmethod
    def execute(cls, sdc, columns, side, name=None) -> io.NodeOutput:
        images = [image for batch in sdc for image in batch]
        names = spread_names([len(batch) for batch in sdc], name or [""])
        sheet = draw_contact_sheet(images[:MAX_IMAGES], names, columns[0], side[0])
        lines = [f"{min(MAX_IMAGES, len(images))} of {len(images)} images"]
        return io.NodeOutput(torch.from_numpy(sheet.copy())[None].float() / 255, ui={"text": lines})


def spread_names(batches: list[int], names: list[str]) -> list[str]:
    """A name for each image, given one per image or per batch; the last name is repeated, with numbers in a batch."""
    if len(names) == sum(batches):
        return names
    spread = []
    for batch, count in enumerate(batches):
        name = names[min(batch, len(names) - 1)]
        spread += [f"{name} {number}" if name and count > 1 else name for number in range(1, count + 1)]
    return spread
