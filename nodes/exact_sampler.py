"""SDC Exact Sampler: the second half of the exact pair, for graphs built on SamplerCustomAdvanced."""

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
                "Samples back from the noise of DDIM Invert with method 'exact pair', in SamplerCustomAdvanced. The "
                "same model, SIGMAS and cfg reproduce the compressed image; another prompt edits it. Noise masks are "
                "ignored."
            ),
            search_aliases=["exact inversion", "noise inversion", "belm", "reversible", "sdc"],
            inputs=[io.Noise.Input("noise", tooltip="NOISE of DDIM Invert with method 'exact pair'.")],
            outputs=[
                io.Sampler.Output("sampler", display_name="SAMPLER", tooltip="For SamplerCustomAdvanced."),
                io.Noise.Output("start", display_name="NOISE", tooltip="For the same SamplerCustomAdvanced."),
            ],
        )

    @classmethod
    def execute(cls, noise) -> io.NodeOutput:
        if not isinstance(noise, ExactNoise):
            raise ValueError("This NOISE was not made by an exact pair: set method of DDIM Invert to 'exact pair'.")
        return io.NodeOutput(ExactRegeneration(noise.pair), noise.start())
