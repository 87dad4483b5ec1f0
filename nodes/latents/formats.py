"""Which latent format a LATENT, a VAE or a MODEL has: the one place where ComfyUI's classes meet the file's names."""

from weakref import WeakKeyDictionary

import comfy.latent_formats
import numpy as np
import torch

from ... import codec

AUTO, UNKNOWN = "auto", "unknown"
# Those of ComfyUI's classes that files call by another name. Playground 2.5 and CogVideoX 1.5 use the VAE of the models
# before them and scale its latents by themselves; MiniMax H3 makes audio beside the video, which VAE Decode leaves out.
NAMES = {
    "SD15": "SD1.x",
    "SDXL_Playground_2_5": "SDXL",
    "CogVideoX1_5": "CogVideoX",
    "MiniMaxH3AV": "MiniMaxH3Video",
}
CLASSES = {"SD1.x": "SD15"}  # the other way round
# By the module of a VAE's network, where it says more than the shape of the latents does.
NETWORKS = {
    "comfy.ldm.cascade.stage_a": ["SC_B"],
    "comfy.ldm.cascade.stage_c_coder": ["SC_Prior"],
    "comfy.ldm.cogvideo.vae": ["CogVideoX"],
    "comfy.ldm.cosmos.vae": ["Cosmos1CV8x8x8"],
    "comfy.ldm.models.autoencoder": ["HunyuanVideo"],
    "comfy.ldm.seedvr.vae": ["SeedVR2"],
    "comfy.ldm.wan.vae": ["Wan21"],
    "comfy.taesd.taehv": ["Wan21", "LTXAV"],  # it says so itself where it is that of HunyuanVideo
}
# What makes latents that are none of images, by their channels: (batch, channels, height, width).
OTHERS = {
    3: "the pixels of a model without VAE (Chroma Radiance, HiDream-O1, PixelDiT): save them as an image, or encode "
    "them with the VAE of another model",
    8: "audio (ACE-Step, LTX-2)",
}
# RMS error of the rough colors of a chart, in units of -1..1. For TAESD, TAESDXL, TAESD3 and TAEF1 it is 0.20 to 0.41
# with the table of their own format, and 0.63 to 1.12 with that of the other format with as many channels.
MAX_ERROR = 0.55
# The result for each VAE, since measuring takes as long as encoding a small image.
MEASURED: WeakKeyDictionary = WeakKeyDictionary()


def format_of_model(model) -> str | None:
    """Name of the latent format of a MODEL; None where files have no name for it."""
    return format_of_class(type(model.get_model_object("latent_format")))


def format_of_class(kind: type) -> str | None:
    """Name of one of ComfyUI's classes of latent formats; None where files have no name for it."""
    if getattr(comfy.latent_formats, kind.__name__, None) is not kind:
        return None
    name = NAMES.get(kind.__name__, kind.__name__)
    return name if any(known.name == name for known in codec.LATENT_FORMATS) else None


def comfy_format(latent_format: str):
    """An object of ComfyUI's class for a latent format of files; None where this ComfyUI is too old for it."""
    kind = getattr(comfy.latent_formats, CLASSES.get(latent_format, latent_format), None)
    return None if kind is None else kind()


def format_of_vae(vae) -> str | None:
    """Name of the latent format of a VAE; None where no format fits."""
    if vae not in MEASURED:
        MEASURED[vae] = find_format(vae)
    return MEASURED[vae]


def find_format(vae) -> str | None:
    """The one format with latents of this shape; else by the kind of network, else by `measure_format`."""
    names = formats_with(vae.latent_channels, vae.latent_dim)
    if len(names) < 2:
        return next(iter(names), None)
    if "HunyuanImage21Refiner" in names:  # the same network as for video, but for images alone
        return "HunyuanImage21Refiner" if vae.not_video else "HunyuanVideo15"
    network = vae.first_stage_model
    said = format_of_class(getattr(network, "latent_format", None) or type(None))
    known = [said, *NETWORKS.get(type(network).__module__, [])]
    return next((name for name in known if name in names), None) or measure_format(vae, names)


def measure_format(vae, names: list[str]) -> str | None:
    """Encode a chart of colors and return the format whose table of rough colors gives that chart back.

    A VAE object does not say which latent format it has, and two formats may share an architecture. The tables are
    ComfyUI's own, for previews. None where the error of the best one is above MAX_ERROR.
    """
    chart = color_chart()
    latent = vae.encode(chart)[0].float().cpu().numpy()
    factor = chart.shape[1] // latent.shape[-2]
    errors = {}
    for name in names:
        if codec.by_name(name).spatial_factor == factor and (colors := rough_colors(latent, name)) is not None:
            small = torch.nn.functional.interpolate(chart.movedim(-1, 1), colors.shape[:2], mode="area")[0]
            errors[name] = np.sqrt(np.mean((colors - (small.movedim(0, -1).numpy() * 2 - 1)) ** 2))
    nearest = min(errors, key=errors.__getitem__, default=None)
    return nearest if nearest is not None and errors[nearest] < MAX_ERROR else None


def color_chart() -> torch.Tensor:
    """IMAGE (1, 192, 192, 3): squares in all mixtures of three levels of red, green and blue."""
    levels = torch.tensor([0.1, 0.5, 0.9])
    colors = torch.cartesian_prod(levels, levels, levels)
    squares = torch.cat([colors, colors[:9]]).reshape(6, 6, 3)
    return squares.repeat_interleave(32, 0).repeat_interleave(32, 1)[None]


def rough_colors(latent: np.ndarray, latent_format: str) -> np.ndarray | None:
    """The colors of ComfyUI's previews without TAESD.

    Parameters
    ----------
    latent : (C, H, W) array, or (C, T, H, W), of which the first frame counts
    latent_format : str

    Returns
    -------
    (h, w, 3) array in about -1..1; h and w are H and W, or twice as much for Flux2. None where ComfyUI has no table.
    """
    known = comfy_format(latent_format)
    if known is None or known.latent_rgb_factors is None:
        return None
    samples = torch.as_tensor(latent)
    if samples.ndim == 4:
        samples = samples[:, 0]
    if known.latent_dimensions == 3:
        samples = known.process_in(samples[None, :, None])[:, :, 0]
    else:
        samples = known.process_in(samples[None])
    if reshape := getattr(known, "latent_rgb_factors_reshape", None):
        samples = reshape(samples)
    factors = torch.tensor(known.latent_rgb_factors, dtype=samples.dtype)  # (C, 3)
    bias = torch.tensor(known.latent_rgb_factors_bias or [0.0, 0.0, 0.0], dtype=samples.dtype)
    return (samples[0].movedim(0, -1) @ factors + bias).numpy()


def formats_with(channels: int, dimensions: int = 2) -> list[str]:
    """Names of the latent formats of this shape; `dimensions` as of a VAE: 2, or 3 with frames."""
    shape = channels, dimensions
    return [known.name for known in codec.LATENT_FORMATS if (known.channels, known.dimensions) == shape]


def settle_format(chosen: str, latent: dict, source=None, or_unknown: bool = False) -> str:
    """The latent format to write into a file, which cannot be corrected later.

    It is chosen by the user, carried by the latent, known from a MODEL or found of a VAE. Where none of these says
    anything, the shape of the latent decides if one format alone has it; otherwise it is an error.

    Parameters
    ----------
    chosen : str
        A name, or "auto".
    latent : dict
        LATENT; one that came out of a file carries the name of its format.
    source : MODEL or VAE, optional
        What made the latent.
    or_unknown : bool
        Return "unknown" instead of an error where nothing is known.

    Raises
    ------
    ValueError
        Two of them contradict each other or the shape of the latent, or several formats are possible, or none.
    """
    shape = latent["samples"].shape
    candidates = formats_with(shape[1], len(shape) - 2)
    known = {}
    if source is not None:
        what, ask = ("MODEL", format_of_model) if hasattr(source, "get_model_object") else ("VAE", format_of_vae)
        found = ask(source)
        if found is None and chosen == AUTO and not or_unknown:
            raise ValueError(unknown_source(what, shape, candidates))
        known[f"the connected {what}"] = found
    known["the latent itself"] = latent.get("latent_format")
    known["latent_format"] = None if chosen == AUTO else chosen
    known = {what: name for what, name in known.items() if name is not None}
    if len(set(known.values())) > 1:
        said = " and ".join(f"{what} says {name}" for what, name in known.items())
        raise ValueError(f"{said[0].upper()}{said[1:]}: set latent_format to auto and connect what made the latent.")
    name = next(iter(known.values()), None)
    if name is None and len(candidates) == 1:
        return candidates[0]
    if name is None and or_unknown:
        return UNKNOWN
    if name is None:
        raise ValueError(no_format(shape, candidates))
    if name != UNKNOWN and name not in candidates:
        raise ValueError(
            f"The latent has {shape_words(shape)}{', like ' + listed(candidates) if candidates else ''}, but {name} "
            f"latents have {format_words(name)}. Set latent_format to the format of the VAE that made it."
        )
    return name


def unknown_source(what: str, shape: tuple[int, ...], candidates: list[str]) -> str:
    """Why auto finds no format of a MODEL or VAE, and what to do."""
    if what == "VAE" and candidates:
        return (
            "SDC cannot tell the latent format of the VAE connected to vae. By the shape of the latent it may be "
            f"{listed(candidates, 'or')}: set latent_format if you know that it is."
        )
    return (
        f"The {what} connected to vae has a latent format that .sdc files do not support"
        f"{no_image(shape) or ': that of a model without VAE, of audio or of 3D'}. Use a checkpoint of a model in "
        "docs/models.md, or set latent_format if you are sure that its latents are compatible."
    )


def no_format(shape: tuple[int, ...], candidates: list[str]) -> str:
    """Why a latent of this shape has no format, and what to do."""
    if candidates:
        which = f"both {candidates[0]} and {candidates[1]}" if len(candidates) == 2 else listed(candidates)
        return (
            f"The latent has {shape_words(shape)}, which {which} have, and the file must say which it is. Connect the "
            "VAE (or the MODEL) that made it to vae, or set latent_format."
        )
    if reason := no_image(shape):
        return f"The latent has {shape_words(shape)}{reason}."
    alike = [known.name for known in codec.LATENT_FORMATS if known.channels == shape[1]]
    if alike:
        return (
            f"The latent has {shape_words(shape)}, but latents of {listed(alike)}, which have as many channels, have "
            f"{format_words(alike[0])}. Connect the latent as its VAE or sampler gives it."
        )
    channels = sorted({known.channels for known in codec.LATENT_FORMATS if known.channels})
    return (
        f"The latent has {shape_words(shape)}. .sdc files support latents with {listed(channels)} channels; "
        "docs/models.md lists the models."
    )


def no_image(shape: tuple[int, ...]) -> str:
    """ ": like ..." for the channels of latents that are no image's, else empty."""
    return f": like {OTHERS[shape[1]]}" if len(shape) == 4 and shape[1] in OTHERS else ""


def shape_words(shape: tuple[int, ...]) -> str:
    frames = "" if len(shape) == 4 else f" and {shape[2]} frame{'s' if shape[2] > 1 else ''}"
    return f"{shape[1]} channels{frames}"


def format_words(name: str) -> str:
    known = codec.by_name(name)
    return f"{known.channels}" if known.dimensions == 2 else f"{known.channels} and frames"


def listed(names, word: str = "and") -> str:
    """'a, b and c'."""
    *first, last = map(str, names or [""])
    return f"{', '.join(first)} {word} {last}" if first else last
