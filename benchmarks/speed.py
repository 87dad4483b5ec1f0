"""Seconds and memory: the codec, WebP and AVIF from 256x256 to 8192x8192, and nodes next to ComfyUI's own.

Large images are mosaics of the images given, and for the codec mosaics of their latents. The autoencoder is timed by
itself, up to 1024x1024: without a graphics card larger ones would take it hours. AVIF, at the slow setting that it is
compared at, is timed up to 2048x2048.
"""

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sdc_pack.nodes.comparison import baselines
from tqdm import tqdm

from dev import images, random_models
from dev.environment import SetupError

from .harness import comfy, timing
from .harness.regenerator import Regenerator
from .harness.stored import add_autoencoder_option
from .harness.tables import Table, show

NEEDS_IMAGES = True
TILE = 512
SIDES = (256, 512, 1024, 2048, 4096, 8192)
MAX_SIDE_OF_VAE = 1024
PAPER_BYTES = 3300  # about what preset paper takes for a tile; sets the quality of the baselines
NODES_SIDE, STEPS, REPEATS = 256, 4, 3  # of the nodes
# About as many bytes a tile by preset best.
BEST_QUALITY, BEST_BYTES = 55, 3200
BASELINES = {"WebP": SIDES[-1], "AVIF": 2048}  # and the side of the largest image
MEGABYTE = 1e6


def add_arguments(parser):
    add_autoencoder_option(parser)
    parser.add_argument("--largest", type=int, default=SIDES[-1], metavar="N", help="side of the largest image")


def run(options, measurements) -> list[Table]:
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
            name: partial(measure_alone, name, pixels, quality=qualities[name])
            for name, largest in BASELINES.items()
            if side <= largest
        }
        calls |= {what: partial(measure_alone, "SDC", latent, **settings) for what, settings in presets(side).items()}
        if side <= MAX_SIDE_OF_VAE:
            calls["autoencoder"] = partial(measure_autoencoder, autoencoder, pixels)
        for what, call in calls.items():
            measurements.get({"what": what, "side": side, **setting}, call)
    key = {"what": "nodes", "side": NODES_SIDE, "steps": STEPS, **setting}
    measurements.get(key, lambda: measure_nodes(mosaic(tiles, NODES_SIDE), autoencoder, options))
    return report(measurements.rows)


def presets(side: int) -> dict[str, dict]:
    """What the tables call a preset, and its settings."""
    return {
        "SDC": {"preset": "paper"},
        "SDC best by quality": {"preset": "best", "quality": BEST_QUALITY},
        "SDC best by size": {"preset": "best", "max_bytes": BEST_BYTES * side**2 // TILE**2},
    }


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


def measure_alone(name: str, array: np.ndarray, **settings) -> dict:
    """A codec in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="sdc-bench-") as folder:
        path = Path(folder, "input.npy")
        np.save(path, array)
        command = [sys.executable, timing.__file__, name, path, json.dumps(settings)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_autoencoder(autoencoder, pixels: np.ndarray) -> dict:
    """In this process, which has the model; so its memory cannot be told from what ran before."""
    figures = timing.both_ways(lambda: autoencoder.encode(pixels), autoencoder.decode)
    return {name: figures[name] for name in ("encode_seconds", "decode_seconds")}


@torch.inference_mode()
def measure_nodes(pixels: np.ndarray, autoencoder, options) -> dict:
    """Seconds of each node, and of ComfyUI's own nodes that make the same UNet calls.

    With random models, whose UNet is some sixty times smaller than that of SD 1.5, so that the nodes' own part shows.
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
    # Node -> its call, ComfyUI's own nodes to compare it with, and theirs.
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
        seconds = timing.best_of({"seconds": ours, "stock_seconds": stock_nodes}, REPEATS)
        figures[name] = {**seconds, "stock": stock_name}
    return figures


def report(rows: list[dict]) -> list[Table]:
    threads = rows[0]["key"]["threads"]
    note = f"torch with {threads} thread{'s'[: threads - 1]}, AVIF with one; the fastest of several runs."
    *codecs, nodes = rows
    order = list(dict.fromkeys(row["key"]["what"] for row in codecs))
    lines = []
    for row in sorted(codecs, key=lambda row: order.index(row["key"]["what"])):
        key, value = row["key"], row["value"]
        lines.append([f"{key['what']}, {key['side']}x{key['side']}"])
        for way in ("encode", "decode"):
            memory = value.get(f"{way}_memory")
            lines[-1] += [f"{value[f'{way}_seconds']:.4f}", show(memory and memory / MEGABYTE, ".0f")]
    notes = [
        note,
        "SDC is the codec alone, from latent to file and back, without the autoencoder.",
        "Memory is what a call adds to the process at its peak.",
    ]
    header = ["", "encode, s", "memory, MB", "decode, s", "memory, MB"]
    return [Table("Seconds and memory by image size", header, lines, notes), nodes_table(nodes, note)]


def nodes_table(row: dict, note: str) -> Table:
    side, steps = row["key"]["side"], row["key"]["steps"]
    notes = [
        note,
        f"{side}x{side}, {steps} steps, random models. In the last two rows both sides make the same UNet calls; the "
        "others are compared with their neighbor in a workflow.",
    ]
    lines = []
    for name, of in row["value"].items():
        ours, theirs = of["seconds"], of["stock_seconds"]
        lines.append([name, f"{ours:.3f}", of["stock"], f"{theirs:.3f}", f"{ours / theirs:.2f}"])
    return Table("Nodes", ["", "s", "ComfyUI's own", "s", "ratio"], lines, notes)
