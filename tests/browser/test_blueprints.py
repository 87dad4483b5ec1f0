"""The subgraph blueprints, found in the node search and added with one click."""

import pytest

BLUEPRINTS = {
    "SDC Compress": {"VAEEncode", "SDCLatentQuantize", "SDCSave"},
    "SDC Decompress + Regenerate": {"SDCLoad", "CLIPTextEncode", "SDCDDIMInvert", "SDCRegenerateCanny", "VAEDecode"},
}


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_is_added_from_the_search(canvas_page, name):
    page = canvas_page
    search = page.open_search()
    search.fill(name)
    page.page.get_by_text(name, exact=True).first.wait_for()
    search.press("Enter")
    page.wait("() => app.graph.nodes.length === 1")
    added = page.run("() => { const [n] = app.graph.nodes; return [n.title, n.subgraph.nodes.map(x => x.type)] }")
    assert added[0] == name and set(added[1]) == BLUEPRINTS[name]
