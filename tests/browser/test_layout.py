"""Every template as it opens in a window of 1600x1000, and after a run: nodes keep the sizes it was laid out by."""

import json

import pytest

from .conftest import ROOT
from .test_workflows import WORKFLOWS, open_template, use_random_models

TALLER = 24  # pixels by which a line more or less on a node may change it
LINES = 180  # all that a node ever shows at once
TITLE = 64  # with the gap above it
WATCH = """() => {
    window.sdcFailures = []
    app.api.addEventListener('execution_error', event => window.sdcFailures.push(event.detail.exception_message))
}"""


def check_prompt(page, name: str):
    """What the page would submit is what workflows/api holds. It is left beside the screenshots, to be copied there."""
    object_info = page.server.client.object_info()

    def settled(prompt: dict) -> dict:
        """Without titles, which ComfyUI words anew now and then, and widgets that only the front end knows."""
        known = {kind: {name for part in info["input"].values() for name in part} for kind, info in object_info.items()}
        return {
            node_id: (
                node["class_type"],
                {name: value for name, value in node["inputs"].items() if name in known[node["class_type"]]},
            )
            for node_id, node in prompt.items()
        }

    made = page.run("async () => (await app.graphToPrompt()).output")
    (page.screenshots / f"{name}.json").write_text(json.dumps(made, indent=2), encoding="utf-8")
    shipped = json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))
    assert settled(made) == settled(shipped)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_template_opens_whole_and_its_nodes_keep_their_sizes_when_they_are_run(canvas_page, name):
    page = canvas_page
    shipped = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    page.page.set_viewport_size({"width": 1600, "height": 1000})
    try:
        open_template(page, name)
        assert page.run("() => app.canvas.ds.scale") >= 0.6
        assert page.run("() => [app.graph.nodes.length, app.graph.links.size]") == [
            len(shipped["nodes"]), len(shipped["links"]),
        ]  # fmt: skip
        missing = "app.graph.nodes.filter(node => !LiteGraph.registered_node_types[node.type]).map(node => node.type)"
        assert page.run(f"() => {missing}") == []
        check_prompt(page, name)
        use_random_models(page, steps=4)  # of which strength 0.6 leaves the two that the exact pair needs
        page.run(WATCH)
        page.queue()
        page.wait_until_idle()
        page.settle()
        page.page.keyboard.press(".")  # fit the view
        page.page.wait_for_timeout(1000)  # images are fetched and drawn
        assert page.run("() => window.sdcFailures") == [] == page.overlaps()
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
def test_nodes_drawn_by_vue_do_not_lie_on_each_other(vue_page, name):
    page = vue_page
    shipped = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    page.run("workflow => app.loadGraphData(workflow)", shipped)
    page.settle()
    lying = page.overlaps()
    notes = {node["title"] for node in shipped["nodes"] if node["type"] == "MarkdownNote"}
    if page.is_old and lying and all(title in notes and pixels < TITLE for title, _, pixels in lying):
        pytest.skip("this front end gives notes taller lines, so that one reaches into the title below it")
    assert lying == []
