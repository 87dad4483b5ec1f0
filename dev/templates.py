"""Saves the shipped workflows anew through a real page: `python run.py templates [NAME ...]`.

workflows/NAME.json is the source: open it in ComfyUI, change it, save it there. This command then loads it into the
page, writes it as the front end serializes it, without what belongs to one session, and beside it what the page would
submit (workflows/api/NAME.json). A named one that is in THUMBNAILS is also run with the tiny models, for its image.
NAME is what the page shows as the title of a template: it knows no other.
"""

import contextlib
import io
import json
import re
import shutil
import sys
import tempfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps
from playwright.sync_api import sync_playwright
from sdc_pack import codec

from . import browser, models
from .demo import swap
from .environment import SetupError, say
from .server import Server

REPO = Path(__file__).resolve().parents[1]
WORKFLOWS = REPO / "workflows"
VERSION = re.search(r'^version = "(.+)"$', (REPO / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
SAMPLES = REPO / "web" / "sample"
TINY = {"ckpt_name": "sdc-tiny.safetensors", "control_net_name": "sdc-tiny-canny.safetensors"}
TIMEOUT = 240_000  # ms: the machine may be busy
SIDE, FOOTER_HEIGHT, LABEL_HEIGHT, FONT_SIZE = 512, 40, 26, 17
BACKGROUND, FOREGROUND = (24, 26, 30), (235, 235, 235)


@dataclass(frozen=True)
class Thumbnail:
    """Which previews of a workflow its image shows, by label ("{size}" is that of the file), in how many columns."""

    previews: dict[str, str]  # label -> title of the node
    footer: str
    columns: int = 2
    settings: dict = field(default_factory=dict)  # for the tiny models, where those of the workflow are for big ones
    only: tuple[str, ...] = ()  # classes of the nodes that run; all where there are none
    after: str = ""  # another workflow, which makes the files that it opens
    crop: tuple[float, float, float, float] = (0, 0, 1, 1)  # of each preview: left, top, right, bottom
    folded: bool = False  # the right half below the left one
    whole: bool = False  # show all of it, with bars at the sides, instead of filling its place


PACK = "by the small models of the pack"
HELD = "What the file holds"
SETTINGS = "What the file says about the image"  # stands for the title of a preview
SHOWN_SETTINGS = ("prompt", "negative", "seed", "steps", "cfg", "sampler", "scheduler", "model")
PARTIAL = {"strength": 0.15, "steps": 13, "canny_strength": 1.0}
ROWS = (0, 0.12, 1, 0.71)  # of the sheet of SDC Compare: the images, and the zoom
COMPRESSED = ("LoadImage", "SDCScaleDown", "VAEEncode", "SDCLatentQuantize", "SDCSave")
FAMILIES = {"SDXL": "SDXL", "SD3": "SD 3.5", "Flux": "Flux", "Z-Image": "Z-Image", "Qwen-Image": "Qwen-Image"}
# Labels stand below the images: the page paints a badge over the upper left corner.
THUMBNAILS = {
    "SDC Demo": Thumbnail(
        {"original · SDC, {size} · the smallest JPEG": "Original, SDC, and JPEG of the same size"},
        f"start here · {PACK}", columns=1, crop=ROWS,
    ),
    "SDC Remove Artifacts": Thumbnail(
        {"original · decoded from {size} · regenerated": "Original, decoded and regenerated"},
        f"remove artifacts · {PACK}", columns=1, crop=ROWS,
    ),
    "SDC Compress an Image": Thumbnail(
        {"original": "Original", "from {size}": "What the file holds"}, f"compress · {PACK}",
    ),
    "SDC Open and Regenerate": Thumbnail(
        {"600x400 from 3.1 kB": "What the file holds"}, f"open a .sdc file · {PACK}", columns=1,
    ),
    "SDC Compress a Folder": Thumbnail(
        {"a file of each": "What the files hold"}, f"your output folder in one go · {PACK}", columns=1,
        settings={"columns": 2}, whole=True,
    ),
    "SDC Regenerate a Folder": Thumbnail(
        {"what is in a folder": "What is in the folder"}, f"open a whole folder · {PACK}", columns=1,
        settings={"columns": 2, "pattern": "folder/*.sdc"}, only=("SDCLoadFolder", "SDCContactSheet", "PreviewImage"),
        after="SDC Compress a Folder", whole=True,
    ),
    "SDC Save and Resample": Thumbnail(
        {"an image in {size}": "2 · What the file holds", "and how it was made": SETTINGS},
        f"a generated image and its settings · {PACK}", settings={"width": 320, "height": 512},
    ),
    "SDC Keep a Part Finer": Thumbnail(
        {"without a mask": "Without the mask", "finer where it was painted": "With the mask"},
        "a part kept finer, at the same size",
    ),
    "SDC Full Pipeline": Thumbnail(
        {
            "original": "1 · Original", "64 colors, {size}": "2 · Decoded from the .sdc file",
            "edges": "3 · Edges that hold it in place", "regenerated": "4 · Regenerated",
        },
        "the paper, step by step · by small models, strength 0.15", settings=PARTIAL,
    ),
    "SDC Compare Settings": Thumbnail(
        {f"{strength} · {canny}": f"strength {strength} · canny {canny}"
         for canny in ("0.3", "1") for strength in ("0.15", "0.3", "0.6")},
        f"strength and canny, side by side · {PACK}", columns=3, settings={"megapixels": 0.1, "steps": 20},
    ),
    "SDC Compare with JPEG and AVIF": Thumbnail(
        {"original, decoded, regenerated · JPEG, WebP, AVIF of {size}": "Table 1"},
        "the paper's Table 1 · by small models, strength 0.15", columns=1, settings=PARTIAL, crop=ROWS, folded=True,
    ),
    "SDC Regenerate with Stock Nodes": Thumbnail(
        {"Regenerate with Canny": "Regenerate with Canny", "stock nodes": "Stock nodes"},
        f"the same from stock nodes · {PACK}",
        settings={"canny_strength": 1.0, "strength": 1.0, "steps": 20, "megapixels": 0.1},
    ),
    "SDC Change the Prompt": Thumbnail(
        {"\u201ca photograph of a raccoon\u201d becomes what you write": HELD},
        "change an image with a prompt · needs SD 1.x", columns=1, only=COMPRESSED,
    ),
    **{
        # Best stores all of them through the small VAE of the pack, so this is what the file holds.
        f"SDC with {name}": Thumbnail({"original": "Original", "from {size}": HELD}, f"with {title}", only=COMPRESSED)
        for name, title in FAMILIES.items()
    },
}  # fmt: skip


def main(names: list[str], settings: dict) -> int:
    shipped = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
    if unknown := set(names) - set(shipped):
        raise SetupError(f"There is no workflow {', '.join(sorted(unknown))}; there are {', '.join(shipped)}.")
    with open_page(settings) as (page, server):
        for name in names or shipped:
            source = WORKFLOWS / f"{name}.json"
            load(page, json.loads(source.read_text(encoding="utf-8")))
            write(source, serialize(page))
            write(WORKFLOWS / "api" / source.name, submitted(page))
            if name in names and name in THUMBNAILS:  # which takes minutes
                thumbnail = THUMBNAILS[name]
                if thumbnail.after:
                    run_tiny(thumbnail.after, {}, server)
                found = run_tiny(name, thumbnail.settings, server, thumbnail.only)
                draw(thumbnail, found).save(WORKFLOWS / f"{name}.jpg", quality=88)
            say(name)
    return 0


@contextlib.contextmanager
def open_page(settings: dict):
    """(Playwright's page, Server): ComfyUI with the tiny models and the sample image, all of it gone afterwards."""
    chromium = browser.find_or_install()
    with tempfile.TemporaryDirectory(prefix="sdc-templates-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        (base / "input").mkdir()
        for image in (*SAMPLES.glob("*.jpg"), *SAMPLES.glob("*.webp")):
            shutil.copy(image, base / "input")
        (base / "input" / "sdc_sample").mkdir()
        for image in SAMPLES.glob("*.jpg"):
            shutil.copy(image, base / "input" / "sdc_sample")
        say("Starting ComfyUI")
        with (
            Server(
                settings["comfyui"], Path(sys.executable), pack=REPO, models=[models.prepare()], base=base
            ) as server,
            sync_playwright() as playwright,
        ):
            options = {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": False}
            options |= {"LiteGraph.Canvas.MaximumFps": 10, "Comfy.Minimap.Visible": False}  # or drawing takes a core
            server.client.request("/settings", json.dumps(options).encode())
            launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = launched.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(TIMEOUT)
            page.goto(server.url)
            page.wait_for_function("() => window.app?.canvas && LiteGraph.registered_node_types.SDCSave")
            page.wait_for_function("() => app.graph.nodes.length")  # the default workflow comes last
            yield page, server


def load(page, workflow: dict):
    page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
    page.wait_for_timeout(500)  # what our scripts ask the server about files comes in


def serialize(page) -> dict:
    # As text: what is undefined, Playwright would turn into null, which the front end's own schema refuses.
    workflow = json.loads(page.evaluate("() => JSON.stringify(app.graph.serialize())"))
    # Without where the view was, and which versions; what App mode shows stays.
    workflow["extra"] = {key: workflow["extra"][key] for key in ("linearData",) if key in workflow["extra"]}
    for node in workflow["nodes"]:
        if node["type"].startswith("SDC"):
            node["properties"] |= {"cnr_id": "comfyui-sdc", "ver": VERSION}
    return workflow


def submitted(page) -> dict:
    """The workflow in API format."""
    return json.loads(page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).output)"))


def write(path: Path, content: dict):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def run_tiny(name: str, values: dict, server: Server, only: tuple[str, ...] = ()) -> dict:
    """Run a workflow with the tiny models and `values` in all widgets of these names; with nodes of `only` if given.

    Returns title of a preview -> its image, and "bytes": those of the file that was written.
    """
    prompt = json.loads((WORKFLOWS / "api" / f"{name}.json").read_text(encoding="utf-8"))
    if only == COMPRESSED:
        prompt = compressed_alone(prompt)
    elif only:
        prompt = {node_id: node for node_id, node in prompt.items() if node["class_type"] in only}
    swap(prompt, TINY | values)
    found: dict = {}
    for node_id, output in server.client.run(prompt).items():
        for file in output.get("files", []):
            if file["filename"].endswith(".sdc"):
                content = server.client.view(file)
                metadata = codec.load(content).metadata
                found["bytes"] = len(content)
                if metadata.keys() >= set(SHOWN_SETTINGS):
                    found[SETTINGS] = written(metadata)
        if output.get("images") and prompt[node_id]["class_type"] in ("PreviewImage", "SaveImage"):
            content = server.client.view(output["images"][0])
            found[prompt[node_id]["_meta"]["title"]] = Image.open(io.BytesIO(content)).convert("RGB")
    return found


def written(metadata: dict) -> Image.Image:
    """Values of a file's metadata as an image of half a thumbnail, each with its name above it."""
    width, height = SIDE // 2 - 4, SIDE - FOOTER_HEIGHT - LABEL_HEIGHT - 2
    sheet = Image.new("RGB", (width, height), (38, 44, 54))
    pen, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(15), 14
    for name in SHOWN_SETTINGS:
        lines = textwrap.wrap(str(metadata[name]), 26)
        pen.text((14, top), name, (150, 170, 205), font)
        pen.text((14, top + 19), "\n".join(lines), FOREGROUND, font)
        top += 19 * (1 + len(lines)) + 10
    return sheet


def compressed_alone(prompt: dict) -> dict:
    """The nodes of COMPRESSED with the small VAE of the pack, and previews of the original and of the file."""
    kept = {node_id: node for node_id, node in prompt.items() if node["class_type"] in COMPRESSED}
    (scale,), (save,) = (
        [node_id for node_id, node in kept.items() if node["class_type"] == kind]
        for kind in ("SDCScaleDown", "SDCSave")
    )
    for node in kept.values():
        if "vae" in node["inputs"]:
            node["inputs"]["vae"] = ["tiny", 2]
    nodes = {
        "tiny": ("SDCLoadTinyModels", {}, ""),
        "decode": ("SDCDecode", {"sdc": [save, 0], "vae": ["tiny", 2]}, ""),
        "original": ("PreviewImage", {"images": [scale, 0]}, "Original"),
        "held": ("PreviewImage", {"images": ["decode", 0]}, HELD),
    }
    return kept | {
        name: {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
        for name, (kind, inputs, title) in nodes.items()
    }


def draw(thumbnail: Thumbnail, found: dict) -> Image.Image:
    """The previews with their labels below them, in a grid, and the footer below all."""
    rows = -(-len(thumbnail.previews) // thumbnail.columns)
    width, height = SIDE // thumbnail.columns, (SIDE - FOOTER_HEIGHT) // rows
    sheet = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    for number, (label, title) in enumerate(thumbnail.previews.items()):
        label = label.format(size=f"{found.get('bytes', 0) / 1000:.1f} kB")
        left, top = number % thumbnail.columns * width, number // thumbnail.columns * height
        size = found[title].size
        part = found[title].crop([round(share * size[side % 2]) for side, share in enumerate(thumbnail.crop)])
        if thumbnail.folded:
            part = fold(part)
        room = width - 4, height - LABEL_HEIGHT - 2
        whole = thumbnail.whole or thumbnail.crop != (0, 0, 1, 1)  # what was cropped already is shown whole
        shown = ImageOps.pad(part, room, color=BACKGROUND) if whole else ImageOps.fit(part, room)
        sheet.paste(shown, (left + 2, top + 2))
        middle = top + height - LABEL_HEIGHT // 2
        pen.text((left + 6, middle), label, FOREGROUND, font(width, label), anchor="lm")
    pen.text((SIDE // 2, SIDE - FOOTER_HEIGHT // 2), thumbnail.footer, FOREGROUND, font(SIDE, thumbnail.footer), "mm")
    return sheet


def fold(image: Image.Image) -> Image.Image:
    """Its right half below its left one."""
    half = image.width // 2
    folded = Image.new("RGB", (half, 2 * image.height))
    for number in range(2):
        folded.paste(image.crop((number * half, 0, (number + 1) * half, image.height)), (0, number * image.height))
    return folded


def font(room: int, text: str) -> ImageFont.FreeTypeFont:
    """As large as fits."""
    width = ImageFont.load_default(FONT_SIZE).getlength(text)
    return ImageFont.load_default(min(FONT_SIZE, max(9, int(FONT_SIZE * (room - 12) / width))))
