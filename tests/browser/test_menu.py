"""Compress with SDC in the nodes' menu, and finding nodes by what people type."""


def links(page) -> set[tuple]:
    """(from type, to type, input name) of every link."""
    found = page.run(
        """() => [...app.graph.links.values()].map(l => { const to = app.graph.getNodeById(l.target_id)
               return [app.graph.getNodeById(l.origin_id).type, to.type, to.inputs[l.target_slot].name] })"""
    )
    return {tuple(link) for link in found}


COMPRESSED = {
    ("VAEEncode", "SDCLatentQuantize", "latent"),
    ("SDCLatentQuantize", "SDCSave", "sdc"),
    ("LoadImage", "SDCLatentQuantize", "image"),
    ("LoadImage", "SDCSave", "image"),
}


def test_compress_adds_and_wires_the_nodes(page):
    node = page.add("LoadImage", (100, 200))
    page.menu(node, "Compress with SDC")
    page.wait("() => app.graph.nodes.length === 5")
    page.toast("For another model choose its latent_format")
    assert links(page) == COMPRESSED | {
        ("LoadImage", "VAEEncode", "pixels"),
        ("CheckpointLoaderSimple", "VAEEncode", "vae"),
    }


def test_compress_takes_the_vae_that_is_there_and_the_picture_that_is_shown(canvas_page):
    page = canvas_page
    picture, preview = page.add("LoadImage", (100, 200)), page.add("ImageCompare", (500, 200))
    page.add("CheckpointLoaderSimple", (100, 600))
    page.add("VAELoader", (500, 600))
    page.connect(picture, "IMAGE", preview, "image_a")
    page.menu(preview, "Compress with SDC")
    page.wait("() => app.graph.nodes.length === 7")
    assert links(page) >= COMPRESSED | {("LoadImage", "VAEEncode", "pixels"), ("VAELoader", "VAEEncode", "vae")}


def test_compress_from_vae_encode(canvas_page):
    page = canvas_page
    picture, encode = page.add("LoadImage", (100, 200)), page.add("VAEEncode", (500, 200))
    page.connect(picture, "IMAGE", encode, "pixels")
    page.menu(encode, "Compress with SDC")
    page.wait("() => app.graph.nodes.length === 4")
    assert links(page) == COMPRESSED | {("LoadImage", "VAEEncode", "pixels")}


def test_a_node_without_a_picture_has_no_such_item(canvas_page):
    page, node = canvas_page, canvas_page.add("KSamplerSelect")
    page.settle()
    page.page.mouse.click(*page.point_on(node), button="right")
    page.page.get_by_text("Properties Panel").first.wait_for()
    assert page.page.get_by_text("Compress with SDC").count() == 0
    page.page.keyboard.press("Escape")


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
