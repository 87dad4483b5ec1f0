"""What the chosen preset, or auto_strength, does not use is grayed; what Vue nodes show at first is what matters."""

import pytest

from .conftest import BOTH

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
    names = page.run("id => sdc.node(id).widgets.filter(w => w.disabled).map(w => w.name)", node)
    return {name for name in names if name in set().union(*GRAY.values())}  # the seed has a second widget


@pytest.mark.front_ends(*BOTH)
def test_what_a_preset_does_not_use_is_grayed(page):
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
    page.add("SDCLatentQuantize", preset="custom", colors=16)
    page.set(*page.nodes("SDCLatentQuantize"), "preset", "paper")
    node = page.reload()
    assert grayed(page, node) == GRAY["paper"] and page.value(node, "colors") == 16


@pytest.mark.front_ends(*BOTH)
def test_strength_is_grayed_while_it_is_found_automatically(canvas_page):
    page = canvas_page
    gray = "id => sdc.widget(id, 'strength').disabled"
    for kind in ("SDCRegenerate", "SDCDDIMInvert"):
        node = page.add(kind)
        for automatic in (True, False, True):
            page.set(node, "auto_strength", automatic)
            assert page.run(gray, node) == automatic
        page.clear()


def test_what_only_custom_uses_is_under_advanced(canvas_page):
    """Vue nodes hide it until somebody asks."""
    node = canvas_page.add("SDCLatentQuantize")
    advanced = "id => sdc.node(id).widgets.filter(w => w.options.advanced || w.advanced).map(w => w.name)"
    hidden = set(canvas_page.run(advanced, node))
    assert hidden >= {"colors", "dither", "dither_strength", "precision"}
    assert not hidden & {"preset", "bits_per_pixel", "max_bytes", "quality"}
