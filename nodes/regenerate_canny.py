"""Regenerate with Canny: trims the image like VAE Encode before it looks for edges, or they would not match the latent;
then ComfyUI's own ControlNet, guider and SamplerCustomAdvanced."""

import comfy.model_management
from comfy_api.v0_0_2 import io, ui

from . import CATEGORY
from .images.sizes import trim_to_latent
from .regeneration.edges import as_hint, canny_edges
from .regeneration.noise_to_image import noise_to_image


class SDCRegenerateCanny(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCRegenerateCanny",
            display_name="Regenerate with Canny",
            category=CATEGORY,
            description=(
                "Generates the image again from the noise of DDIM Invert, lightly guided by the edges of the "
                "compressed image. The same as ControlNet, CFGGuider and SamplerCustomAdvanced with euler."
            ),
            search_aliases=["sdc", "regenerate", "restore", "clean up", "canny", "controlnet", "decompress", "repaint"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="The model that regenerates the image. Use the same one in both nodes."
                ),
                io.Conditioning.Input(
                    "positive",
                    tooltip="A description of the image. The one from DDIM Invert stays closest to the image.",
                ),
                io.Image.Input(
                    "image", tooltip="The compressed image, from VAE Decode; its edges guide the regeneration."
                ),
                io.Latent.Input("latent", tooltip="LATENT of DDIM Invert. A noise mask on it is ignored."),
                io.Noise.Input("noise", tooltip="NOISE of DDIM Invert."),
                io.Sigmas.Input("sigmas", tooltip="SIGMAS of DDIM Invert."),
                io.Float.Input(
                    "canny_strength",
                    default=0.3,
                    min=0.0,
                    max=2.0,
                    step=0.01,
                    round=0.001,
                    tooltip=(
                        "Strength of the ControlNet. The paper only says that it is small; 0.3 is our choice. 0 lets "
                        "the image change freely, 1.0 draws every edge, grain included."
                    ),
                ),
                io.Int.Input(
                    "low_threshold",
                    default=100,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="Weak edges above this count if they are connected to a strong one. Lower: more lines. On "
                    "OpenCV's scale: 100 here is about 0.4 in ComfyUI's own Canny node, which ranges from 0 to 1.",
                ),
                io.Int.Input(
                    "high_threshold",
                    default=200,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="Edges above this always count. Higher: only the strongest outlines.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Where on the way from this noise to the image the ControlNet starts; 0 is the first step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Where on the way from this noise to the image the ControlNet ends: 1 never, 0.5 leaves "
                    "fine detail to the model.",
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    round=0.01,
                    tooltip="Classifier-free guidance scale. Use the same value as in DDIM Invert; another one changes "
                    "the image.",
                ),
                io.ControlNet.Input(
                    "control_net",
                    optional=True,
                    tooltip=(
                        "A Canny ControlNet for the model, so that edges stay in place. Without it, only the model "
                        "guides the result. Many for Z-Image, Qwen-Image and Flux.2 are model patches: connect their "
                        "own nodes to model instead."
                    ),
                ),
                io.Conditioning.Input("negative", optional=True, tooltip="Only needed when cfg is not 1."),
                io.Vae.Input("vae", optional=True, tooltip="Only for ControlNets that need a VAE (SD3, Flux)."),
                io.Combo.Input(
                    "thresholds",
                    options=["manual", "auto"],
                    default="manual",
                    optional=True,
                    advanced=True,
                    tooltip="auto derives both thresholds from the brightness of each image and ignores low_threshold "
                    "and high_threshold. manual uses them.",
                ),
                io.Image.Input(
                    "edge_image",
                    optional=True,
                    tooltip="Your own edges, white on black, instead of detected ones: drawn by hand, or from the "
                    "original image.",
                ),
            ],
            outputs=[
                io.Latent.Output("regenerated", display_name="LATENT", tooltip="The new image, for VAE Decode."),
                io.Image.Output("edges", display_name="edges", tooltip="The edges given to the ControlNet."),
            ],
        )

    @classmethod
    def execute(
        cls, model, positive, image, latent, noise, sigmas, low_threshold, high_threshold,
        thresholds="manual", edge_image=None, **sampling,
    ) -> io.NodeOutput:  # fmt: skip
        """`sampling` holds control_net, canny_strength, start_percent, end_percent, cfg, negative and vae."""
        factor = model.get_model_object("latent_format").spacial_downscale_ratio
        if edge_image is not None:
            edges = as_hint(trim_to_latent(edge_image, latent["samples"], factor, "edge_image"))
        else:
            limits = (None, None) if thresholds == "auto" else (low_threshold, high_threshold)
            edges = canny_edges(trim_to_latent(image, latent["samples"], factor), *limits)
        edges = edges.to(comfy.model_management.intermediate_device())
        regenerated, notes = noise_to_image(model, positive, latent, noise, sigmas, edges=edges, **sampling)
        return io.NodeOutput(regenerated, edges, ui={**ui.PreviewImage(edges, cls=cls).as_dict(), "text": notes})
