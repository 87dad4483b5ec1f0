from comfy_api.v0_0_2 import io

from . import ADVANCED
from .inversion.exact_pair import ExactNoise, ExactRegeneration


class SDCExactSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCExactSampler",
            display_name="SDC Exact Sampler",
            category=ADVANCED,
            description=(
                "The way back for DDIM Invert with method 'exact pair', in SamplerCustomAdvanced. With the same model, "
                "SIGMAS and guidance scale it returns to the compressed image; another prompt edits it. Noise "
                "masks are ignored."
            ),
            search_aliases=["exact inversion", "belm", "reversible", "sdc"],
            inputs=[io.Noise.Input("noise", tooltip="NOISE of DDIM Invert, made with method 'exact pair'.")],
            outputs=[
                io.Sampler.Output("sampler", display_name="SAMPLER", tooltip="For SamplerCustomAdvanced."),
                io.Noise.Output("start", display_name="NOISE", tooltip="For the same SamplerCustomAdvanced."),
            ],
        )

    @classmethod
    def execute(cls, noise) -> io.NodeOutput:
        if not isinstance(noise, ExactNoise):
            raise ValueError("This NOISE is not that of an exact pair: set method of DDIM Invert to 'exact pair'.")
        return io.NodeOutput(ExactRegeneration(noise.pair), noise.start())
