from comfy_api.v0_0_2 import io

from . import CATEGORY, plain_errors
from .inversion.euler import MAX_REFINE
from .inversion.image_to_noise import DDIM, EXACT_PAIR, image_to_noise
from .sockets.sdc import SDC


class SDCDDIMInvert(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCDDIMInvert",
            display_name="DDIM Invert",
            category=CATEGORY,
            description=(
                "Finds the noise from which the model would paint this image. Regenerate with Canny then paints it "
                "again, cleaner. Re-noising as in Eq. (1) of 'Post-processing Based Image Coding via Stable Diffusion'."
            ),
            search_aliases=[
                "sdc",
                "invert",
                "inversion",
                "ddim inversion",
                "unsample",
                "unsampler",
                "renoise",
                "img2noise",
            ],
            inputs=[
                io.Model.Input("model", tooltip="The model that repaints the image; the same one for both nodes."),
                io.Conditioning.Input(
                    "positive", tooltip="What the image shows. An empty prompt works; use the same for both nodes."
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
                        "How finely the way to noise is divided; Regenerate walks the same steps back. 20 is faster "
                        "than 50 and drifts further from the image. Rounded up to what fits 1000. Few steps "
                        "also stop short of full noise: 10 little past half way. Ignored when sigmas is connected."
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
                        "How strongly the prompt pulls. 1.0 is the paper's and keeps the image; higher values need a "
                        "negative and take twice as long. Use the same in Regenerate with Canny."
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
                        "How far towards noise to go. 1.0 goes all the way, as the paper does, and repaints the most; "
                        "0.3 keeps the image and only repaints detail; 0 leaves it as it is, if this node's LATENT "
                        "is connected."
                    ),
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="What to steer away from; needed when cfg is not 1."
                ),
                io.Sigmas.Input(
                    "sigmas",
                    optional=True,
                    tooltip="Noise levels of your own, high to low, from any scheduler, instead of steps.",
                ),
                io.Int.Input(
                    "refine",
                    default=0,
                    min=0,
                    max=MAX_REFINE,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Extra model calls a step that make the way back exact: 4 is as good as lossless, and takes "
                        "five times as long. With unchanged settings you then get the compressed image back, "
                        "artifacts included: right for editing with another prompt, wrong for cleaning up. 0 is the "
                        "paper's, whose drift is part of the cleaning."
                    ),
                ),
                io.Combo.Input(
                    "method",
                    options=[DDIM, EXACT_PAIR],
                    default=DDIM,
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "DDIM is the paper's, and any sampler can go on from its noise. exact pair comes back to the "
                        "compressed image to the last digit at no extra cost, for editing with another prompt; only "
                        "Regenerate with Canny or SDC Exact Sampler can go on from it, with the same settings. It "
                        "ignores refine."
                    ),
                ),
                io.Boolean.Input(
                    "auto_strength",
                    default=False,
                    optional=True,
                    tooltip=(
                        "Goes just as far towards noise as the compression itself has disturbed the image, as the "
                        "file tells: cleans up and changes least. Needs sdc, and then strength does not count."
                    ),
                ),
                SDC.Input(
                    "sdc",
                    optional=True,
                    tooltip="The compressed image as a file, from the node that gave latent; for auto_strength.",
                ),
            ],
            outputs=[
                io.Noise.Output(
                    "noise", display_name="NOISE", tooltip="Starts Regenerate, or any sampler, from the noise found."
                ),
                io.Sigmas.Output(
                    "schedule", display_name="SIGMAS", tooltip="The noise levels, high to low, for the way back."
                ),
                io.Latent.Output(
                    "inverted",
                    display_name="LATENT",
                    tooltip="The image turned to noise. Connect it to Regenerate with Canny.",
                ),
            ],
        )

    @classmethod
    @plain_errors()
    def execute(
        cls,
        model,
        positive,
        latent,
        steps,
        cfg,
        strength,
        negative=None,
        sigmas=None,
        refine=0,
        method=DDIM,
        auto_strength=False,
        sdc=None,
    ) -> io.NodeOutput:
        found = image_to_noise(
            model,
            positive,
            latent,
            steps=steps,
            cfg=cfg,
            strength=strength,
            negative=negative,
            sigmas=sigmas,
            refine=refine,
            method=method,
            auto_strength=auto_strength,
            sdc=sdc,
        )
        return io.NodeOutput(found.noise, found.sigmas, found.latent, ui={"text": found.lines})
