"""SDC, the Stable Diffusion Codec: an image in about 3 kB, and the nodes that bring it back."""

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    from comfy_api.v0_0_2 import ComfyExtension
    from server import PromptServer

    from .nodes.compare import SDCCompare
    from .nodes.compress_folder import SDCCompressFolder
    from .nodes.contact_sheet import SDCContactSheet
    from .nodes.ddim_invert import SDCDDIMInvert
    from .nodes.decode import SDCDecode
    from .nodes.exact_sampler import SDCExactSampler
    from .nodes.file_size import SDCFileSize
    from .nodes.inversion_sampler import SDCInversionSampler
    from .nodes.inversion_sigmas import SDCInversionSigmas
    from .nodes.inverted_noise import SDCInvertedNoise
    from .nodes.latent_quantize import SDCLatentQuantize
    from .nodes.load_image_folder import SDCLoadImageFolder
    from .nodes.load_sdc import SDCLoad
    from .nodes.load_sdc_folder import SDCLoadFolder
    from .nodes.load_tiny_models import SDCLoadTinyModels
    from .nodes.regenerate import SDCRegenerate
    from .nodes.regenerate_canny import SDCRegenerateCanny
    from .nodes.save_sdc import SDCSave
    from .nodes.scale_down import SDCScaleDown
    from .nodes.server.routes import add_routes

    class SDCExtension(ComfyExtension):
        async def get_node_list(self):
            return [
                SDCScaleDown,
                SDCFileSize,
                SDCLatentQuantize,
                SDCSave,
                SDCLoad,
                SDCLoadFolder,
                SDCLoadImageFolder,
                SDCCompressFolder,
                SDCContactSheet,
                SDCDecode,
                SDCRegenerate,
                SDCDDIMInvert,
                SDCRegenerateCanny,
                SDCInversionSigmas,
                SDCInversionSampler,
                SDCInvertedNoise,
                SDCExactSampler,
                SDCCompare,
                SDCLoadTinyModels,
            ]

    add_routes(PromptServer.instance.routes)
    return SDCExtension()
