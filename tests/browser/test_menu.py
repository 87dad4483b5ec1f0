"""Compress with SDC and Decode with SDC in the nodes' menu, and finding nodes by what people type."""

import pytest

from dev.random_models import NAMES as RANDOM_MODELS

from .comfy_page import SHOWN
from .conftest import BOTH

TINY = "The tiny models of the pack"
COMPRESSED = {
    ("VAEEncode", "SDCLatentQuantize", "latent"),
    ("SDCLatentQuantize", "SDCSave", "sdc"),
    ("LoadImage", "SDCLatentQuantize", "image"),
    ("LoadImage", "SDCSave", "image"),
    ("SDCSave", "SDCDecode", "sdc"),
    ("SDCDecode", "PreviewImage", "images"),
}


def from_loaders(loader: str) -> set[tuple]:
    vae = {(loader, kind, "vae") for kind in ("VAEEncode", "SDCLatentQuantize", "SDCDecode")}
    return {("LoadImage", "VAEEncode", "pixels"), *vae}


def links(page) -> set[tuple]:
    """(from type, to type, input name) of every link."""
    found = page.run(
        """() => [...app.graph.links.values()].map(l => { const to = app.graph.getNodeById(l.target_id)
               return [app.graph.getNodeById(l.origin_id).type, to.type, to.inputs[l.target_slot].name] })"""
    )
    return {tuple(link) for link in found}


@pytest.mark.front_ends(*BOTH)
def test_compress_adds_wires_and_shows_the_result(page):
    """Beside what is there; without a VAE in the graph it asks for the model, and by Esc adds nothing."""
    page.add("Note", (500, 200))
    node = page.add("LoadImage", (100, 200))
    page.menu(node, "Compress with SDC")
    page.page.get_by_role("dialog").wait_for()
    page.page.keyboard.press("Escape")
    page.page.get_by_role("dialog").wait_for(state="detached")
    assert len(page.nodes("LoadImage", "Note", "VAEEncode")) == 2
    page.menu(node, "Compress with SDC")
    page.answer(TINY)
    page.wait_for_nodes(8)
    assert links(page) == COMPRESSED | from_loaders("SDCLoadTinyModels")
    (quantize,), (save,) = page.nodes("SDCLatentQuantize"), page.nodes("SDCSave")
    assert page.value(quantize, "latent_format") == "auto"  # asks the VAE when it is run
    assert page.value(quantize, "preset") == "best"  # nothing regenerates
    page.settle()
    assert page.overlaps() == []
    page.execute()
    assert "smaller than example.png" in page.status(save, "preset best")
    if not page.is_vue():
        page.wait(SHOWN)
        page.settle()
        assert page.overlaps() == []


@pytest.mark.front_ends(*BOTH)
def test_decode_shows_a_file_and_its_sampler_is_rebuilt_from_what_is_inside(page, sdc_file, input_folder):
    made = {"prompt": "a fox", "negative": "text", "seed": 7, "steps": 3, "cfg": 2.0, "sampler": "heun"}
    made |= {"scheduler": "simple", "model": RANDOM_MODELS["checkpoint"]}
    sdc_file("made.sdc", input_folder, **made)
    node = page.add("SDCLoad", (100, 200), file="made.sdc")
    page.status(node, "96x64")
    page.menu(node, "Decode with SDC")
    page.wait_for_nodes(3)
    assert links(page) == {("SDCLoad", "SDCDecode", "sdc"), ("SDCDecode", "PreviewImage", "images")}
    page.menu(node, "Rebuild the sampler")
    page.wait_for_nodes(10)
    outputs = page.execute()
    page.settle()
    assert page.overlaps() == []
    assert all(outputs[str(preview)]["images"] for preview in page.nodes("PreviewImage"))
    (loader,) = page.nodes("CheckpointLoaderSimple")
    assert page.value(loader, "ckpt_name") == RANDOM_MODELS["checkpoint"]
    told = {(widget, kind) for _, kind, widget in links(page) if kind in ("KSampler", "CLIPTextEncode")}
    assert told >= {(name, "KSampler") for name in ("seed", "steps", "cfg", "sampler_name", "scheduler")}


def test_compress_takes_the_vae_that_is_there_and_the_image_that_is_shown(canvas_page):
    page = canvas_page
    image, preview = page.add("LoadImage", (100, 200)), page.add("ImageCompare", (500, 200))
    page.add("CheckpointLoaderSimple", (100, 600))
    page.add("VAELoader", (500, 600))
    page.connect(image, "IMAGE", preview, "image_a")
    page.menu(preview, "Compress with SDC")
    page.wait_for_nodes(9)
    vae = {("VAELoader", "VAEEncode", "vae"), ("VAELoader", "SDCLatentQuantize", "vae")}
    assert links(page) >= COMPRESSED | {("LoadImage", "VAEEncode", "pixels")} | vae


def test_compress_takes_the_vae_that_has_made_the_image(canvas_page):
    """With checkpoints of two latent formats on the canvas, only this one can be right."""
    page = canvas_page
    page.add("VAELoader", (100, 700))
    other, own = page.add("CheckpointLoaderSimple", (100, 100)), page.add("CheckpointLoaderSimple", (100, 400))
    decode, scale = page.add("VAEDecode", (500, 200)), page.add("ImageScaleToTotalPixels", (800, 200))
    page.connect(own, "VAE", decode, "vae")
    page.connect(decode, "IMAGE", scale, "image")
    page.menu(scale, "Compress with SDC")
    page.wait_for_nodes(10)
    (encode,), (quantize,) = page.nodes("VAEEncode"), page.nodes("SDCLatentQuantize")
    source = "([id, name]) => { const n = sdc.node(id); return n.getInputNode(n.findInputSlot(name)).id }"
    assert page.run(source, [encode, "vae"]) == page.run(source, [quantize, "vae"]) == own != other


@pytest.mark.front_ends(*BOTH)
def test_where_the_vae_comes_from_outside_the_user_is_asked_for_the_latent_format(page):
    image, encode = page.add("LoadImage", (100, 200)), page.add("VAEEncode", (500, 200))
    page.connect(image, "IMAGE", encode, "pixels")
    loader = page.add("CheckpointLoaderSimple", (100, 600))
    page.connect(loader, "VAE", encode, "vae")
    page.run(
        """ids => { const { node } = app.graph.convertToSubgraph(new Set(ids.map(sdc.node)))
                    app.canvas.openSubgraph(node.subgraph, node) }""",
        [image, encode],
    )
    page.settle()
    try:
        page.menu(encode, "Compress with SDC")
        page.answer("SDXL")
        page.wait(
            """() => app.canvas.graph.nodes.find(n => n.type === 'SDCLatentQuantize')
                ?.widgets.find(w => w.name === 'latent_format').value === 'SDXL'"""
        )
    finally:
        page.run("() => app.canvas.setGraph(app.rootGraph ?? app.graph)")


def test_compress_from_vae_encode(canvas_page):
    page = canvas_page
    image, encode = page.add("LoadImage", (100, 200)), page.add("VAEEncode", (500, 200))
    page.connect(image, "IMAGE", encode, "pixels")
    page.menu(encode, "Compress with SDC")
    page.answer(RANDOM_MODELS["checkpoint"])
    page.wait_for_nodes(7)
    assert links(page) == COMPRESSED | from_loaders("CheckpointLoaderSimple")
    assert page.value(*page.nodes("CheckpointLoaderSimple"), "ckpt_name") == RANDOM_MODELS["checkpoint"]


def test_a_node_without_an_image_has_no_such_item(canvas_page):
    page, node = canvas_page, canvas_page.add("KSamplerSelect")
    page.settle()
    page.page.mouse.click(*page.point_on(node), button="right")
    page.page.get_by_text("Properties Panel").first.wait_for()
    assert page.page.get_by_text("Compress with SDC").count() == 0
    page.page.keyboard.press("Escape")


@pytest.mark.front_ends(*BOTH)
def test_search_finds_what_people_type(canvas_page):
    page = canvas_page
    found_by = {
        "SD Latent Quantize": ["compress", "codec", "small", "jpeg"],
        "Save SDC": ["compress", "codec", "small", "jpeg"],
        "Load SDC": ["decompress"],
        "DDIM Invert": ["invert", "unsample"],
    }
    search = page.open_search()
    for node, words in found_by.items():
        for word in words:
            search.fill("no node is called this")
            page.page.get_by_text(node, exact=True).first.wait_for(state="detached")
            search.fill(word)
            page.page.get_by_text(node, exact=True).first.wait_for()
    page.page.keyboard.press("Escape")
