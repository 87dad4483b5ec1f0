"""Makes the images of README and of the contact sheet's help page anew: `python run.py images [NAME ...]`.

A NAME is that of a file without its ending: `espresso` for docs/espresso.jpg.
"""

import io
import json
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae

from . import templates
from .environment import SetupError, say
from .server import Server
from .templates import REPO, WORKFLOWS

DOCS = REPO / "docs"
# Part of scikit-image, and free of rights: a cup by Rachel Michetti (CC0), Eileen Collins by NASA (public domain).
PHOTOGRAPHS = {"espresso": skimage.data.coffee, "astronaut": skimage.data.astronaut}
GAP, LABEL_SIZE = 8, 20

LOAD_AND_SAVE = """() => {
    app.graph.clear()
    const [load, save] = ['SDCLoad', 'SDCSave'].map((type, number) => {
        const node = LiteGraph.createNode(type)
        node.pos = [60 + 420 * number, 80]
        app.graph.add(node)
        return node
    })
    const set = (node, name, value) => { node.widgets.find(widget => widget.name === name).value = value }
    set(load, 'file', 'sample: espresso.sdc')
    set(save, 'prompt', 'an espresso on a wooden table')
    load.connect(load.outputs.findIndex(output => output.type === 'SDC'), save, save.findInputSlot('sdc'))
}"""
RUN = """async () => {
    const ends = ['execution_success', 'execution_error', 'execution_interrupted']
    const ended = Promise.race(ends.map(name => new Promise(resolve =>
        app.api.addEventListener(name, () => resolve(name), { once: true }))))
    if (!(await app.queuePrompt(0))) return JSON.stringify(app.lastNodeErrors)
    return ended
}"""
IMAGES_LOADED = """() => { const images = [...document.querySelectorAll('[data-node-id] img')]
    return images.length === 2 && images.every(image => image.naturalWidth > 1) }"""
# Around what lies on the canvas, without the page's own bars.
FRAME = """() => {
    const boxes = [...document.querySelectorAll('[data-node-id]')].map(node => node.getBoundingClientRect())
    const [left, top] = [Math.min(...boxes.map(b => b.left)) - 20, Math.min(...boxes.map(b => b.top)) - 20]
    return { x: left, y: top, width: Math.max(...boxes.map(b => b.right)) + 20 - left,
             height: Math.max(...boxes.map(b => b.bottom)) + 20 - top }
}"""


def main(names: list[str], settings: dict) -> int:
    made = dict.fromkeys(PHOTOGRAPHS, photograph)
    made |= {"SDCContactSheet": contact_sheet, "full_pipeline": demo_in_the_page, "load_and_save": load_and_save}
    if unknown := set(names) - made.keys():
        raise SetupError(f"There is no image {', '.join(sorted(unknown))}; there are {', '.join(made)}.")
    with templates.open_page(settings) as (page, server):
        for name in names or made:
            say(f"{made[name](name, page, server)}")
    return 0


def photograph(name: str, _page, server: Server) -> Path:
    """docs/NAME.jpg: a photograph, and what the file that SDC Compress an Image writes of it holds."""
    source = server.base / f"{name}.png"
    Image.fromarray(PHOTOGRAPHS[name]()).save(source)
    found = templates.run_tiny("SDC Compress an Image", {"image": server.client.upload(source)}, server)
    original, decoded = found["Original"], found["What the file holds"]
    sheet = Image.new("RGB", (2 * original.width + GAP, original.height), "white")
    pen, font = ImageDraw.Draw(sheet, "RGBA"), ImageFont.load_default(LABEL_SIZE)
    labels = "original", f"from a file of {found['bytes']} bytes"
    for x, image, label in zip((0, original.width + GAP), (original, decoded), labels, strict=True):
        sheet.paste(image, (x, 0))
        left, top, right, bottom = pen.textbbox((x + 8, 6), label, font)
        pen.rectangle((left - 8, top - 6, right + 8, bottom + 6), (0, 0, 0, 150))
        pen.text((x + 8, 6), label, "white", font)
    path = DOCS / f"{name}.jpg"
    sheet.save(path, quality=88, comment=f"{found['bytes']} bytes")  # for the test that README says the same
    return path


def contact_sheet(name: str, _page, server: Server) -> Path:
    """web/docs/images/SDCContactSheet.jpg, of files in a folder."""
    folder = server.base / "input" / "images"
    folder.mkdir()
    for file in ("astronaut", "chelsea", "coffee", "rocket"):
        small = Image.fromarray(getattr(skimage.data, file)())
        small.thumbnail((256, 256))
        latent = tiny_vae.encode_pixels(np.asarray(small))
        encoded = codec.encode([latent], quality=55, width=small.width, height=small.height)[0]
        (folder / f"{file}.sdc").write_bytes(encoded.data)
    values = {"place": "input", "folder": folder.name, "columns": 4}
    only = "SDCLoadFolder", "SDCContactSheet", "PreviewImage"
    found = templates.run_tiny("SDC Regenerate a Folder", values, server, only)
    path = REPO / "web" / "docs" / "images" / f"{name}.jpg"
    found["What is in the folder"].save(path, quality=88)
    return path


def demo_in_the_page(name: str, page, _server: Server) -> Path:
    """docs/full_pipeline.png: SDC Demo after a run."""
    templates.load(page, json.loads((WORKFLOWS / "SDC Demo.json").read_text(encoding="utf-8")))
    run(page)
    page.keyboard.press("Escape")
    page.keyboard.press(".")  # fit the view
    page.wait_for_timeout(1500)
    return shoot(name, page)


def load_and_save(name: str, page, _server: Server) -> Path:
    """docs/load_and_save.png: the two nodes with the sample, as the page's newer renderer draws them."""
    page.evaluate(LOAD_AND_SAVE)
    run(page)
    page.evaluate("() => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    page.wait_for_function(IMAGES_LOADED)
    page.wait_for_timeout(3000)  # the nodes take their sizes
    path = shoot(name, page, clip=page.evaluate(FRAME))
    page.evaluate("() => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    return path


def shoot(name: str, page, **settings) -> Path:
    """A screenshot as docs/NAME.png, in 256 colors: a third of the bytes, which every installation loads."""
    path = DOCS / f"{name}.png"
    shown = Image.open(io.BytesIO(page.screenshot(**settings))).convert("RGB")
    shown.quantize(256).save(path, optimize=True)
    return path


def run(page):
    """Run what is open, as long as it takes."""
    ended = page.evaluate(RUN)
    if ended != "execution_success":
        raise RuntimeError(ended)
    page.wait_for_timeout(1500)  # previews and lines appear
