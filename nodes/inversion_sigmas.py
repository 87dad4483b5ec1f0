import comfy.samplers
from comfy_api.v0_0_2 import io

from . import ADVANCED
from .inversion.schedule import check_sigmas, lowest_levels


class SDCInversionSigmas(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCInversionSigmas",
            display_name="SDC Inversion Sigmas",
            category=ADVANCED,
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
