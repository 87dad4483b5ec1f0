"""The latent formats that files name, as ComfyUI's models have them. The one place where the two are matched."""

import comfy.latent_formats

COMFY_CLASSES = {
    "SD1.x": comfy.latent_formats.SD15,
    "SDXL": comfy.latent_formats.SDXL,
    "SD3": comfy.latent_formats.SD3,
    "Flux": comfy.latent_formats.Flux,
}


def format_of_model(model) -> str | None:
    """What files call the latent format of a MODEL, None where they have no name for it."""
    kind = type(model.get_model_object("latent_format"))
    return next((name for name, known in COMFY_CLASSES.items() if known is kind), None)
