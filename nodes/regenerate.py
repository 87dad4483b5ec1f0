"""SDC Regenerate: the whole decoder in one node, with the settings that most images need."""

import comfy.model_management
from comfy_api.v0_0_2 import io

from . import CATEGORY, plain_errors
from .images.sizes import restore_size
from .inversion.image_to_noise import DDIM, EXACT_PAIR, image_to_noise
from .latents.vae import decode_latent, open_for
from .regeneration.edges import canny_edges
from .regeneration.noise_to_image import noise_to_image
from .sockets.sdc import SDC, USES_STRENGTH
from .tiny.loading import knows_exact_pair

# By the exact pair: what the ControlNet adds to every step is not damped by the next, and it learned this many at most.
MAX_STEPS = 50


class SDCRegenerate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCRegenerate",
            display_name="SDC Regenerate",
            category=CATEGORY,
            description=(
                "Removes compression artifacts in one node: decodes the image, adds just enough noise to cover the "
                "damage, and samples again, guided by the edges. DDIM Invert and Regenerate with Canny do the same in "
                "two nodes."
            ),
            search_aliases=[
                "sdc",
                "regenerate",
                "restore",
                "clean up",
                "decompress",
                "decode",
                "artifact removal",
                "deblock",
                "enhance",
                "canny",
                "invert",
            ],
            inputs=[
                SDC.Input("sdc", tooltip="The compressed image, from Load SDC, Save SDC or SD Latent Quantize."),
                io.Model.Input("model", tooltip="A model of the same latent format as the file; Load SDC shows it."),
                io.Conditioning.Input("positive", tooltip="A description of the image; may be empty."),
                io.Vae.Input("vae", tooltip="A VAE of the same latent format as the file."),
                io.ControlNet.Input(
                    "control_net",
                    optional=True,
                    tooltip=(
                        "A Canny ControlNet for the model, so that edges stay in place. Without it, only the model "
                        "guides the result. Many for Z-Image, Qwen-Image and Flux.2 are model patches: connect their "
                        "own nodes to model instead."
                    ),
                ),
                io.Boolean.Input(
                    "auto_strength",
                    default=True,
                    optional=True,
                    extra_dict=USES_STRENGTH,
                    tooltip="Adds just enough noise to cover the compression damage: removes artifacts and changes as "
                    "little as possible. Off: uses strength.",
                ),
                io.Float.Input(
                    "strength",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    optional=True,
                    tooltip="How much of the noise schedule is used when auto_strength is off: 0.15 removes artifacts, "
                    "0.5 invents detail, 1.0 is the paper's setting, 0 only decodes.",
                ),
                io.Int.Input(
                    "steps",
                    default=50,
                    min=1,
                    max=1000,
                    optional=True,
                    advanced=True,
                    tooltip="Number of steps for the whole noise schedule; strength selects the share of them that is "
                    "used, in both directions. 20 is faster and less precise.",
                ),
                io.Float.Input(
                    "canny_strength",
                    default=0.3,
                    min=0.0,
                    max=2.0,
                    step=0.01,
                    round=0.001,
                    optional=True,
                    tooltip="Strength of the ControlNet: 0 lets the image change freely, 1.0 draws every edge. The "
                    "tiny models of the pack were trained at 1.0.",
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    round=0.01,
                    optional=True,
                    advanced=True,
                    tooltip="Classifier-free guidance scale, in both directions. 1.0 preserves the image; other values "
                    "need negative and take twice as long.",
                ),
                io.Conditioning.Input("negative", optional=True, tooltip="Only needed when cfg is not 1."),
            ],
            outputs=[
                io.Image.Output("image", display_name="IMAGE", tooltip="The regenerated image, in its original size."),
                io.Image.Output(
                    "decoded",
                    display_name="decoded",
                    tooltip="The image as decoded from the file, in its original size, for comparison.",
                ),
                io.Latent.Output("latent", display_name="LATENT", tooltip="The regenerated image as a latent."),
            ],
        )

    @classmethod
    @plain_errors()
    def execute(
        cls, sdc, model, positive, vae, control_net=None, canny_strength=0.3, cfg=1.0, negative=None, **inversion
    ) -> io.NodeOutput:
        """`inversion` holds auto_strength, strength and steps."""
        guidance = {"cfg": cfg, "negative": negative}
        latent, notes_of_vae = open_for(vae, sdc)
        inversion = {"auto_strength": True, "strength": 0.3, "steps": 50, **inversion}
        method = DDIM
        if takes_exact_pair(control_net, sdc, **inversion):
            method, inversion["steps"] = EXACT_PAIR, min(inversion["steps"], MAX_STEPS)
        inverted = image_to_noise(model, positive, latent, sdc=sdc, method=method, **inversion, **guidance)
        decoded = decode_latent(vae, latent, sdc)
        edges = None
        if control_net is not None:
            edges = canny_edges(decoded, None, None).to(comfy.model_management.intermediate_device())
        regenerated, notes = noise_to_image(
            model, positive, inverted.latent, inverted.noise, inverted.sigmas,
            control_net=control_net, edges=edges, canny_strength=canny_strength, vae=vae, **guidance,
        )  # fmt: skip
        image = restore_size(decode_latent(vae, regenerated, sdc), sdc)
        if method == EXACT_PAIR:
            notes = ["Only the ControlNet changes the image.", *notes]
        lines = [f"{image.shape[2]}x{image.shape[1]}", *inverted.lines, *notes, *notes_of_vae]
        return io.NodeOutput(image, restore_size(decoded, sdc), regenerated, ui={"text": lines})


def takes_exact_pair(control_net, sdc, auto_strength: bool, strength: float, steps: int) -> bool:
    """Whether it goes up and down by the exact pair, as the pack's ControlNet learned to for the learned codec.

    Eq. (1) would lose more on the way than there is to mend. The exact pair takes at least two steps.
    """
    levels = steps if auto_strength else round(strength * steps)
    return levels >= 2 and knows_exact_pair(control_net) and all(image.coder == "learned" for image in sdc)
