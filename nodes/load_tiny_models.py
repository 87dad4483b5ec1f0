from comfy_api.v0_0_2 import io

from . import CATEGORY
from .tiny.loading import load_models


class SDCLoadTinyModels(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCLoadTinyModels",
            display_name="Load SDC Tiny Models",
            category=CATEGORY,
            description=(
                "Small models that come with the pack, to try everything out before any checkpoint is downloaded. They "
                "clean up textures and edges, and know nothing of what an image shows: prompts do nothing."
            ),
            search_aliases=["sdc", "tiny", "checkpoint", "demo", "try out", "controlnet", "load model", "sample"],
            inputs=[],
            outputs=[
                io.Model.Output("model", display_name="MODEL", tooltip="Repaints images, as one of SD 1.5 does."),
                io.Clip.Output(
                    "clip", display_name="CLIP", tooltip="For CLIP Text Encode. All words mean the same to it."
                ),
                io.Vae.Output("vae", display_name="VAE", tooltip="Of the SD1.x family: for VAE Encode and VAE Decode."),
                io.ControlNet.Output(
                    "control_net", display_name="CONTROL_NET", tooltip="Holds to edges, as a Canny ControlNet does."
                ),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*load_models())
