"""SDC Inversion Sampler: the inversion of DDIM Invert as a SAMPLER, for graphs built on SamplerCustomAdvanced."""

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
                "Inverts an image to noise in SamplerCustomAdvanced, with any GUIDER: DDIM Invert in parts. Connect "
                "the rising SIGMAS of SDC Inversion Sigmas and Disable Noise. Noise masks are ignored."
            ),
            search_aliases=["invert", "inversion", "noise inversion", "unsample", "unsampler", "flip sigmas", "sdc"],
            inputs=[
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=MAX_REFINE,
                    tooltip="Additional model calls per step that make the inversion exact; 4 is practically lossless. "
                    "0 is the paper's setting. DDIM Invert says when exact is right.",
                )
            ],
            outputs=[io.Sampler.Output("sampler", display_name="SAMPLER", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, refine) -> io.NodeOutput:
        return io.NodeOutput(InversionSampler(refine))
