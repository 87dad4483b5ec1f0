"""Images through the shipped workflow, on a real server: what is stored, what comes back, how long it takes."""

import argparse
import asyncio
import copy
import io
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sdc_pack import codec
from sdc_pack.nodes.comparison import sheet
from sdc_pack.nodes.comparison.entries import Comparison, Entry, compare
from sdc_pack.nodes.tiny import install

from . import images, models
from .client import ComfyError, TimedRun
from .environment import SetupError, say
from .server import Server
from .tables import Table

REPO = Path(__file__).resolve().parent.parent
SLOW_SIDE = 1024

# Node classes and outputs that say what an image below them is.
ROLES = {
    ("SDCRegenerate", 0): "regenerated",
    ("SDCRegenerate", 1): "decoded",
    ("SDCDecode", 0): "decoded",
    ("SDCRegenerateCanny", 0): "regenerated",
    ("SDCRegenerateCanny", 1): "edges",
    ("Canny", 0): "edges",
    ("SDCLatentQuantize", 1): "decoded",
    ("SDCSave", 1): "decoded",
    ("SDCLoad", 0): "decoded",
    ("LoadImage", 0): "original",
}
STAGES = {
    "CheckpointLoaderSimple": "load",
    "ControlNetLoader": "load",
    "SDCLoadTinyModels": "load",
    "VAEEncode": "encode",
    "SDCLatentQuantize": "quantize",
    "SDCDDIMInvert": "invert",
    "SDCRegenerateCanny": "regenerate",
    "SDCRegenerate": "regenerate",
}
OTHER = "other"
LOADED = {"checkpoint": ("ckpt_name", "checkpoints"), "controlnet": ("control_net_name", "controlnet")}
ENDS = ("decoded", "regenerated")


def main(arguments: list[str], settings: dict) -> int:
    parser = argparse.ArgumentParser(prog="run.py demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="default: a photograph that is at hand")
    parser.add_argument("--output", type=Path, default=Path("sdc-demo"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--steps", type=int, metavar="N", help="fewer steps are faster (default: as in the workflow)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="a real SD 1.x checkpoint")
    parser.add_argument("--controlnet", type=Path, metavar="FILE", help="a real Canny ControlNet for it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--workflow", type=Path, metavar="FILE", help="another one with the same nodes, in API format")
    options = parser.parse_args(arguments)
    shipped = "sdc_full_pipeline.json" if options.checkpoint else "sdc_demo_tiny.json"
    options.workflow = options.workflow or REPO / "workflows" / "api" / shipped
    for path in (*options.images, options.checkpoint, options.controlnet, options.workflow):
        if path and not path.is_file():
            parser.error(f"there is no file {path}")
    if (options.checkpoint is None) != (options.controlnet is None):
        parser.error("--checkpoint and --controlnet go together: a ControlNet serves the models it was made for")
    if options.steps is not None and options.steps < 1:
        parser.error("--steps must be 1 or more")
    try:
        return run({**settings, **vars(options)}, models.prepare(), install.NAMES)
    except (ComfyError, ValueError) as error:
        raise SetupError(str(error)) from error


def run(settings: dict, models: Path, tiny: dict[str, str]) -> int:
    output = Path(settings["output"])
    output.mkdir(parents=True, exist_ok=True)
    shipped, workflow = load_prompt(Path(settings["workflow"]))
    with tempfile.TemporaryDirectory(prefix="sdc-demo-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        found = find_images([Path(path) for path in settings["images"]], base)
        # Input of a loader -> name of the model given for it, which is found in its own folder.
        own = {name: Path(settings[name]).resolve() for name in ("checkpoint", "controlnet") if settings.get(name)}
        given = {LOADED[name][0]: path.name for name, path in own.items()}
        places = [models, {LOADED[name][1]: str(path.parent) for name, path in own.items()}]
        say("Starting ComfyUI")
        with Server(Path(settings["comfyui"]), Path(sys.executable), pack=REPO, models=places, base=base) as server:
            object_info = server.client.object_info()
            say(f"Results go to {output}; earlier ones of the same name are replaced.")
            rows = []
            for name, path in found.items():
                prompt = copy.deepcopy(shipped)
                say(f"\n{name} ({path})")
                uploaded = server.client.upload(path)
                for line in swap(prompt, object_info, uploaded, given, tiny, settings.get("steps")):
                    say(f"  {line}")
                rows.append(process(server, prompt, workflow, name, path, output))
    for table in tables(rows):
        say("\n" + table.text())
    if settings.get("json"):
        Path(settings["json"]).parent.mkdir(parents=True, exist_ok=True)
        put(Path(settings["json"]), json.dumps(rows, indent=1).encode())
    if any(row["tiny"] for row in rows):
        say("The models were the small ones that come with the pack; real ones are taken as")
        say("--checkpoint FILE --controlnet FILE")
    return 0


def load_prompt(path: Path) -> tuple[dict, dict | None]:
    """A workflow in API format, and the graph for the page that belongs to it: for api/NAME, the NAME beside api."""
    try:
        prompt = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(prompt, dict) or not all(isinstance(n, dict) and "class_type" in n for n in prompt.values()):
        raise SetupError(
            f"{path} is not in API format. Open the workflow in ComfyUI and choose Export (API) in its menu; the "
            "shipped ones are in workflows/api."
        )
    graph = path.parent.parent / path.name
    has_graph = path.parent.name == "api" and graph.is_file()
    return prompt, json.loads(graph.read_text(encoding="utf-8")) if has_graph else None


def find_images(paths: list[Path], folder: Path) -> dict[str, Path]:
    """Check that every image can be read, and give each a name of its own for its results."""
    if not paths:
        import skimage.data

        # Eileen Collins, photographed by NASA: in the public domain and part of scikit-image.
        paths = [folder / "astronaut.png"]
        Image.fromarray(skimage.data.astronaut()).save(paths[0])
    found: dict[str, Path] = {}
    for path in paths:
        height, width, _ = images.load_rgb(path).shape
        if min(width, height) < 64:
            raise SetupError(f"{path} is {width}x{height}; the demo needs at least 64 pixels a side.")
        if max(width, height) > SLOW_SIDE:
            say(f"{path.name} is {width}x{height}: without a graphics card this will take long.")
        name, number = path.stem, 2
        while name in found:
            name, number = f"{path.stem}-{number}", number + 1
        found[name] = path.resolve()
    return found


def swap(prompt: dict, object_info: dict, image: str, given: dict, tiny: dict, steps: int | None) -> list[str]:
    """Put this machine's files into a prompt, and the number of steps if asked; nothing else. Return what was done."""
    wanted: dict[str, object] = dict(given)
    if not given and not has_models(prompt, object_info):
        wanted = {LOADED[kind][0]: name for kind, name in tiny.items()}
    if steps is not None:
        wanted["steps"] = steps
    lines = []
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            new = image if (node["class_type"], name) == ("LoadImage", "image") else wanted.get(name, value)
            if new != value and not isinstance(value, list):
                node["inputs"][name] = new
                lines.append(f"swapped {node['class_type']} (node {node_id}) {name}: {value} -> {new}")
    return lines


def has_models(prompt: dict, object_info: dict) -> bool:
    """Whether the server has every model file that the workflow names."""
    for node in prompt.values():
        for name in {"ckpt_name", "control_net_name"} & node["inputs"].keys():
            kind, *options = object_info[node["class_type"]]["input"]["required"][name]
            if node["inputs"][name] not in (kind if isinstance(kind, list) else options[0]["options"]):
                return False
    return True


def process(server: Server, prompt: dict, workflow: dict | None, name: str, path: Path, output: Path) -> dict:
    """Run one image, write its results, return its figures."""
    timed = TimedRun(server.client, {node_id: stage(prompt, node_id) for node_id in prompt})
    files = collect(prompt, asyncio.run(timed.run(prompt, workflow)))
    for wanted in ("sdc", *ENDS):
        if wanted not in files:
            raise SetupError(f"The workflow shows no {wanted} image: found {', '.join(files) or 'nothing'}.")
    contents = {kind: server.client.view(file) for kind, file in files.items()}
    for kind in contents.keys() - {"original"}:
        put(output / (f"{name}.sdc" if kind == "sdc" else f"{name}_{kind}.png"), contents[kind])
    size = len(contents["sdc"])
    # As the workflow has scaled it, where it shows that.
    original = decoded_image(contents["original"]) if "original" in contents else images.load_rgb(path)
    compared = beside(original, {kind: contents[kind] for kind in ENDS}, size)
    drawn = io.BytesIO()
    Image.fromarray(sheet.draw_sheet(compared)).save(drawn, "PNG")
    put(output / f"{name}_side_by_side.png", drawn.getvalue())
    return {
        "image": name,
        "tiny": any(
            node["class_type"] == "SDCLoadTinyModels" or "sdc-tiny" in str(node["inputs"]) for node in prompt.values()
        ),
        "bytes": size,
        "bpp": 8 * size / (original.shape[0] * original.shape[1]),
        **{entry.name: figures(entry) for entry in compared.entries},
        "seconds": timed.seconds,
    }


def put(path: Path, content: bytes):
    """In the place of an earlier result, which stays until this one is whole."""
    codec.write_whole(path, content, overwrite=True)


def beside(original: np.ndarray, files: dict[str, bytes], size: int) -> Comparison:
    """Images beside the part of the original that was stored: VAE Encode trims to multiples of 8 about the center."""
    shown = {name: decoded_image(content) for name, content in files.items()}
    entries = [Entry(name, pixels, size) for name, pixels in shown.items()]
    return compare(images.crop(original, 0), entries, [], None, None, lambda: None)


def decoded_image(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def figures(entry: Entry) -> dict[str, float | None]:
    """None where a figure has no finite value, which JSON has no word for."""
    return {key: value if math.isfinite(value := entry.figures[key]) else None for key in ("ssim", "psnr")}


def tables(rows: list[dict]) -> list[Table]:
    lines = []
    for row in rows:
        quality = [(row[of][key], form) for of in ENDS for key, form in (("ssim", ".3f"), ("psnr", ".2f"))]
        quality = ["inf" if value is None else format(value, form) for value, form in quality]
        lines.append([row["image"], str(row["bytes"]), f"{row['bpp']:.3f}", *quality])
    header = ["", "bytes", "bpp", *(f"{metric} {of}" for of in ENDS for metric in ("SSIM", "PSNR"))]
    stages = list(dict.fromkeys(stage for row in rows for stage in row["seconds"]))
    stages.sort(key=lambda stage: stage == OTHER)
    times = [[row["image"], *(f"{row['seconds'].get(stage, 0):.1f}" for stage in stages)] for row in rows]
    return [Table("Figures", header, lines), Table("Seconds", ["", *stages], times)]


def collect(prompt: dict, outputs: dict) -> dict[str, dict]:
    """The files that a finished prompt shows, by what they are."""
    files: dict[str, dict] = {}
    for node_id, shown in outputs.items():
        for entries in shown.values():
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and "filename" in entry:
                    is_sdc = entry["filename"].endswith(".sdc")
                    files.setdefault("sdc" if is_sdc else role(prompt, node_id) or "other", entry)
    files.pop("other", None)
    return files


def role(prompt: dict, node_id: str) -> str | None:
    """What the image is that a node shows or makes: the nearest node above it that tells."""
    queue, seen = [node_id], set()
    while queue:
        for value in prompt[queue.pop(0)]["inputs"].values():
            if isinstance(value, list):
                origin, slot = value
                if found := ROLES.get((prompt[origin]["class_type"], slot)):
                    return found
                if origin not in seen:
                    seen.add(origin)
                    queue.append(origin)
    return None


def stage(prompt: dict, node_id: str) -> str:
    kind = prompt[node_id]["class_type"]
    if kind == "VAEDecode":
        return "decode again" if role(prompt, node_id) == "regenerated" else "decode"
    return STAGES.get(kind, OTHER)
