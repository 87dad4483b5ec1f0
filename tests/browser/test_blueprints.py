"""The subgraph blueprints, found in the node search, added with one click and run."""

import time

import pytest

from .conftest import BOTH

BLUEPRINTS = {
    "SDC Compress": {"VAEEncode", "SDCLatentQuantize", "SDCSave"},
    "SDC Decompress": {"CLIPTextEncode", "SDCRegenerate"},
    "SDC Decompress File": {"SDCLoad", "CLIPTextEncode", "SDCRegenerate"},
}


def add(page, name: str, position=(800, 250)) -> int:
    before = page.run("() => app.graph.nodes.length")
    search = page.open_search()
    search.fill(name)
    page.page.get_by_text(name, exact=True).first.wait_for()
    search.press("Enter")
    page.wait_for_nodes(before + 1)
    page.settle()
    page.page.mouse.move(*position)
    # It hangs on the pointer, and goes with the next search, until a click reaches the canvas behind the search.
    page.wait("([x, y]) => document.elementFromPoint(x, y)?.id === 'graph-canvas'", list(position))
    page.page.mouse.click(*position)
    page.wait("() => app.canvas.state.ghostNodeId == null")
    page.settle()
    return page.run("() => app.graph.nodes.at(-1).id")


def wire_models(page, models: int, node: int):
    for kind in ("VAE", "CLIP", "MODEL", "CONTROL_NET"):
        page.connect(models, kind, node, kind.lower())


@pytest.mark.parametrize("name", ["SDC Compress", "SDC Decompress", "SDC Decompress File"])
@pytest.mark.front_ends(*BOTH)
def test_a_blueprint_is_added_from_the_search(canvas_page, name):
    node = add(canvas_page, name)
    title, types = canvas_page.run("id => [sdc.node(id).title, sdc.node(id).subgraph.nodes.map(n => n.type)]", node)
    assert title == name and set(types) == BLUEPRINTS[name]


@pytest.mark.front_ends(*BOTH)
def test_what_the_preset_custom_needs_can_be_set_in_a_blueprint(page):
    """On its face, and nothing inside is grayed by a preset that does not count."""
    image, models = page.add("LoadImage", (100, 100)), page.add("SDCLoadTinyModels", (100, 500))
    node = add(page, "SDC Compress", (650, 200))
    page.connect(image, "IMAGE", node, "pixels")
    page.connect(models, "VAE", node, "vae")
    page.set(node, "preset", "custom")
    page.set(node, "colors", 5)
    (inner,) = page.run(
        "id => sdc.node(id).subgraph.nodes.filter(n => n.type === 'SDCLatentQuantize').map(n => n.id)", node
    )
    gray = "([id, inner]) => sdc.node(id).subgraph.getNodeById(inner).widgets.filter(w => w.disabled).map(w => w.name)"
    assert page.run(gray, [node, inner]) == []
    assert not page.run("id => sdc.node(id).widgets.filter(w => w.disabled || w.computedDisabled).length", node)
    (text,) = (shown["text"] for shown in page.execute().values() if "files" in shown)
    assert "5 colors" in text[0]


@pytest.mark.front_ends(*BOTH)
def test_what_one_blueprint_compresses_the_next_one_regenerates(page):
    """Chained by SDC."""
    if page.is_old:
        pytest.skip("this front end refuses a second subgraph in a graph: it cannot clone its Map")
    image, models = page.add("LoadImage", (100, 100)), page.add("SDCLoadTinyModels", (100, 500))
    compress = add(page, "SDC Compress", (650, 200))
    page.connect(image, "IMAGE", compress, "pixels")
    page.connect(models, "VAE", compress, "vae")
    page.set(compress, "filename_prefix", f"blueprint-{page.is_vue()}/%date:yyyy%")
    regenerate = add(page, "SDC Decompress", (1100, 200))
    wire_models(page, models, regenerate)
    page.connect(compress, "SDC", regenerate, "sdc")
    preview = page.add("PreviewImage", (1350, 300))
    page.connect(regenerate, "IMAGE", preview, "images")
    years = {time.strftime("%Y")}
    outputs = page.execute()
    (files,) = (shown["files"] for shown in outputs.values() if "files" in shown)
    years.add(time.strftime("%Y"))
    assert files[0]["filename"] in {f"{year}_00001_.sdc" for year in years}
    assert outputs[str(preview)]["images"]


def test_a_file_dropped_on_a_blueprint_is_the_one_that_it_opens(page, sdc_file, photograph):
    opened = add(page, "SDC Decompress File", (650, 200))
    page.settle()
    page.drop([sdc_file("on_blueprint.sdc")], page.point_on(opened))
    page.wait("id => sdc.widget(id, 'file').value === 'on_blueprint.sdc'", opened)
    submitted = page.run("async () => Object.values((await app.graphToPrompt()).output)")
    assert [node["inputs"]["file"] for node in submitted if node["class_type"] == "SDCLoad"] == ["on_blueprint.sdc"]
    page.drop([photograph], page.point_on(opened))  # is not for it
    page.wait_for_nodes(2)
    assert page.nodes("SDCLoad") == [] and len(page.nodes("LoadImage")) == 1
    page.forgive("/api/view?type=input")  # Load Image asks for a preview before it has sent the image


def test_the_sample_is_opened_as_it_is(canvas_page):
    page = canvas_page
    models, preview = page.add("SDCLoadTinyModels", (100, 500)), page.add("PreviewImage", (1350, 300))
    opened = add(page, "SDC Decompress File", (650, 200))
    wire_models(page, models, opened)
    page.connect(opened, "IMAGE", preview, "images")
    assert page.execute()[str(preview)]["images"]
