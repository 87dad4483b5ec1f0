"""DDIM Invert. `image_to_noise` does the work, and has its defaults."""

from comfy_api.v0_0_2 import io

from . import CATEGORY, plain_errors
from .inversion.euler import MAX_REFINE
from .inversion.image_to_noise import DDIM, EXACT_PAIR, image_to_noise
from .sockets.sdc import SDC, USES_STRENGTH


class SDCDDIMInvert(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCDDIMInvert",
            display_name="DDIM Invert",
            category=CATEGORY,
            description=(
                "Finds the noise from which the model would generate this image. Regenerate with Canny then starts "
                "from that noise and removes the artifacts. Eq. (1) of 'Post-processing Based Image Coding via Stable "
                "Diffusion'."
            ),
            search_aliases=[
                "sdc",
                "invert",
                "inversion",
                "noise inversion",
                "ddim inversion",
                "unsample",
                "unsampler",
                "renoise",
                "img2noise",
            ],
            inputs=[
                io.Model.Input(
                    "model", tooltip="The model that regenerates the image. Use the same one in both nodes."
                ),
                io.Conditioning.Input(
                    "positive", tooltip="A description of the image; may be empty. Use the same one in both nodes."
                ),
                io.Latent.Input(
                    "latent",
                    tooltip="The compressed image, from SD Latent Quantize or Load SDC. Its noise mask is ignored.",
                ),
                io.Int.Input(
                    "steps",
                    default=50,
                    min=1,
                    max=1000,
                    tooltip=(
                        "Number of steps over the whole noise schedule; Regenerate with Canny goes back through the "
                        "same ones. 20 is faster than 50 and less precise. ddim_uniform may use a few more. 10 steps "
                        "reach only about half of the maximum noise. Ignored when sigmas is connected."
                    ),
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    round=0.01,
                    tooltip=(
                        "Classifier-free guidance scale. 1.0 (the paper's setting) preserves the image; other values "
                        "need negative and take twice as long. Use the same value in Regenerate with Canny."
                    ),
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    tooltip=(
                        "How much of the noise schedule is used. 1.0 (the paper's setting) goes to full noise and "
                        "changes the image most; 0.3 changes only fine detail; 0 changes nothing, if the LATENT of "
                        "this node is connected."
                    ),
                ),
                io.Conditioning.Input("negative", optional=True, tooltip="Only needed when cfg is not 1."),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Your own noise levels from any scheduler node, high to low, used instead of steps.",
                ),
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=MAX_REFINE,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Additional model calls per step that make the inversion exact: 4 is practically lossless and "
                        "takes five times as long. The same settings then reproduce the compressed image, artifacts "
                        "included: right for editing with another prompt, wrong for removing artifacts. 0 is the "
                        "paper's setting, whose error is part of the cleaning."
                    ),
                ),
                io.Combo.Input(
                    "method",
                    options=[DDIM, EXACT_PAIR],
                    default=DDIM,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "DDIM is the paper's method, and any sampler can start from its noise. exact pair reproduces "
                        "the compressed image exactly without additional model calls, for editing with another prompt; "
                        "only Regenerate with Canny or SDC Exact Sampler can start from its noise, with the same "
                        "settings. It ignores refine."
                    ),
                ),
                io.Boolean.Input(
                    "auto_strength",
                    default=False,
                    optional=True,
                    extra_dict=USES_STRENGTH,
                    tooltip=(
                        "Adds just enough noise to cover the compression damage, which is estimated from the file: "
                        "removes artifacts and changes as little as possible. Needs sdc; strength is then ignored."
                    ),
                ),
                SDC.Input(
                    "sdc",
                    optional=True,
                    tooltip="The compressed image, from the node that latent comes from; used by auto_strength.",
                ),
            ],
            outputs=[
                io.Noise.Output(
                    "noise", display_name="NOISE", tooltip="For Regenerate with Canny, or for any other sampler."
                ),
                io.Sigmas.Output(
                    "schedule", display_name="SIGMAS", tooltip="The noise levels for the regeneration, high to low."
                ),
                io.Latent.Output(
                    "inverted", display_name="LATENT", tooltip="The inverted latent, for Regenerate with Canny."
                ),
            ],
        )

    @classmethod
    @plain_errors()
    def execute(cls, model, positive, latent, steps, cfg, strength, **optional) -> io.NodeOutput:
        inverted = image_to_noise(model, positive, latent, steps=steps, cfg=cfg, strength=strength, **optional)
        return io.NodeOutput(inverted.noise, inverted.sigmas, inverted.latent, ui={"text": inverted.lines})
