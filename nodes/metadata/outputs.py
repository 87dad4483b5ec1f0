"""The outputs of the loaders that say how a stored image was made, for the widgets of a sampler and of loaders."""

import comfy.samplers
from comfy_api.v0_0_2 import io

from ... import codec
from ..files.listing import load_listed
from .generation import generation_of

# ComfyUI's own defaults, for what a file does not say.
DEFAULTS = {
    "negative": "", "seed": 0, "steps": 20, "cfg": 8.0, "sampler": "euler", "scheduler": "normal", "denoise": 1.0,
    "model": "", "vae": "", "guidance": 3.5,
}  # fmt: skip


def generation_outputs(**options) -> list:
    """Outputs in the order of `generation_values`; `options` are those of each output."""
    return [
        io.String.Output("negative", tooltip="The negative prompt; empty if none.", **options),
        io.Int.Output("seed", tooltip="The seed of the sampler; 0 if none is stored.", **options),
        io.Int.Output("steps", tooltip="The steps of the sampler; 20 if none are stored.", **options),
        io.Float.Output("cfg", tooltip="The cfg of the sampler; 8 if none is stored.", **options),
        # Of any type, since the combo inputs of older nodes accept no other output.
        io.AnyType.Output("sampler", "sampler_name", tooltip="The sampler; euler if none is stored.", **options),
        io.AnyType.Output("scheduler", tooltip="The scheduler; normal if none is stored.", **options),
        io.Float.Output("denoise", tooltip="The denoise of the sampler; 1 if none is stored.", **options),
        io.String.Output("model", "model name", tooltip="File name of the model; empty if none.", **options),
        io.String.Output("vae", "VAE name", tooltip="File name of the VAE; empty if none.", **options),
        io.Float.Output("guidance", tooltip="For FluxGuidance; 3.5 if none is stored.", **options),
    ]


def generation_values(image: codec.EncodedImage) -> list:
    """Negative prompt, seed, steps, cfg, sampler, scheduler, denoise, names of model and VAE, and guidance."""
    found = generation_of(image.metadata)
    # A sampler of another pack, or of a newer ComfyUI, may not exist here.
    known = {"sampler": comfy.samplers.KSampler.SAMPLERS, "scheduler": comfy.samplers.KSampler.SCHEDULERS}
    for key, names in known.items():
        if found.get(key) not in names:
            found.pop(key, None)
    return [found.get(key, default) for key, default in DEFAULTS.items()]


def load_sdc_outputs(inputs: dict) -> list:
    """What Load SDC outputs for these inputs, None for its latent and image; nothing where its file is gone."""
    try:
        image = load_listed(inputs["file"], inputs.get("max_megapixels", 36))[0][0]
    except (KeyError, TypeError, ValueError, OSError):
        return []
    return [None, None, image.metadata.get("prompt", ""), image.width, image.height, *generation_values(image)]
