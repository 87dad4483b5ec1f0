import torch
from comfy_api.v0_0_2 import io

from . import CATEGORY
from .previews.contact_sheet import MOST, draw_contact_sheet
from .sockets.sdc import SDC


class SDCContactSheet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCContactSheet",
            display_name="SDC Contact Sheet",
            category=CATEGORY,
            description="Small images of many compressed ones on one sheet, without any model.",
            search_aliases=["sdc", "grid", "overview", "thumbnails", "index", "gallery"],
            is_input_list=True,
            inputs=[
                SDC.Input("sdc", tooltip="The compressed images, from Load SDC Folder."),
                io.Int.Input("columns", default=6, min=1, max=32, tooltip="How many images stand beside each other."),
                io.Int.Input("side", default=192, min=32, max=256, tooltip="Pixels of the longer side of each image."),
                io.String.Input(
                    "name",
                    default="",
                    optional=True,
                    tooltip="What to write under each image, from Load SDC Folder; nothing where it is empty.",
                ),
            ],
            outputs=[io.Image.Output("sheet", display_name="IMAGE", tooltip="The sheet, for Save Image or Preview.")],
        )

    @classmethod
    def execute(cls, sdc, columns, side, name=None) -> io.NodeOutput:
        images = [image for batch in sdc for image in batch]
        names = names_of([len(batch) for batch in sdc], name or [""])
        sheet = draw_contact_sheet(images[:MOST], names, columns[0], side[0])
        lines = [f"{min(MOST, len(images))} of {len(images)} images"]
        return io.NodeOutput(torch.from_numpy(sheet.copy())[None].float() / 255, ui={"text": lines})


def names_of(batches: list[int], names: list[str]) -> list[str]:
    """A name for each image, of as many as there are images or batches; the last one goes on to the end."""
    if len(names) == sum(batches):
        return names
    found = []
    for batch, count in enumerate(batches):
        name = names[min(batch, len(names) - 1)]
        found += [f"{name} {number}" if name and count > 1 else name for number in range(1, count + 1)]
    return found
