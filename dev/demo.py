"""Images through a shipped workflow, on a real server: what is stored, what comes back, how near it is.

By the paper's palette and by the learned codec, each decoded and regenerated, beside JPEG and AVIF of as many bytes.
"""

import argparse
import asyncio
import copy
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import piq
import torch
from PIL import Image
from sdc_pack import codec
from sdc_pack.nodes.comparison import baselines, metrics, sheet, table
from sdc_pack.nodes.comparison.entries import Entry, compare

from . import images
from .client import Client, ComfyError, TimedRun
from .environment import REPO, SetupError, say
from .server import Server

# What a preview shows, by the node whose image it is.
SHOWN = {
    "SDCScaleDown": "original", "SDCRegenerate": "decoded", "VAEDecode": "decoded",
    "SDCRegenerateCanny": "edges",
}  # fmt: skip
# Preset -> settings. For the paper's a fixed strength, as it has; with the tiny models that of README's table, found on
# other photographs. The learned codec disturbs less than a palette: the file itself says how much.
PRESETS = {"paper": {"auto_strength": False, "strength": 0.15, "steps": 13}, "best": {"auto_strength": True}}
ALIKE = 0.02  # relative change of a mean that nobody sees
KINDS = ("decoded", "regenerated")
BASELINES = ("JPEG", "AVIF")
# A measure of what an eye sees that needs no weights to be downloaded: Reisenhofer et al. 2018, 1 for equal images.
PERCEIVED, DIGITS = "HaarPSI", 3


def main(arguments: list[str], settings: dict) -> int:
    parser = argparse.ArgumentParser(prog="run.py demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="default: a photograph that is at hand")
    parser.add_argument("--output", type=Path, default=Path("sdc-demo"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--steps", type=int, metavar="N", help="fewer steps are faster (default: as in the workflow)")
    parser.add_argument("--megapixels", type=float, metavar="X", help="size that images get (default: the same)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a real SD 1.x checkpoint")
    parser.add_argument("--controlnet", type=Path, metavar="FILE", help="a real Canny ControlNet for it")
    options = parser.parse_args(arguments)
    for path in (*options.images, options.checkpoint, options.controlnet):
        if path and not path.is_file():
            parser.error(f"there is no file {path}")
    if (options.checkpoint is None) != (options.controlnet is None):
        parser.error("--checkpoint and --controlnet go together: a ControlNet serves the models it was made for")
    if options.steps is not None and options.steps < 1:
        parser.error("--steps must be 1 or more")
    if options.megapixels is not None and not 0.01 <= options.megapixels <= 16:  # as ComfyUI's node has it
        parser.error("--megapixels must be from 0.01 to 16")
    try:
        return run(options, settings["comfyui"], settings["shared"])
    except (ComfyError, ValueError) as error:
        raise SetupError(str(error)) from error


def run(options, comfyui: Path, shared: Path) -> int:
    name = "SDC Full Pipeline" if options.checkpoint else "SDC Remove Artifacts"
    shipped, workflow = (
        json.loads((REPO / "workflows" / path).read_text("utf-8")) for path in (f"api/{name}.json", f"{name}.json")
    )
    wanted = {name: value for name in ("steps", "megapixels") if (value := getattr(options, name)) is not None}
    folders = []
    if options.checkpoint:
        wanted |= {"ckpt_name": options.checkpoint.name, "control_net_name": options.controlnet.name}
        chosen = {"checkpoints": options.checkpoint, "controlnet": options.controlnet}
        folders = [{kind: str(path.resolve().parent) for kind, path in chosen.items()}]
    try:
        lpips = metrics.load_lpips(root / "models" / "lpips" for root in (comfyui, shared))
    except metrics.MetricUnavailable as error:
        lpips = None
        say(f"{error}\n")
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sdc-demo-", ignore_cleanup_errors=True) as base:
        found = find_images(options.images, Path(base))
        say("Starting ComfyUI")
        with Server(comfyui, Path(sys.executable), pack=REPO, models=folders, base=Path(base)) as server:
            say(f"Results go to {options.output}; earlier ones of the same name are replaced.")
            rows, measured = [], []
            for name, path in found.items():
                say(f"\n{name} ({path})")
                wanted["image"] = server.client.upload(path)
                compared = process(server.client, (shipped, workflow), wanted, options.output / name, lpips)
                measured.append(
                    {entry.name: entry.figures["lpips"] if lpips else perceived for entry, perceived in compared}
                )
                rows += [
                    [f"{name}, {entry.name}", *table.cells(entry)[1:], f"{perceived:.{DIGITS}f}"]
                    for entry, perceived in compared
                ]
    say("")
    header = [*table.HEADER, PERCEIVED]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in (header, *rows):
        say("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]))
    say("LPIPS: lower is nearer; all others: higher is nearer.")
    for line in effects(measured, "LPIPS" if lpips else PERCEIVED, lower=lpips is not None):
        say(line)
    if not options.checkpoint:
        say("The models were the small ones that come with the pack. To use real ones:")
        say("--checkpoint FILE --controlnet FILE")
    return 0


def find_images(paths: list[Path], folder: Path) -> dict[str, Path]:
    """Check that every image can be read, and give each a name of its own for its results."""
    if not paths:
        import skimage.data

        # Eileen Collins, photographed by NASA: in the public domain and part of scikit-image.
        paths = [folder / "astronaut.png"]
        Image.fromarray(skimage.data.astronaut()).save(paths[0])
    found: dict[str, Path] = {}
    for path in paths:
        images.load_rgb(path)
        name, number = path.stem, 2
        while name in found:
            name, number = f"{path.stem}-{number}", number + 1
        found[name] = path.resolve()
    return found


def with_previews(shipped: dict) -> dict:
    """The prompt with previews of what is compared here, in the place of the workflow's own comparison."""
    compared = [node_id for node_id, node in shipped.items() if node["class_type"] == "SDCCompare"]
    kept = {
        node_id: copy.deepcopy(node)
        for node_id, node in shipped.items()
        if node_id not in compared and node["inputs"].get("images", [None])[0] not in compared
    }
    if compared:
        outputs = {"SDCScaleDown": 0, "SDCRegenerate": 1}  # the original and the decoded image
        for node_id in [node_id for node_id, node in kept.items() if node["class_type"] in outputs]:
            output = outputs[kept[node_id]["class_type"]]
            kept[f"preview {node_id}"] = {"class_type": "PreviewImage", "inputs": {"images": [node_id, output]}}
    return kept


def swap(prompt: dict, wanted: dict) -> list[str]:
    """Give inputs of these names other values where no node is connected, "image" only where it is a file's name.

    Changes the prompt in place; returns what was done.
    """
    lines = []
    for node_id, node in prompt.items():
        kind, inputs = node["class_type"], node["inputs"]
        for name in wanted.keys() & inputs.keys():
            old, new = inputs[name], wanted[name]
            if new != old and not isinstance(old, list) and (name != "image" or kind == "LoadImage"):
                inputs[name] = new
                lines.append(f"swapped {kind} (node {node_id}) {name}: {old} -> {new}")
    return lines


def process(client: Client, shipped: tuple, wanted: dict, output: Path, lpips) -> list[tuple[Entry, float]]:
    """Run one image by every preset, write results under names that begin with `output`, and compare them.

    `shipped` is a workflow as a prompt and as the page has it. Returns each entry and how much of it an eye sees.
    """
    entries: list[Entry] = []
    for preset, settings in PRESETS.items():
        prompt = with_previews(shipped[0])
        settings = {} if "ckpt_name" in wanted and preset == "paper" else settings  # the workflow's are the paper's
        for line in swap(prompt, {**settings, **wanted, "preset": preset}):
            say(f"  {line}")
        timed = TimedRun(client, {node_id: node["class_type"] for node_id, node in prompt.items()})
        files = collect(prompt, asyncio.run(timed.run(prompt, shipped[1])))
        contents = {kind: client.view(file) for kind, file in files.items()}
        slowest = max(timed.seconds, key=timed.seconds.get)
        say(f"  {preset}: {sum(timed.seconds.values()):.1f} s, most of them in {slowest}")
        pixels = {kind: pixels_of(content) for kind, content in contents.items() if kind != "sdc"}
        size = len(contents["sdc"])
        entries += [Entry(f"{preset}, {kind}", pixels[kind], size) for kind in KINDS]
        for kind in contents.keys() - {"original"}:
            path = Path(f"{output}_{preset}.sdc" if kind == "sdc" else f"{output}_{preset}_{kind}.png")
            codec.write_whole(path, contents[kind], overwrite=True)
    compared = compare(pixels["original"], entries, usable(BASELINES), size, lpips, lambda: None)
    drawn = io.BytesIO()
    Image.fromarray(sheet.draw_sheet(compared)).save(drawn, "PNG")
    codec.write_whole(Path(f"{output}_side_by_side.png"), drawn.getvalue(), overwrite=True)
    return [(entry, perceive(pixels["original"], entry.pixels)) for entry in compared.entries]


def effects(measured: list[dict[str, float]], metric: str, lower: bool) -> list[str]:
    """What regeneration did to the images of each preset, by a metric of which lower or higher values are nearer.

    `measured` has for each image the value of "PRESET, decoded" and "PRESET, regenerated".
    """
    lines = []
    for preset in PRESETS:
        before, after = (np.array([each[f"{preset}, {kind}"] for each in measured]) for kind in KINDS)
        better = int(np.sum(after < before if lower else after > before))
        gain = (before.mean() - after.mean()) * (1 if lower else -1)
        effect = (
            "as near to the original as decoded" if abs(gain) < ALIKE * before.mean()
            else "nearer to the original than decoded" if gain > 0
            else "farther from the original than decoded, so keep the decoded image"
        )  # fmt: skip
        means = f"{metric} {before.mean():.3f} decoded, {after.mean():.3f} regenerated"
        count = f"; nearer for {better} of {len(measured)}" if len(measured) > 1 else ""
        lines.append(f"{preset}, regenerated: {effect} ({means}{count}).")
    return lines


def usable(names: tuple[str, ...]) -> list[str]:
    """The baselines that this machine can write."""
    return [name for name in names if baselines.missing(name) is None]


def pixels_of(file: bytes) -> np.ndarray:
    """(H, W, 3) uint8 of an image file."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def perceive(original: np.ndarray, restored: np.ndarray) -> float:
    pair = [torch.tensor(x).permute(2, 0, 1)[None] / 255 for x in (original, restored)]
    return piq.haarpsi(*pair, data_range=1.0).item()


def collect(prompt: dict, outputs: dict) -> dict[str, dict]:
    """The files that a finished prompt shows, by what they are: "sdc", "regenerated", and those in SHOWN."""
    found = {}
    for node_id, shown in outputs.items():
        entries = [entry for values in shown.values() if isinstance(values, list) for entry in values]
        files = [entry for entry in entries if isinstance(entry, dict) and "filename" in entry]
        kind, inputs = prompt[node_id]["class_type"], prompt[node_id]["inputs"]
        if kind == "SDCSave":
            found["sdc"] = next(file for file in files if file["filename"].endswith(".sdc"))
        elif kind == "SaveImage":
            found["regenerated"] = files[0]
        elif kind == "PreviewImage":
            found[SHOWN[prompt[inputs["images"][0]]["class_type"]]] = files[0]
    return found
