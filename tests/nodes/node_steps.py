"""What tests of files do with the nodes."""

import folder_paths
from comfy_api.v0_0_2 import io
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.save_sdc import SDCSave


def quantize(latent, **changes):
    settings = {
        "preset": "paper",
        "colors": 16,
        "dither": "none",
        "dither_strength": 1.0,
        "seed": 0,
        "latent_format": "SD1.x",
    }
    return SDCLatentQuantize.execute(latent, **{**settings, **changes})


def save(sdc, prefix="images/test", embed="none", extra_pnginfo=None, prompt_graph=None, **optional):
    """Run Save SDC, node 1 of its graph, as ComfyUI does: on a clone of the class that holds the hidden inputs."""
    hidden = {io.Hidden.extra_pnginfo: extra_pnginfo, io.Hidden.prompt: prompt_graph, io.Hidden.unique_id: "1"}
    clone = SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": hidden})
    return clone.execute(sdc, prefix, embed, **optional)


def saved_path(output, index=0):
    result = output.ui["files"][index]
    return f"{folder_paths.get_output_directory()}/{result['subfolder']}/{result['filename']}"
