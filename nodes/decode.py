"""Decode SDC. VAE Decode alone gives the size of the latent, which lacks what VAE Encode cropped."""

from comfy_api.v0_0_2 import io

from . import CATEGORY, plain_errors
from .latents.vae import decode_by
from .sockets.sdc import SDC, about_lines


class SDCDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCDecode",
            display_name="Decode SDC",
            category=CATEGORY,
            description=(
                "Decodes a compressed image in its original size. VAE Decode alone omits the few rows and columns that "
                "VAE Encode cropped."
            ),
            search_aliases=["sdc", "decode", "decompress", "open", "vae decode", "original size", "view"],
            inputs=[
                SDC.Input("sdc", tooltip="The compressed image, from Load SDC, Save SDC or SD Latent Quantize."),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="The VAE that made the latent. Without one, or with another model's, the small VAE of the "
                    "pack decodes files of SD 1.x, which preset best makes for every model.",
                ),
            ],
            outputs=[io.Image.Output("image", display_name="IMAGE", tooltip="The image, in its original size.")],
        )

    @classmethod
    @plain_errors()
    def execute(cls, sdc, vae=None) -> io.NodeOutput:
        image, notes = decode_by(vae, sdc)
        return io.NodeOutput(image, ui={"text": about_lines(sdc[0]) + notes})
