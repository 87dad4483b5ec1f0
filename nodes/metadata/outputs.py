"""The outputs that give back how a stored image was made, for the widgets of a sampler and of loaders."""

import comfy.samplers
from comfy_api.v0_0_2 import io

from ... import codec
from .generation import generation_of

# What a sampler can go on with where a file does not say: ComfyUI's own defaults.
DEFAULTS = {
    "negative": "", "seed": 0, "steps": 20, "cfg": 8.0, "sampler": "euler", "scheduler": "normal", "denoise": 1.0,
    "model": "", "vae": "",
}  # fmt: skip


def generation_outputs(**options) -> list:
    """Outputs in the order of `generation_values`; `options` are for each of them."""
    return [
        io.String.Output("negative", tooltip="The negative prompt, empty if none.", **options),
        io.Int.Output("seed", tooltip="The seed it was made with, 0 if none is stored.", **options),
        io.Int.Output("steps", tooltip="Steps of its sampler, 20 if none are stored.", **options),
        io.Float.Output("cfg", tooltip="Its guidance, 8 if none is stored.", **options),
        # Of any type: a list of options, as older nodes have, takes no other output.
        io.AnyType.Output("sampler", "sampler_name", tooltip="Its sampler, euler if none is stored.", **options),
        io.AnyType.Output("scheduler", tooltip="Its scheduler, normal if none is stored.", **options),
        io.Float.Output("denoise", tooltip="Its denoise, 1 if none is stored.", **options),
        io.String.Output("model", "model name", tooltip="File of the model, empty if none.", **options),
        io.String.Output("vae", "VAE name", tooltip="File of the VAE, empty if none.", **options),
    ]


def generation_values(image: codec.EncodedImage) -> list:
    """Negative prompt, seed, steps, cfg, sampler, scheduler, denoise and names of model and VAE."""
    found = generation_of(image.metadata)
    # A sampler of another pack, or of a newer ComfyUI, is none here.
    known = {"sampler": comfy.samplers.KSampler.SAMPLERS, "scheduler": comfy.samplers.KSampler.SCHEDULERS}
    for key, names in known.items():
        if found.get(key) not in names:
            found.pop(key, None)
    return [found.get(key, default) for key, default in DEFAULTS.items()]
