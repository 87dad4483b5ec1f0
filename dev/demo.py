"""Pictures through the shipped workflow, on a real server: what is stored, what comes back, how long it takes."""

import asyncio
import io
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

from . import report
from .environment import SetupError, say
from .progress import OTHER, Progress
from .prompt import to_prompt
from .server import Server, link_file

REPO = Path(__file__).resolve().parent.parent
SLOW_SIDE = 1024

# Node classes that say what a picture below them is; SDCRegenerateCanny's second output is its edges.
ROLES = {
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
    "VAEEncode": "encode",
    "SDCLatentQuantize": "quantise",
    "SDCDDIMInvert": "invert",
    "SDCRegenerateCanny": "regenerate",
}


def run(settings: dict, models: Path, tiny: dict[str, str]) -> int:
    output = Path(settings["output"])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sdc-demo-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        pictures = find_pictures([Path(path) for path in settings["pictures"]], base)
        workflow = json.loads(Path(settings["workflow"]).read_text(encoding="utf-8"))
        given = real_models(settings, base)
        say("Starting ComfyUI")
        with Server(Path(settings["comfyui"]), Path(sys.executable), pack=REPO, models=[models], base=base) as server:
            object_info = server.client.object_info()
            say(f"Results go to {output}; earlier ones of the same name are replaced.")
            rows = []
            for name, path in pictures.items():
                prompt = to_prompt(workflow, object_info)
                say(f"\n{name} ({path})")
                uploaded = server.client.upload(path)
                for line in swap(prompt, object_info, uploaded, given, tiny, settings.get("steps")):
                    say(f"  {line}")
                rows.append(process(server, prompt, workflow, name, path, output))
    say("\n" + report.table(rows))
    if settings.get("json"):
        Path(settings["json"]).parent.mkdir(parents=True, exist_ok=True)
        Path(settings["json"]).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if any(row["tiny"] for row in rows):
        say("\nThe models were the small ones that come with the pack; real ones are taken as")
        say("--checkpoint FILE --controlnet FILE")
    return 0


def find_pictures(paths: list[Path], folder: Path) -> dict[str, Path]:
    """Check that every picture can be read, and give each a name of its own for its results."""
    if not paths:
        import skimage.data

        # Eileen Collins, photographed by NASA: in the public domain and part of scikit-image.
        paths = [folder / "astronaut.png"]
        Image.fromarray(skimage.data.astronaut()).save(paths[0])
    pictures: dict[str, Path] = {}
    for path in paths:
        try:
            with Image.open(path) as image:
                image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise SetupError(f"{path} cannot be read as a picture: {error}") from None
        if min(image.size) < 64:
            raise SetupError(f"{path} is {image.width}x{image.height}; the demo needs at least 64 pixels a side.")
        if max(image.size) > SLOW_SIDE:
            say(f"{path.name} is {image.width}x{image.height}: without a graphics card this will take long.")
        name, number = path.stem, 2
        while name in pictures:
            name, number = f"{path.stem}-{number}", number + 1
        pictures[name] = path.resolve()
    return pictures


def real_models(settings: dict, base: Path) -> dict[str, str]:
    """Make the models of --checkpoint and --controlnet visible to the server; input name -> file name."""
    given = {}
    for option, input_name, folder in (
        ("checkpoint", "ckpt_name", "checkpoints"),
        ("controlnet", "control_net_name", "controlnet"),
    ):
        if settings.get(option):
            path = Path(settings[option]).resolve()
            link_file(path, base / "models" / folder / path.name)
            given[input_name] = path.name
    return given


def swap(prompt: dict, object_info: dict, image: str, given: dict, tiny: dict, steps: int | None) -> list[str]:
    """Put this machine's files into a prompt, and the number of steps if asked; nothing else. Return what was done."""
    wanted: dict[str, object] = dict(given)
    if not given and not has_models(prompt, object_info):
        wanted = {"ckpt_name": tiny["checkpoint"], "control_net_name": tiny["controlnet"]}
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


def process(server: Server, prompt: dict, workflow: dict, name: str, path: Path, output: Path) -> dict:
    """Run one picture, write its results, return its figures."""
    progress = Progress(server.client, {node_id: stage(prompt, node_id) for node_id in prompt})
    outputs = asyncio.run(progress.run(prompt, workflow))
    files = collect(prompt, outputs)
    for role in ("sdc", "decoded", "edges", "regenerated"):
        if role not in files:
            raise SetupError(f"The workflow shows no {role} picture: found {', '.join(files) or 'nothing'}.")
    targets = {role: output / (f"{name}.sdc" if role == "sdc" else f"{name}_{role}.png") for role in files}
    contents = {role: server.client.view(file) for role, file in files.items()}
    for role in files.keys() - {"original"}:
        targets[role].write_bytes(contents[role])
    images = {role: Image.open(io.BytesIO(data)).convert("RGB") for role, data in contents.items() if role != "sdc"}
    with Image.open(path) as opened:
        images["original"] = ImageOps.exif_transpose(opened).convert("RGB")
    report.side_by_side(images, len(contents["sdc"])).save(output / f"{name}_side_by_side.png")
    return {
        "picture": name,
        "tiny": any("sdc-tiny" in str(value) for node in prompt.values() for value in node["inputs"].values()),
        "bytes": len(contents["sdc"]),
        "bpp": 8 * len(contents["sdc"]) / (images["original"].width * images["original"].height),
        "decoded": report.compare(images["original"], images["decoded"]),
        "regenerated": report.compare(images["original"], images["regenerated"]),
        "seconds": progress.seconds,
    }


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
    """What the picture is that a node shows or makes: the nearest node above it that tells."""
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
