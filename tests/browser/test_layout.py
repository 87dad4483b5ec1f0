"""Every template after a run, as it opens in a window of 1600x1000: nodes have the sizes that it was laid out by."""

import json

import pytest

from .conftest import ROOT
from .test_workflows import WORKFLOWS, open_template, use_standins

TALLER = 24  # pixels by which a line more or less on a node may change it
LINES = 180  # all that a node ever shows at once


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nodes_keep_their_sizes_when_they_are_run(canvas_page, name):
    page = canvas_page
    page.page.set_viewport_size({"width": 1600, "height": 1000})
    try:
        open_template(page, name)
        assert page.run("() => app.canvas.ds.scale") >= 0.6
        use_standins(page, steps=2)
        page.queue()
        page.wait_until_idle()
        page.settle()
        page.page.keyboard.press(".")  # fit the view
        page.page.wait_for_timeout(1000)  # pictures are fetched and drawn
        assert page.overlaps() == []
        shipped = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        sizes = page.run("() => Object.fromEntries(app.graph.nodes.map(n => [n.id, [...n.size]]))")
        changed = []
        for node in shipped["nodes"]:
            folder = (name, node["type"]) == ("sdc_folder_to_folder", "SDCRegenerate")  # tells about every file
            wide, tall = (now - laid for now, laid in zip(sizes[str(node["id"])], node["size"], strict=True))
            if abs(wide) > 1 or abs(tall) > (LINES if folder else TALLER):
                changed.append((node["id"], node["type"], wide, tall))
        assert changed == []
    finally:
        page.shoot(f"{name} after a run")
        page.page.set_viewport_size({"width": 1600, "height": 900})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nodes_drawn_by_vue_do_not_lie_on_each_other(page, name):
    if not page.is_vue():
        pytest.skip("seen above, after a run")
    open_template(page, name)
    page.settle()
    assert page.overlaps() == []
