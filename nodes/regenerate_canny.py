import comfy.model_management
from comfy_api.v0_0_2 import io, ui

from . import CATEGORY
from .regeneration.edges import as_hint, canny_edges, fit_to_latent
from .regeneration.noise_to_image import noise_to_image


class SDCRegenerateCanny(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCRegenerateCanny",
            display_name="Regenerate with Canny",
            category=CATEGORY,
            description=(
                "Paints the image again from the noise that DDIM Invert found, lightly held in place by the edges of "
                "the compressed image. The same as ControlNet, CFGGuider and SamplerCustomAdvanced with euler."
            ),
            search_aliases=["sdc", "regenerate", "restore", "clean up", "canny", "controlnet", "decompress", "repaint"],
            inputs=[
                io.Model.Input("model", tooltip="The model that repaints the image; the same one as in DDIM Invert."),
                io.Conditioning.Input(
                    "positive",
                    tooltip="What the image shows. The same as in DDIM Invert keeps closest to the image.",
                ),
                io.ControlNet.Input("control_net", tooltip="A Canny ControlNet of the model's family."),
                io.Image.Input(
                    "image", tooltip="The compressed image from VAE Decode; its edges hold the new one in place."
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
                        "How firmly the edges hold. The paper says only that it is small; 0.3 is our guess. 0 lets the "
                        "image drift, 1.0 draws every edge, grain included."
                    ),
                ),
                io.Int.Input(
                    "low_threshold",
                    default=100,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="Faint edges count when above this and joined to a strong one. Lower: more lines. "
                    "OpenCV's scale: 100 here is about 0.4 of ComfyUI's own Canny, which counts 0 to 1.",
                ),
                io.Int.Input(
                    "high_threshold",
                    default=200,
                    min=0,
                    max=1000,
                    advanced=True,
                    tooltip="Edges above this always count. Higher: only the boldest outlines.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="When the edges begin to hold: 0 from the first, noisiest step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="When the edges let go: 1 never, 0.5 leaves the fine detail to the model.",
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=20.0,
                    step=0.1,
                    round=0.01,
                    tooltip="How strongly the prompt pulls. Use the value of DDIM Invert: another changes the image.",
                ),
                io.Conditioning.Input(
                    "negative", optional=True, tooltip="What to steer away from; needed when cfg is not 1."
                ),
                io.Vae.Input("vae", optional=True, tooltip="Only for ControlNets that ask for a VAE (SD3, Flux)."),
                io.Combo.Input(
                    "thresholds",
                    options=["manual", "auto"],
                    default="manual",
                    optional=True,
                    advanced=True,
                    tooltip="auto takes both thresholds from how bright each image is, and low_threshold and "
                    "high_threshold do not count. manual uses them.",
                ),
                io.Image.Input(
                    "edge_image",
                    optional=True,
                    tooltip="Edges of your own, white on black, instead of those found in image: drawn by hand, or of "
                    "the original image.",
                ),
            ],
            outputs=[
                io.Latent.Output("regenerated", display_name="LATENT", tooltip="The repainted image, for VAE Decode."),
                io.Image.Output("edges", display_name="edges", tooltip="The edges that the ControlNet was given."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        control_net,
        image,
        latent,
        noise,
        sigmas,
        canny_strength,
        low_threshold,
        high_threshold,
        start_percent,
        end_percent,
        cfg,
        negative=None,
        vae=None,
        thresholds="manual",
        edge_image=None,
    ) -> io.NodeOutput:
        factor = model.get_model_object("latent_format").spacial_downscale_ratio
        if edge_image is not None:
            edges = as_hint(fit_to_latent(edge_image, latent["samples"], factor, "edge_image"))
        else:
            auto = thresholds == "auto"
            edges = canny_edges(
                fit_to_latent(image, latent["samples"], factor),
                None if auto else low_threshold,
                None if auto else high_threshold,
            )
        edges = edges.to(comfy.model_management.intermediate_device())
        regenerated, notes = noise_to_image(
            model,
            positive,
            latent,
            noise,
            sigmas,
            control_net=control_net,
            edges=edges,
            canny_strength=canny_strength,
            start_percent=start_percent,
            end_percent=end_percent,
            cfg=cfg,
            negative=negative,
            vae=vae,
        )
        return io.NodeOutput(regenerated, edges, ui={**ui.PreviewImage(edges, cls=cls).as_dict(), "text": notes})
