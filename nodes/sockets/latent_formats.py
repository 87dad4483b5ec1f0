"""The latent formats that files name, as ComfyUI's models have them. The one place where the two are matched."""

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
# RMS error, in units of -1..1, of the rough colors of a chart. By TAESD, TAESDXL, TAESD3 and TAEF1 it is 0.20 to 0.41
# by the table of their own format, and 0.63 to 1.12 by that of the other one with as many channels.
MAX_ERROR = 0.55
ASKED: WeakKeyDictionary = WeakKeyDictionary()  # what each VAE has answered: to ask takes as long as a small image


def format_of_model(model) -> str | None:
    """What files call the latent format of a MODEL, None where they have no name for it."""
    kind = type(model.get_model_object("latent_format"))
    return next((name for name, known in COMFY_CLASSES.items() if known is kind), None)


def format_of_vae(vae) -> str | None:
    """What files call the latent format of a VAE, None where no format fits.

    A VAE does not say to which family it belongs, and two may be built alike. So it is given a chart of colors, and
    ComfyUI's own table of rough colors for each format says whose latent came back.
    """
    if vae not in ASKED:
        ASKED[vae] = nearest_format(vae)
    return ASKED[vae]


def nearest_format(vae) -> str | None:
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
    """(H, W, 3) in about -1..1 of a latent (C, H, W): the colors that ComfyUI's previews use where no TAESD is."""
    family = COMFY_CLASSES[latent_format]()
    factors = np.asarray(family.latent_rgb_factors, np.float32)  # (C, 3)
    bias = np.asarray(family.latent_rgb_factors_bias or 0, np.float32)
    return np.einsum("chw,cd->hwd", family.process_in(latent), factors) + bias


def formats_with(channels: int) -> list[str]:
    return [known.name for known in codec.LATENT_FORMATS if known.channels == channels]


def settle_format(chosen: str, latent: dict, source=None) -> str:
    """The latent format to write into a file. It is never guessed: the wrong one cannot be mended later.

    Parameters
    ----------
    chosen : str
        A name, or "auto".
    latent : dict
        LATENT; those that come out of files carry the name of their format.
    source : MODEL or VAE, optional
        Of the family that made the latent.

    Raises
    ------
    ValueError
        What is known contradicts itself, or is not enough.
    """
    known = {}
    if source is not None:
        what, ask = ("model", format_of_model) if hasattr(source, "get_model_object") else ("vae", format_of_vae)
        found = ask(source)
        if found is None and chosen == AUTO:
            raise ValueError(
                f"The {what} that is connected to vae is of a family that .sdc files have no name for. They hold "
                f"latents of {', '.join(COMFY_CLASSES)}: use a checkpoint of one of these, or, where you are sure that "
                "its latents are those of one of them, choose that in latent_format."
            )
        known[f"the {what} connected"] = found
    known["the latent itself"] = latent.get("latent_format")
    known["latent_format"] = None if chosen == AUTO else chosen
    known = {what: name for what, name in known.items() if name is not None}
    if len(set(known.values())) > 1:
        said = " and ".join(f"{what} says {name}" for what, name in known.items())
        raise ValueError(f"{said[0].upper()}{said[1:]}: set latent_format to auto, and connect what made the latent.")
    channels = latent["samples"].shape[1]
    candidates = formats_with(channels)
    name = next(iter(known.values()), None)
    if name is None:
        raise ValueError(no_format(channels, candidates))
    if name not in candidates:
        fitting = f", as {' and '.join(candidates)} have" if candidates else ""
        raise ValueError(
            f"The latent has {channels} channels{fitting}, and those of {name} have {codec.by_name(name).channels}. "
            "Set latent_format to the family of the VAE that made it."
        )
    return name


def no_format(channels: int, candidates: list[str]) -> str:
    if not candidates:
        like = f", as those of {OTHERS[channels]} have" if channels in OTHERS else ""
        return (
            f"The latent has {channels} channels{like}. .sdc files hold latents of {', '.join(COMFY_CLASSES)}, with "
            "4 or 16 channels: encode the image with a VAE of one of these."
        )
    return (
        f"The latent has {channels} channels, which {' and '.join(candidates)} both have, and the file must say which "
        "it is. Connect the VAE that made it (or the MODEL) to vae, or choose it in latent_format."
    )
