"""Seconds and memory: both coders against WebP and AVIF from 256x256 to 8192x8192, and nodes against ComfyUI's own.

Large images are mosaics of the images given. For the codec they are mosaics of their latents: an autoencoder would
take hours and tens of gigabytes for the largest without a graphics card, so its time is given by itself, up to 1024.
AVIF at its slowest setting, the one that it is compared at, takes minutes there too, and is given up to 2048.
"""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sdc_pack import codec
from sdc_pack.nodes.comparison import baselines
from tqdm import tqdm

from dev import images, random_models
from dev.environment import SetupError
from dev.tables import Table, show

from .harness import comfy, plots, timing
from .harness.regenerator import Regenerator
from .harness.stored import add_autoencoder_option

NEEDS_IMAGES = True
TILE = 512
SIDES = (256, 512, 1024, 2048, 4096, 8192)
LARGEST_FOR_VAE = 1024
PAPER_BYTES = 3300  # about what the preset paper takes for a tile; the baselines get the quality that comes nearest
NODES_SIDE, STEPS = 256, 4
BEST_QUALITY, BEST_BYTES = 55, 3200  # of the preset best: about as many for a tile
BASELINES = {"WebP": SIDES[-1], "AVIF": 2048}  # and the side of their largest image
WAYS = ("encode", "decode")
MEGABYTE = 1e6


def add_arguments(parser):
    add_autoencoder_option(parser)
    parser.add_argument("--largest", type=int, default=SIDES[-1], metavar="N", help="side of the largest image")


def run(options, results):
    autoencoder = comfy.Autoencoder(options.vae)
    tiles = images.load_crops(options.images, TILE).values()
    tiles = [tile for tile in tiles if tile.shape[:2] == (TILE, TILE)]
    if not tiles:
        raise SetupError(f"None of the images has {TILE}x{TILE} pixels.")
    setting = {"threads": torch.get_num_threads(), "vae": autoencoder.name}
    latents = [autoencoder.encode(tile).transpose(1, 2, 0) for tile in tiles]
    qualities = {name: baselines.encode_baseline_to_size(name, tiles[0], PAPER_BYTES).quality for name in BASELINES}
    for side in tqdm([side for side in SIDES if side <= options.largest], unit="size", disable=None):
        pixels, latent = mosaic(tiles, side), mosaic(latents, side // 8).transpose(2, 0, 1)
        calls = {
            name: partial(measure_alone, name, pixels, qualities[name])
            for name, largest in BASELINES.items()
            if side <= largest
        }
        calls[timing.PAPER] = partial(measure_alone, timing.PAPER, latent)
        if autoencoder.latent_format in codec.LEARNED_FORMATS:
            size = BEST_BYTES * side**2 // TILE**2
            calls[timing.BY_QUALITY] = partial(measure_alone, timing.BY_QUALITY, latent, BEST_QUALITY)
            calls[timing.BY_SIZE] = partial(measure_alone, timing.BY_SIZE, latent, size)
        if side <= LARGEST_FOR_VAE:
            calls["autoencoder"] = partial(measure_autoencoder, autoencoder, pixels)
        for what, call in calls.items():
            results.get({"what": what, "side": side, **setting}, call)
    key = {"what": "nodes", "side": NODES_SIDE, "steps": STEPS, **setting}
    results.get(key, lambda: measure_nodes(mosaic(tiles, NODES_SIDE), autoencoder, options))


def mosaic(tiles: list[np.ndarray], side: int) -> np.ndarray:
    """(side, side, channels) of tiles, row by row, over and over."""
    step = tiles[0].shape[0]
    if side < step:
        return np.ascontiguousarray(tiles[0][:side, :side])
    sheet = np.empty((side, side, tiles[0].shape[2]), tiles[0].dtype)
    for number in range((side // step) ** 2):
        top, left = (step * place for place in divmod(number, side // step))
        sheet[top : top + step, left : left + step] = tiles[number % len(tiles)]
    return sheet


def measure_alone(name: str, array: np.ndarray, quality: int = 0) -> dict:
    """A codec in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="sdc-bench-") as folder:
        path = Path(folder, "input.npy")
        np.save(path, array)
        command = [sys.executable, timing.__file__, name, path, str(quality)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_autoencoder(autoencoder, pixels: np.ndarray) -> dict:
    """In this process, which has the model; so its memory cannot be told from what ran before."""
    figures = timing.both_ways(lambda: autoencoder.encode(pixels), autoencoder.decode)
    return {name: figures[name] for name in ("encode_seconds", "decode_seconds")}


@torch.inference_mode()
def measure_nodes(pixels: np.ndarray, autoencoder, options) -> dict:
    """Seconds of each node, and of ComfyUI's own nodes that make the same UNet calls.

    By stand-in models, whose UNet is some sixty times smaller than that of SD 1.5: with a real one the nodes' own part
    is lost in the model's.
    """
    import nodes
    from comfy_extras.nodes_custom_sampler import BasicGuider, KSamplerSelect, RandomNoise, SamplerCustomAdvanced
    from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
    from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
    from sdc_pack.nodes.load_sdc import SDCLoad
    from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny
    from sdc_pack.nodes.regeneration.edges import canny_edges
    from sdc_pack.nodes.save_sdc import SDCSave

    names = random_models.build(options.models)
    regenerator = Regenerator(names["checkpoint"], names["controlnet"])
    model, prompt, control_net = regenerator.model, regenerator.prompt, regenerator.control_net
    image = torch.from_numpy(pixels.astype(np.float32) / 255)[None]
    latent = nodes.VAEEncode().encode(autoencoder.vae, image)[0]

    def quantize():
        return comfy.call(SDCLatentQuantize, latent=latent, vae=autoencoder.vae)

    sdc, decoded, *_ = quantize()
    invert = {"model": model, "positive": prompt, "latent": decoded, "steps": STEPS}
    noise, sigmas, inverted = comfy.call(SDCDDIMInvert, **invert)
    regenerate = {
        "model": model, "positive": prompt, "control_net": control_net, "image": image,
        "latent": inverted, "noise": noise, "sigmas": sigmas,
    }  # fmt: skip
    euler = KSamplerSelect.execute("euler").result[0]

    def stock(conditioning, start):
        guider = BasicGuider.execute(model, conditioning).result[0]
        return SamplerCustomAdvanced.execute(start, guider, euler, sigmas, inverted)

    def stock_controlled():
        edges = canny_edges(image, 100, 200)
        controlled = nodes.ControlNetApplyAdvanced().apply_controlnet(prompt, prompt, control_net, edges, 0.3, 0.0, 1.0)
        return stock(controlled[0], noise)

    def encode():
        return nodes.VAEEncode().encode(autoencoder.vae, image)

    def save():
        comfy.call(SDCSave, sdc=sdc, filename_prefix="speed")

    save()
    # Node, and which nodes of ComfyUI's own stand beside it.
    pairs = {
        "SD Latent Quantize": (quantize, "VAE Encode", encode),
        "Save SDC": (save, "VAE Encode", encode),
        "Load SDC": (
            lambda: SDCLoad.execute("speed_00001_.sdc [output]"),
            "VAE Decode", lambda: nodes.VAEDecode().decode(autoencoder.vae, decoded),
        ),
        "DDIM Invert": (
            lambda: comfy.call(SDCDDIMInvert, **invert),
            "Basic Guider, SamplerCustomAdvanced", lambda: stock(prompt, RandomNoise.execute(0).result[0]),
        ),
        "Regenerate with Canny": (
            lambda: comfy.call(SDCRegenerateCanny, **regenerate),
            "Apply ControlNet, Basic Guider, SamplerCustomAdvanced", stock_controlled,
        ),
    }  # fmt: skip
    figures = {}
    for name, (ours, stock_name, stock_nodes) in pairs.items():
        stock_nodes()
        seconds = timing.best_of({"seconds": ours, "stock_seconds": stock_nodes})
        figures[name] = {**seconds, "stock": stock_name}
    return figures


def report(rows: list[dict]) -> list[Table]:
    threads = rows[0]["key"]["threads"]
    note = (
        f"torch with {threads} thread{'s'[: threads - 1]}, AVIF with as many as it likes; the fastest of several runs."
    )
    lines, exponents = [], []
    for what, curve in curves(rows).items():
        for side, figures in curve.items():
            lines.append([f"{what}, {side}x{side}"])
            for way in WAYS:
                memory = figures.get(f"{way}_memory")
                lines[-1] += [f"{figures[f'{way}_seconds']:.4f}", show(memory and memory / MEGABYTE, ".0f")]
        grown = {side**2: figures for side, figures in curve.items() if side >= TILE}
        if len(grown) > 1:
            powers = [timing.growth(list(grown), [f[f"{way}_seconds"] for f in grown.values()]) for way in WAYS]
            exponents.append([what, *(f"{power:.2f}" for power in powers)])
    about = [
        note,
        "SDC is the codec alone, from latent to file and back; it needs the autoencoder besides.",
        "Memory is what a call adds to the process at its peak, beyond what goes in.",
        *shares(curves(rows)),
    ]
    header = ["", "encode, s", "memory, MB", "decode, s", "memory, MB"]
    growth = [f"From {TILE}x{TILE} up; 1 is proportional."]
    return [
        Table("Seconds and memory by image size", header, lines, about),
        Table("Growth with the number of pixels", ["seconds ~ pixels ^", *WAYS], exponents, growth),
        *(nodes_table(row, note) for row in rows if row["key"]["what"] == "nodes"),
    ]


def shares(found: dict[str, dict[int, dict]]) -> list[str]:
    """How much of the autoencoder's time each coder takes at most, at the sizes that both were measured at."""
    sentences = []
    for name in timing.PRESETS:
        sides = found.get(name, {}).keys() & found.get("autoencoder", {}).keys()
        worst = {
            way: max(
                found[name][side][f"{way}_seconds"] / found["autoencoder"][side][f"{way}_seconds"] for side in sides
            )
            for way in WAYS
            if sides
        }
        if worst:
            most = ", ".join(f"{way} {100 * share:.0f} %" for way, share in worst.items())
            sentences.append(f"{name}, at most of the autoencoder's time, up to {max(sides)}x{max(sides)}: {most}.")
    return sentences


def curves(rows: list[dict]) -> dict[str, dict[int, dict]]:
    """Codec -> side -> figures."""
    found: dict[str, dict[int, dict]] = {}
    for row in rows:
        if row["key"]["what"] != "nodes":
            found.setdefault(row["key"]["what"], {})[row["key"]["side"]] = row["value"]
    return found


def nodes_table(row: dict, note: str) -> Table:
    key = row["key"]
    notes = [
        note,
        f"{key['side']}x{key['side']}, {key['steps']} steps, stand-in models. In the last two rows both sides make the "
        "same UNet calls; the others are set against the node that they stand next to in a workflow.",
    ]
    lines = []
    for name, f in row["value"].items():
        ratio = f"{f['seconds'] / f['stock_seconds']:.2f}"
        lines.append([name, f"{f['seconds']:.3f}", f["stock"], f"{f['stock_seconds']:.3f}", ratio])
    return Table("Nodes", ["", "s", "ComfyUI's own", "s", "ratio"], lines, notes)


def plot(rows: list[dict], path):
    figure, panels = plots.axes(len(WAYS))
    for axes, way in zip(panels, WAYS, strict=True):
        for what, curve in curves(rows).items():
            axes.plot(list(curve), [figures[f"{way}_seconds"] for figures in curve.values()], "o-", label=what)
        axes.set(title=way, xscale="log", yscale="log", xlabel="side of the image in pixels", ylabel="seconds")
        axes.set_xticks(SIDES, [str(side) for side in SIDES], minor=False)
        axes.xaxis.set_minor_locator(plots.ticker.NullLocator())
    panels[0].legend()
    plots.save(figure, path)
