import comfy.model_management
from comfy_api.v0_0_2 import io

from . import CATEGORY, plain_errors
from .images.sizes import restore_size
from .inversion.image_to_noise import image_to_noise
from .latents.arrays import to_latent
from .latents.vae import decode_latent, vae_notes
from .regeneration.edges import canny_edges
from .regeneration.noise_to_image import noise_to_image
from .sockets.sdc import SDC


class SDCRegenerate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCRegenerate",
            display_name="SDC Regenerate",
            category=CATEGORY,
            description=(
                "Opens a compressed image and cleans it up, all in one: decodes it, goes as far towards noise as the "
                "compression has disturbed it, and paints that part again, held by its edges. DDIM Invert and "
                "Regenerate with Canny do the same in two nodes."
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
                io.Model.Input("model", tooltip="The model that repaints. Of the family that the file names."),
                io.Conditioning.Input("positive", tooltip="What the image shows. An empty prompt works."),
                io.Vae.Input("vae", tooltip="The VAE of that family, which turns the latent into an image."),
                io.ControlNet.Input(
                    "control_net",
                    optional=True,
                    tooltip="A Canny ControlNet of the model's family: edges hold the image in place. Without one "
                    "the model alone repaints.",
                ),
                io.Boolean.Input(
                    "auto_strength",
                    default=True,
                    optional=True,
                    tooltip="Repaints just as much as the compression has disturbed: cleans up and changes least. Off: "
                    "as much as strength says.",
                ),
                io.Float.Input(
                    "strength",
                    default=0.3,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    round=0.001,
                    optional=True,
                    tooltip="How much is repainted when auto_strength is off: 0.15 cleans up, 0.5 invents detail, 1.0 "
                    "goes all the way to noise as the paper does, 0 only decodes.",
                ),
                io.Int.Input(
                    "steps",
                    default=50,
                    min=1,
                    max=1000,
                    optional=True,
                    advanced=True,
                    tooltip="How finely the whole way to noise is divided. Of these steps only the share that strength "
                    "names is gone, up and down again. 20 is faster and coarser.",
                ),
                io.Float.Input(
                    "canny_strength",
                    default=0.3,
                    min=0.0,
                    max=2.0,
                    step=0.01,
                    round=0.001,
                    optional=True,
                    tooltip="How firmly the edges hold: 0 lets the image drift, 1.0 draws every edge. The small "
                    "models of the pack were taught at 1.0.",
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
                    tooltip="How strongly the prompt pulls, on both ways. 1.0 keeps the image; higher values need a "
                    "negative and take twice as long.",
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="What to steer away from; needed when cfg is not 1."
                ),
            ],
            outputs=[
                io.Image.Output("image", display_name="IMAGE", tooltip="The image, cleaned up, in its true size."),
                io.Image.Output(
                    "before",
                    display_name="before",
                    tooltip="What the file alone holds, in its true size, to compare with.",
                ),
                io.Latent.Output("latent", display_name="LATENT", tooltip="The cleaned image as a latent."),
            ],
        )

    @classmethod
    @plain_errors()
    def execute(
        cls,
        sdc,
        model,
        positive,
        vae,
        control_net=None,
        auto_strength=True,
        strength=0.3,
        steps=50,
        canny_strength=0.3,
        cfg=1.0,
        negative=None,
    ) -> io.NodeOutput:
        latent = to_latent(sdc)
        common = {"cfg": cfg, "negative": negative}
        found = image_to_noise(
            model, positive, latent, steps=steps, strength=strength, auto_strength=auto_strength, sdc=sdc, **common
        )
        decoded = decode_latent(vae, latent, sdc)
        edges = None
        if control_net is not None:
            edges = canny_edges(decoded, None, None).to(comfy.model_management.intermediate_device())
        regenerated, notes = noise_to_image(
            model,
            positive,
            found.latent,
            found.noise,
            found.sigmas,
            control_net=control_net,
            edges=edges,
            canny_strength=canny_strength,
            vae=vae,
            **common,
        )
        image, before = (restore_size(shown, sdc) for shown in (decode_latent(vae, regenerated, sdc), decoded))
        size = f"{image.shape[2]}x{image.shape[1]}"
        return io.NodeOutput(
            image, before, regenerated, ui={"text": [size, *found.lines, *notes, *vae_notes(sdc, vae)]}
        )
