"""Load SDC Tiny Models: `weights/` in the shape of a checkpoint, in memory; no file is written."""

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
                "Small models that come with the pack, to try everything before you download a checkpoint. They clean "
                "textures and edges and do not understand what an image shows: the prompt has no effect."
            ),
            search_aliases=["sdc", "tiny", "checkpoint", "demo", "try out", "controlnet", "load model", "sample"],
            inputs=[],
            outputs=[
                io.Model.Output("model", display_name="MODEL", tooltip="A denoiser, used like an SD 1.5 model."),
                io.Clip.Output("clip", display_name="CLIP", tooltip="For CLIP Text Encode. The prompt has no effect."),
                io.Vae.Output("vae", display_name="VAE", tooltip="An SD1.x VAE, for VAE Encode and VAE Decode."),
                io.ControlNet.Output("control_net", display_name="CONTROL_NET", tooltip="A Canny ControlNet."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(*load_models())
