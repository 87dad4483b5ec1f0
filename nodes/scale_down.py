"""Scale Image Down: to the size that a model was made for; what is smaller stays as it is."""

from comfy.utils import common_upscale
from comfy_api.v0_0_2 import io

from . import CATEGORY
from .images.sizes import size_within


class SDCScaleDown(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCScaleDown",
            display_name="Scale Image Down",
            category=CATEGORY,
            description="Scales large images down to a number of megapixels and never enlarges a smaller one, which "
            "would only make its file larger.",
            search_aliases=["sdc", "resize", "shrink", "downscale", "total pixels", "megapixels", "max size"],
            inputs=[
                io.Image.Input("image", tooltip="The image, of any size."),
                io.Float.Input(
                    "megapixels",
                    default=0.25,
                    min=0.01,
                    max=16.0,
                    step=0.05,
                    round=0.001,
                    tooltip="Larger images are scaled down to this, with sides that are multiples of 8; smaller ones "
                    "stay as they are. 0.25 is 512x512, for SD 1.x; 1.0 is 1024x1024, for most other models.",
                ),
            ],
            outputs=[io.Image.Output("image", display_name="IMAGE", tooltip="The image, for VAE Encode.")],
        )

    @classmethod
    def execute(cls, image, megapixels) -> io.NodeOutput:
        height, width = image.shape[1:3]
        new_width, new_height = size_within(width, height, megapixels)
        if (new_width, new_height) == (width, height):
            return io.NodeOutput(image, ui={"text": [f"{width}x{height}, not scaled"]})
        scaled = common_upscale(image.movedim(-1, 1), new_width, new_height, "lanczos", "disabled").movedim(1, -1)
        return io.NodeOutput(scaled, ui={"text": [f"{width}x{height} scaled to {new_width}x{new_height}"]})
