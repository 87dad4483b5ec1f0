"""Which latent format a LATENT, a VAE or a MODEL has: the one place where ComfyUI's classes meet the file's names."""

from weakref import WeakKeyDictionary

import comfy.latent_formats
import numpy as np
import torch

from ... import codec

COMFY_CLASSES = {
    "SD1.x": comfy.latent_formats.SD15,
    "SDXL": comfy.latent_formats.SDXL,
    "SD3": comfy.latent_formats.SD3,
    "Flux": comfy.latent_formats.Flux,
}
AUTO = "auto"
# Models whose latents files have no name for, by channels.
OTHERS = {12: "Mochi", 48: "Wan 2.2", 64: "HunyuanImage", 128: "Flux.2 and LTX-Video"}
# RMS error of the rough colors of a chart, in units of -1..1. For TAESD, TAESDXL, TAESD3 and TAEF1 it is 0.20 to 0.41
# with the table of their own format, and 0.63 to 1.12 with that of the other format with as many channels.
MAX_ERROR = 0.55
# The result for each VAE, since measuring takes as long as encoding a small image.
MEASURED: WeakKeyDictionary = WeakKeyDictionary()


def format_of_model(model) -> str | None:
    """Name of the latent format of a MODEL; None where files have no name for it."""
    kind = type(model.get_model_object("latent_format"))
    return next((name for name, known in COMFY_CLASSES.items() if known is kind), None)


def format_of_vae(vae) -> str | None:
    """Name of the latent format of a VAE, as measured by `measure_format`; None where no format fits."""
    if vae not in MEASURED:
        MEASURED[vae] = measure_format(vae)
    return MEASURED[vae]


def measure_format(vae) -> str | None:
    """Encode a chart of colors and return the format whose table of rough colors gives that chart back.

    A VAE object does not say which latent format it has, and two formats may share an architecture. The tables are
    ComfyUI's own, for previews. None where the error of the best one is above MAX_ERROR.
    """
    names = formats_with(vae.latent_channels)
    if vae.latent_dim != 2 or not names:
        return None
    chart = color_chart()
    latent = vae.encode(chart)[0].float().cpu().numpy()
    small = torch.nn.functional.interpolate(chart.movedim(-1, 1), latent.shape[1:], mode="area")[0]
    wanted = small.movedim(0, -1).numpy() * 2 - 1
    errors = {name: np.sqrt(np.mean((rough_colors(latent, name) - wanted) ** 2)) for name in names}
    nearest = min(names, key=errors.__getitem__)
    return nearest if errors[nearest] < MAX_ERROR else None


def color_chart() -> torch.Tensor:
    """IMAGE (1, 192, 192, 3): squares in all mixtures of three levels of red, green and blue."""
    levels = torch.tensor([0.1, 0.5, 0.9])
    colors = torch.cartesian_prod(levels, levels, levels)
    squares = torch.cat([colors, colors[:9]]).reshape(6, 6, 3)
    return squares.repeat_interleave(32, 0).repeat_interleave(32, 1)[None]


def rough_colors(latent: np.ndarray, latent_format: str) -> np.ndarray:
    """(H, W, 3) in about -1..1 of a latent (C, H, W): the colors of ComfyUI's previews without TAESD."""
    comfy_format = COMFY_CLASSES[latent_format]()
    factors = np.asarray(comfy_format.latent_rgb_factors, np.float32)  # (C, 3)
    bias = np.asarray(comfy_format.latent_rgb_factors_bias or 0, np.float32)
    return np.einsum("chw,cd->hwd", comfy_format.process_in(latent), factors) + bias


def formats_with(channels: int) -> list[str]:
    return [known.name for known in codec.LATENT_FORMATS if known.channels == channels]


def settle_format(chosen: str, latent: dict, source=None) -> str:
    """The latent format to write into a file, which cannot be corrected later.

    It is chosen by the user, carried by the latent, known from a MODEL or measured of a VAE. Where none of these says
    anything it is an error: the number of channels alone never decides.

    Parameters
    ----------
    chosen : str
        A name, or "auto".
    latent : dict
        LATENT; one that came out of a file carries the name of its format.
    source : MODEL or VAE, optional
        What made the latent.

    Raises
    ------
    ValueError
        Two of them contradict each other or the number of channels, or nothing is known.
    """
    known = {}
    if source is not None:
        what, ask = ("MODEL", format_of_model) if hasattr(source, "get_model_object") else ("VAE", format_of_vae)
        found = ask(source)
        if found is None and chosen == AUTO:
            raise ValueError(
                f"The {what} connected to vae has a latent format that .sdc files do not support. They support "
                f"{', '.join(COMFY_CLASSES)}: use a checkpoint of one of these, or set latent_format if you are sure "
                "that its latents are compatible."
            )
        known[f"the connected {what}"] = found
    known["the latent itself"] = latent.get("latent_format")
    known["latent_format"] = None if chosen == AUTO else chosen
    known = {what: name for what, name in known.items() if name is not None}
    if len(set(known.values())) > 1:
        said = " and ".join(f"{what} says {name}" for what, name in known.items())
        raise ValueError(f"{said[0].upper()}{said[1:]}: set latent_format to auto and connect what made the latent.")
    channels = latent["samples"].shape[1]
    candidates = formats_with(channels)
    name = next(iter(known.values()), None)
    if name is None:
        raise ValueError(no_format(channels, candidates))
    if name not in candidates:
        fitting = f", like {' and '.join(candidates)}" if candidates else ""
        raise ValueError(
            f"The latent has {channels} channels{fitting}, but {name} latents have {codec.by_name(name).channels}. "
            "Set latent_format to the format of the VAE that made it."
        )
    return name


def no_format(channels: int, candidates: list[str]) -> str:
    if not candidates:
        like = f", like those of {OTHERS[channels]}" if channels in OTHERS else ""
        return (
            f"The latent has {channels} channels{like}. .sdc files support {', '.join(COMFY_CLASSES)} latents, with "
            "4 or 16 channels: encode the image with the VAE of one of these."
        )
    return (
        f"The latent has {channels} channels, which both {' and '.join(candidates)} have, and the file must say which "
        "it is. Connect the VAE (or the MODEL) that made it to vae, or set latent_format."
    )
