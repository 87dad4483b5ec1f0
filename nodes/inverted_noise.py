"""SDC Inverted Noise: an inverted LATENT as NOISE, since stock samplers add noise to whatever latent they are given."""

from comfy_api.v0_0_2 import io

from . import ADVANCED
from .inversion.noise import InvertedNoise
from .inversion.schedule import check_sigmas
from .latents.arrays import check_latent


class SDCInvertedNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCInvertedNoise",
            display_name="SDC Inverted Noise",
            category=ADVANCED,
            description=(
                "Converts a latent that SDC Inversion Sampler has inverted to NOISE. Any sampler then starts from "
                "exactly this noise, whatever latent of the same size is connected to it."
            ),
            search_aliases=["inversion", "noise inversion", "noise from latent", "unsample", "sdc"],
            inputs=[
                io.Model.Input("model", tooltip="The model that regenerates."),
                io.Latent.Input("latent", tooltip="Output of the SamplerCustomAdvanced that inverted the image."),
                io.Sigmas.Input("sigmas", tooltip="The falling noise levels of SDC Inversion Sigmas."),
            ],
            outputs=[io.Noise.Output("noise", display_name="NOISE", tooltip="For the sampler that samples back.")],
        )

    @classmethod
    def execute(cls, model, latent, sigmas) -> io.NodeOutput:
        check_latent(latent)
        sigmas = check_sigmas(sigmas)
        if len(sigmas) == 0:
            raise ValueError("There is no noise at strength 0: connect the latent itself and Disable Noise.")
        return io.NodeOutput(InvertedNoise.of(model, latent, sigmas[0]))
