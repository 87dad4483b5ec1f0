"""SD Latent Quantize grays what the chosen preset does not go by."""

import pytest

GRAY = {
    "best": {"colors", "dither", "dither_strength", "seed"},
    "fine": {"colors", "dither", "dither_strength", "bits_per_pixel", "max_bytes", "quality"},
    "clean": {"colors", "dither", "dither_strength", "bits_per_pixel", "max_bytes", "quality"},
    "paper": {"colors", "dither", "dither_strength", "bits_per_pixel", "max_bytes", "quality"},
    "custom": {"bits_per_pixel", "max_bytes", "quality"},
}


def grayed(page, node: int) -> set[str]:
    """Names of the widgets that are grayed where they are drawn."""
    page.settle()
    names = page.run("id => app.graph.getNodeById(id).widgets.filter(w => w.disabled).map(w => w.name)", node)
    return {name for name in names if name in set().union(*GRAY.values())}  # the seed has a second widget


def test_what_a_preset_does_not_go_by_is_grayed(page):
    node = page.add("SDCLatentQuantize")
    assert grayed(page, node) == GRAY["best"]  # the preset that a new node has
    for preset, names in GRAY.items():
        page.set(node, "preset", preset)
        assert grayed(page, node) == names
    if page.is_vue():  # on the screen: nothing can be typed into what is grayed
        box = page.page.locator(f'[data-node-id="{node}"]')
        page.set(node, "preset", "paper")
        page.wait("id => document.querySelector(`[data-node-id='${id}'] :disabled`)", node)
        assert box.locator("input:disabled").count() >= 1


def test_a_workflow_opens_with_its_settings_grayed_and_kept(page):
    node = page.add("SDCLatentQuantize")
    page.set(node, "preset", "custom")
    page.set(node, "colors", 16)
    page.set(node, "preset", "paper")
    workflow = page.run("() => app.graph.serialize()")
    page.clear()
    page.run("workflow => app.loadGraphData(workflow)", workflow)
    (node,) = page.nodes("SDCLatentQuantize")
    assert grayed(page, node) == GRAY["paper"] and page.value(node, "colors") == 16


@pytest.mark.parametrize("values", [["custom", 64, "none", 1, 0, "fixed", "SD1.x"]])
def test_a_workflow_from_before_the_presets_loads(canvas_page, values):
    page = canvas_page
    node = page.add("SDCLatentQuantize")
    workflow = page.run("() => app.graph.serialize()")
    workflow["nodes"][0]["widgets_values"] = values
    page.clear()
    page.run("workflow => app.loadGraphData(workflow)", workflow)
    (node,) = page.nodes("SDCLatentQuantize")
    settings = ("preset", "colors", "dither", "dither_strength", "seed", "latent_format")
    assert [page.value(node, name) for name in settings] == [*values[:5], values[6]]
    assert grayed(page, node) == GRAY["custom"]
