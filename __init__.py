"""SDC, the Stable Diffusion Codec: a picture in about 3 kB, and the nodes that bring it back."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from comfy_api.v0_0_2 import ComfyExtension
    from server import PromptServer

    from .nodes.compare import SDCCompare
    from .nodes.ddim_invert import SDCDDIMInvert
    from .nodes.inversion_parts import SDCExactSampler, SDCInversionSampler, SDCInversionSigmas, SDCInvertedNoise
    from .nodes.latent_quantize import SDCLatentQuantize
    from .nodes.load_sdc import SDCLoad
    from .nodes.regenerate_canny import SDCRegenerateCanny
    from .nodes.routes import add_routes
    from .nodes.save_sdc import SDCSave

    class SDCExtension(ComfyExtension):
        async def get_node_list(self):
            return [
                SDCLatentQuantize,
                SDCSave,
                SDCLoad,
                SDCDDIMInvert,
                SDCRegenerateCanny,
                SDCInversionSigmas,
                SDCInversionSampler,
                SDCInvertedNoise,
                SDCExactSampler,
                SDCCompare,
            ]

    add_routes(PromptServer.instance.routes)
    return SDCExtension()
