"""DDIM Invert in parts, for graphs built around SamplerCustomAdvanced and a GUIDER of one's own."""

import comfy.samplers
from comfy_api.v0_0_2 import io

from .exact_pair import ExactNoise, ExactRegeneration
from .inversion import MAX_REFINE, Inversion
from .inverted_noise import InvertedNoise
from .schedule import check_sigmas, lowest_levels
from .sockets import CATEGORY, check_pictures


class SDCInversionSigmas(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCInversionSigmas",
            display_name="SDC Inversion Sigmas",
            category=CATEGORY,
            description="The noise levels of a way up to noise and of the way back, which have to be the same.",
            search_aliases=["flip sigmas", "scheduler", "inversion", "unsample", "sdc"],
            inputs=[
                io.Model.Input("model", tooltip="The model that inverts and regenerates."),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.SCHEDULER_NAMES,
                    default="ddim_uniform",
                    tooltip="How the levels are spaced. DDIM Invert uses ddim_uniform.",
                ),
                io.Int.Input(
                    "steps", default=50, min=1, max=1000, tooltip="How many levels; ddim_uniform often gives some more."
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip="How far towards noise: 1.0 all the way, 0.3 repaints only detail, 0 changes nothing.",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Noise levels of your own, high to low, instead of scheduler and steps.",
                ),
            ],
            outputs=[
                io.Sigmas.Output(
                    "rising", display_name="rising", tooltip="For the sampling with SDC Inversion Sampler."
                ),
                io.Sigmas.Output(
                    "falling", display_name="falling", tooltip="For the way back, and for SDC Inverted Noise."
                ),
            ],
        )

    @classmethod
    def execute(cls, model, scheduler, steps, strength, sigmas=None) -> io.NodeOutput:
        if sigmas is None:
            sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
        falling = lowest_levels(check_sigmas(sigmas), strength)
        return io.NodeOutput(falling.flip(0), falling)


class SDCInversionSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCInversionSampler",
            display_name="SDC Inversion Sampler",
            category=CATEGORY,
            description=(
                "Turns a picture to noise inside SamplerCustomAdvanced, under any GUIDER: what DDIM Invert does, in "
                "parts. Connect the rising SIGMAS of SDC Inversion Sigmas and Disable Noise."
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
        return io.NodeOutput(Inversion(refine))


class SDCInvertedNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCInvertedNoise",
            display_name="SDC Inverted Noise",
            category=CATEGORY,
            description=(
                "Makes NOISE of a latent that SDC Inversion Sampler has turned to noise, so that any sampler starts "
                "from exactly it, whatever latent of its size is connected beside it."
            ),
            search_aliases=["inversion", "noise from latent", "unsample", "sdc"],
            inputs=[
                io.Model.Input("model", tooltip="The model that regenerates."),
                io.Latent.Input("latent", tooltip="Output of the SamplerCustomAdvanced that inverted."),
                io.Sigmas.Input("sigmas", tooltip="The falling noise levels of SDC Inversion Sigmas."),
            ],
            outputs=[io.Noise.Output("noise", display_name="NOISE", tooltip="For the sampler of the way back.")],
        )

    @classmethod
    def execute(cls, model, latent, sigmas) -> io.NodeOutput:
        check_pictures(latent)
        sigmas = check_sigmas(sigmas)
        if len(sigmas) == 0:
            raise ValueError("At strength 0 there is no noise: connect the latent itself and Disable Noise.")
        return io.NodeOutput(InvertedNoise.of(model, latent, sigmas[0]))


class SDCExactSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCExactSampler",
            display_name="SDC Exact Sampler",
            category=CATEGORY,
            description=(
                "The way back for DDIM Invert with method 'exact pair', in SamplerCustomAdvanced. With the same model, "
                "SIGMAS and guidance scale it returns to the compressed picture; another prompt edits it."
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
