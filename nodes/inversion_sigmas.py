"""SDC Inversion Sigmas: one schedule for both directions, since they may not differ by a single level."""

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
            description="The noise levels of an inversion and of the sampling back, which have to be the same.",
            search_aliases=["flip sigmas", "scheduler", "inversion", "noise inversion", "unsample", "sdc"],
            inputs=[
                io.Model.Input("model", tooltip="The model that inverts and regenerates."),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.SCHEDULER_NAMES,
                    default="ddim_uniform",
                    tooltip="How the levels are spaced. DDIM Invert uses ddim_uniform.",
                ),
                io.Int.Input(
                    "steps", default=50, min=1, max=1000, tooltip="Number of steps; ddim_uniform may use a few more."
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip="How much of the noise schedule is used: 1.0 all of it, 0.3 only fine detail, 0 nothing.",
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Your own noise levels, high to low, used instead of scheduler and steps.",
                ),
            ],
            outputs=[
                io.Sigmas.Output("rising", display_name="rising", tooltip="For SDC Inversion Sampler."),
                io.Sigmas.Output(
                    "falling", display_name="falling", tooltip="For the sampling back, and for SDC Inverted Noise."
                ),
            ],
        )

    @classmethod
    def execute(cls, model, scheduler, steps, strength, sigmas=None) -> io.NodeOutput:
        if sigmas is None:
            sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)
        falling = lowest_levels(check_sigmas(sigmas), strength)
        return io.NodeOutput(falling.flip(0), falling)
