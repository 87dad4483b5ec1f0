"""Images of README and of Browse Templates, made anew: `python run.py images [NAME ...]`.

A NAME is that of a file without its ending: `espresso` for docs/espresso.jpg, `sdc_demo_tiny` for its thumbnail.
"""

import io
import json
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae

from ..environment import SetupError, say
from ..server import Server
from . import thumbnails
from .board import BUILD, IDS, REPO, Board, described
from .session import open_board
from .sketch import Sketch

DOCS = REPO / "docs"
TINY = {"ckpt_name": "sdc-tiny.safetensors", "control_net_name": "sdc-tiny-canny.safetensors"}
# Part of scikit-image, and free of rights: a cup by Rachel Michetti (CC0), Eileen Collins by NASA (public domain).
PHOTOGRAPHS = {"espresso": skimage.data.coffee, "astronaut": skimage.data.astronaut}
GAP, LABEL = 8, 20
# Around what lies on the canvas, without the page's own bars.
FRAME = """() => {
    const boxes = [...document.querySelectorAll('[data-node-id]')].map(node => node.getBoundingClientRect())
    const [left, top] = [Math.min(...boxes.map(b => b.left)) - 20, Math.min(...boxes.map(b => b.top)) - 20]
    return { x: left, y: top, width: Math.max(...boxes.map(b => b.right)) + 20 - left,
             height: Math.max(...boxes.map(b => b.bottom)) + 20 - top }
}"""


def main(names: list[str], settings: dict, models: Path) -> int:
    made = {
        **{name: photograph for name in PHOTOGRAPHS},
        **{name: thumbnail for name in thumbnails.SHOWN},
        "SDCContactSheet": contact_sheet,
        "full_pipeline": demo_in_the_page,
        "load_and_save": load_and_save_in_the_page,
    }
    if unknown := set(names) - made.keys():
        raise SetupError(f"There is no image {', '.join(sorted(unknown))}; there are {', '.join(made)}.")
    with open_board(settings, models) as (board, server):
        for name, make in made.items():
            if not names or name in names:
                say(f"{make(name, board, server)}")
    return 0


def photograph(name: str, _board: Board, server: Server) -> Path:
    """docs/NAME.jpg: a photograph, and what the file that sdc_compress writes of it holds."""
    source = server.base / f"{name}.png"
    Image.fromarray(PHOTOGRAPHS[name]()).save(source)
    prompt = shipped("sdc_compress", {"image": server.client.upload(source)})
    found = shown(prompt, server.client.run(prompt), server)
    original, decoded = found["Original"], found["What the file holds"]
    sheet = Image.new("RGB", (2 * original.width + GAP, original.height), "white")
    for x, image, label in (
        (0, original, "original"),
        (original.width + GAP, decoded, f"from a file of {found['bytes']} bytes"),
    ):
        sheet.paste(image, (x, 0))
        pen, font = ImageDraw.Draw(sheet, "RGBA"), ImageFont.load_default(LABEL)
        left, top, right, bottom = pen.textbbox((x + 8, 6), label, font)
        pen.rectangle((left - 8, top - 6, right + 8, bottom + 6), (0, 0, 0, 150))
        pen.text((x + 8, 6), label, "white", font)
    path = DOCS / f"{name}.jpg"
    sheet.save(path, quality=88, comment=f"{found['bytes']} bytes")  # for the test that README says the same
    return path


def thumbnail(name: str, _board: Board, server: Server) -> Path:
    """workflows/NAME.jpg: what the workflow shows after a run with the small models."""
    about = thumbnails.SHOWN[name]
    prompt = shipped(name, about.settings)
    found = shown(prompt, server.client.run(prompt), server)
    kilobytes = f"{found.get('bytes', 0) / 1000:.1f} kB"
    labeled = {label.format(size=kilobytes): found[title] for label, title in about.images.items()}
    path = REPO / "workflows" / f"{name}.jpg"
    thumbnails.draw(labeled, about.footer, about.columns).save(path, quality=88)
    return path


def contact_sheet(name: str, _board: Board, server: Server) -> Path:
    """web/docs/images/SDCContactSheet.jpg, of files in a folder."""
    folder = server.base / "input" / "images"
    folder.mkdir()
    for file in ("astronaut", "chelsea", "coffee", "rocket"):
        small = Image.fromarray(getattr(skimage.data, file)())
        small.thumbnail((256, 256))
        latent = tiny_vae.encode_pixels(np.asarray(small))
        encoded = codec.encode_learned(latent, quality=140, width=small.width, height=small.height)
        (folder / f"{file}.sdc").write_bytes(encoded.data)
    prompt = shipped("sdc_folder_to_folder", {"place": "input", "folder": folder.name, "columns": 4})
    wanted = "SDCLoadFolder", "SDCContactSheet", "PreviewImage"
    prompt = {node_id: node for node_id, node in prompt.items() if node["class_type"] in wanted}
    path = REPO / "web" / "docs" / "images" / f"{name}.jpg"
    shown(prompt, server.client.run(prompt), server)["What is in the folder"].save(path, quality=88)
    return path


def demo_in_the_page(_name: str, board: Board, _server: Server) -> Path:
    """docs/full_pipeline.png: sdc_demo_tiny after a run."""
    path = DOCS / "full_pipeline.png"
    board.prompt_of(json.loads((REPO / "workflows" / "sdc_demo_tiny.json").read_text(encoding="utf-8")))
    board.run({}, patience=1_200_000)  # at full size, on a processor that may be busy
    board.shoot(path)
    return path


def load_and_save_in_the_page(_name: str, board: Board, _server: Server) -> Path:
    """docs/load_and_save.png: the two nodes with the sample, as the page's newer renderer draws them."""
    board.open()
    sketch = Sketch("load_and_save")
    loaded = sketch.node("SDCLoad", file="sample: espresso.sdc")
    sketch.node("SDCSave", sdc=(loaded, "SDC"), prompt="an espresso on a wooden table", embed="none")
    ids = board.page.evaluate(BUILD, [described(sketch), next(IDS)])
    board.run({})
    places = {ids[str(node.id)]: [60 + 420 * number, 80] for number, node in enumerate(sketch.nodes)}
    board.page.evaluate("places => { for (const node of app.graph.nodes) node.pos = places[node.id] }", places)
    board.page.evaluate("() => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    board.page.wait_for_timeout(3000)
    path = DOCS / "load_and_save.png"
    board.page.screenshot(path=path, clip=board.page.evaluate(FRAME))
    board.page.evaluate("() => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    return path


def shipped(name: str, values: dict) -> dict:
    """A workflow in API format with the small models, and these values in every widget of their names."""
    prompt = json.loads((REPO / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))
    for node in prompt.values():
        inputs = node["inputs"]
        for key, value in {**TINY, **values}.items():
            if key in inputs and not isinstance(inputs[key], list):
                inputs[key] = value
    return prompt


def shown(prompt: dict, outputs: dict, server: Server) -> dict:
    """Title of a preview -> its image; and `bytes` of the file that was written."""
    found: dict = {}
    for node_id, output in outputs.items():
        for file in output.get("files", []):
            if file["filename"].endswith(".sdc"):
                found["bytes"] = len(server.client.view(file))
        if output.get("images") and prompt[node_id]["class_type"] in ("PreviewImage", "SaveImage"):
            content = server.client.view(output["images"][0])
            found[prompt[node_id]["_meta"]["title"]] = Image.open(io.BytesIO(content)).convert("RGB")
    return found
