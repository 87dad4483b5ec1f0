from comfy_api.v0_0_2 import io

from . import CATEGORY, plain_errors
from .images.sizes import restore_size
from .latents.arrays import to_latent
from .latents.vae import decode_latent, vae_notes
from .sockets.sdc import SDC, about_lines


class SDCDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCDecode",
            display_name="Decode SDC",
            category=CATEGORY,
            description=(
                "Turns a compressed image into an IMAGE of its true size. VAE Decode alone leaves out the few rows "
                "and columns that VAE Encode has trimmed."
            ),
            search_aliases=["sdc", "decode", "decompress", "open", "vae decode", "true size", "view"],
            inputs=[
                SDC.Input("sdc", tooltip="The compressed image, from Load SDC, Save SDC or SD Latent Quantize."),
                io.Vae.Input("vae", tooltip="The VAE of the family that the image was made for."),
            ],
            outputs=[io.Image.Output("image", display_name="IMAGE", tooltip="The image, in its true size.")],
        )

    @classmethod
    @plain_errors()
    def execute(cls, sdc, vae) -> io.NodeOutput:
        image = restore_size(decode_latent(vae, to_latent(sdc), sdc), sdc)
        return io.NodeOutput(image, ui={"text": about_lines(sdc[0]) + vae_notes(sdc, vae)})
