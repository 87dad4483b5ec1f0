from comfy_api.v0_0_2 import io

from . import ADVANCED
from .inversion.euler import MAX_REFINE, InversionSampler


class SDCInversionSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCInversionSampler",
            display_name="SDC Inversion Sampler",
            category=ADVANCED,
            description=(
                "Turns an image to noise inside SamplerCustomAdvanced, under any GUIDER: what DDIM Invert does, in "
                "parts. Connect the rising SIGMAS of SDC Inversion Sigmas and Disable Noise. Noise masks are ignored."
            ),
            search_aliases=["invert", "inversion", "unsample", "unsampler", "flip sigmas", "sdc"],
            inputs=[
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=MAX_REFINE,
                    tooltip="Extra model calls a step that make the way back exact; 4 is as good as lossless. 0 is the "
                    "paper's. See DDIM Invert for when exact is wanted.",
                )
            ],
            outputs=[io.Sampler.Output("sampler", display_name="SAMPLER", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, refine) -> io.NodeOutput:
        return io.NodeOutput(InversionSampler(refine))
