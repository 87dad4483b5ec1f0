"""The shipped workflows in the page: listed, opened in both renderers, run, canceled."""

import functools

import pytest

from dev.random_models import NAMES as RANDOM_MODELS

from .comfy_page import SHOWN
from .conftest import BOTH, NEWEST, ROOT, shipped

WORKFLOWS = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
# One after another those that load the same models, which the server keeps from run to run.
BY_MODELS = sorted(WORKFLOWS, key=lambda name: [n["type"] for n in shipped(name)["nodes"] if "Load" in n["type"]])
TALLER = 24  # pixels by which a line more or less on a node may change it
MAX_LINES = 180  # pixels of all the lines that a node ever shows at once
TITLE = 64  # with the gap above it
OPEN = """async name => {
    const workflow = await (await app.api.fetchApi(`/workflow_templates/comfyui-sdc/${name}.json`)).json()
    await app.loadGraphData(workflow, true, true, name) // as Browse Templates does
    return { scale: app.canvas.ds.scale, size: [app.graph.nodes.length, app.graph.links.size],
             missing: app.graph.nodes.filter(n => !LiteGraph.registered_node_types[n.type]).map(n => n.type) }
}"""


@pytest.fixture(autouse=True)
def small_files(sdc_file, input_folder):
    """In the place of the sample, which takes ten times as long; tests/workflows opens that one."""
    output = input_folder.parent / "output" / "SDC"
    output.mkdir(exist_ok=True)
    for folder in (input_folder, output):
        sdc_file("small.sdc", folder, prompt="waves")


def use_random_models(page, steps):
    """Put this machine's models and small images into the opened workflow, as its user would."""
    page.run(
        """settings => { for (const node of app.graph.nodes) for (const widget of node.widgets ?? [])
               { const value = settings[`${node.type}.${widget.name}`] ?? settings[widget.name]
                 if (value && !widget.disabled) { widget.value = value; widget.callback?.(value) } } }""",
        {
            "SDCLoad.file": "small.sdc",
            "SDCLoadFolder.limit": 2,
            "KSampler.steps": 1,  # it has no pair to complete, and its image is 512x512
            "ckpt_name": RANDOM_MODELS["checkpoint"],
            "control_net_name": RANDOM_MODELS["controlnet"],
            "steps": steps,
            "megapixels": 0.01,
            "width": 128,
            "height": 96,
            "bits_per_pixel": 2.0,  # noise of the random models takes more than an image
        },
    )


@functools.cache
def inputs_of(server) -> dict[str, set[str]]:
    """The names of inputs of every node."""
    object_info = server.client.object_info()
    return {kind: {name for part in info["input"].values() for name in part} for kind, info in object_info.items()}


def check_prompt(page, name: str):
    """What the page would submit is what workflows/api holds: else `run.py templates` has to write it anew."""
    known = inputs_of(page.server)

    def settled(prompt: dict) -> dict:
        """Without titles, which ComfyUI words anew now and then, and widgets that only the front end knows."""
        return {
            node_id: (kind := node["class_type"], {k: v for k, v in node["inputs"].items() if k in known[kind]})
            for node_id, node in prompt.items()
        }

    submitted = page.run("async () => (await app.graphToPrompt()).output")
    assert settled(submitted) == settled(shipped(f"api/{name}"))


def check_sizes(page, name: str):
    """Nodes are as large as they were when the workflow was laid out, after a run."""
    sizes = page.run("() => Object.fromEntries(app.graph.nodes.map(n => [n.id, [...n.size]]))")
    changed = []
    for node in shipped(name)["nodes"]:
        folder = (name, node["type"]) == ("SDC Regenerate a Folder", "SDCRegenerate")  # has a line for every file
        wide, tall = (now - laid for now, laid in zip(sizes[str(node["id"])], node["size"], strict=True))
        if abs(wide) > 1 or abs(tall) > (MAX_LINES if folder else TALLER):
            changed.append((node["id"], node["type"], wide, tall))
    assert changed == []


@pytest.mark.front_ends(*BOTH)
@pytest.mark.parametrize("name", BY_MODELS)
def test_a_template_opens_whole_and_without_overlaps(page, name, front_end):
    """In a window of 1600x1000. The newest front end's classic canvas then runs it, and nodes keep their sizes."""
    workflow = shipped(name)
    opened = page.run(OPEN, name)
    scale = opened.pop("scale")
    assert opened == {"size": [len(workflow["nodes"]), len(workflow["links"])], "missing": []}
    assert page.toasts().all_inner_texts() == []  # no error of the schema
    page.settle()
    if page.is_vue():
        overlaps = page.overlaps()
        notes = {node["title"] for node in workflow["nodes"] if node["type"] == "MarkdownNote"}
        if page.is_old and overlaps and all(title in notes and height < TITLE for title, _, height in overlaps):
            pytest.skip("this front end gives notes taller lines, so that one reaches into the title below it")
        assert overlaps == []
        return
    assert scale >= 0.6  # from here on the canvas shows titles, widgets and notes
    check_prompt(page, name)
    # Of models in files of their own, tests/nodes/test_family_templates.py alone has random ones.
    if front_end != NEWEST or any(node["type"] == "UNETLoader" for node in workflow["nodes"]):
        return
    use_random_models(page, steps=4)  # of which strength 0.6 leaves the two that the exact pair needs
    page.execute()
    page.wait(SHOWN)
    page.settle()
    assert page.overlaps() == []
    check_sizes(page, name)


@pytest.mark.front_ends(*BOTH)
def test_browse_templates_begins_with_the_demo(canvas_page):
    page = canvas_page
    page.open_templates()
    page.page.get_by_text("SDC Compare with JPEG and AVIF", exact=True).last.wait_for()
    titles = page.page.locator("h3", has_text="SDC ").all_inner_texts()
    assert sorted(titles) == WORKFLOWS and titles[:3] == [
        "SDC Demo",
        "SDC Compress an Image",
        "SDC Open and Regenerate",
    ]
    page.page.keyboard.press("Escape")


@pytest.mark.front_ends(*BOTH)
def test_the_full_pipeline_runs_to_its_images(page):
    if page.is_vue():  # the list of templates is the same for both renderers
        page.run(OPEN, "SDC Full Pipeline")
    else:
        page.open_template("SDC Full Pipeline")
    use_random_models(page, steps=4)
    (quantize,), (save,) = page.nodes("SDCLatentQuantize"), page.nodes("SDCSave")
    page.set(quantize, "seed", 1 + page.is_vue())  # nothing of an earlier run is reused
    outputs = page.execute()
    text = page.status(save, "smaller than")
    assert "colors" in text and page.images(save) == [[120, 88]]
    assert page.status(quantize, "colors")
    shown = page.nodes("PreviewImage", "SaveImage")
    assert len(shown) == 4 and all(outputs[str(node)]["images"] for node in shown)
    page.wait("ids => ids.every(id => (app.nodeOutputs[id] ?? app.getNodeOutputs?.(id))?.images?.length)", shown)


@pytest.mark.front_ends(*BOTH)
def test_cancel_stops_a_run(canvas_page):
    page = canvas_page
    page.load(shipped("SDC Full Pipeline"))
    use_random_models(page, steps=1000)
    page.set(page.nodes("SDCLatentQuantize")[0], "seed", 77)
    page.run(
        """() => { window.stopped = undefined
                  app.api.addEventListener('execution_interrupted', event => { window.stopped = event.detail }) }"""
    )
    (invert,) = page.nodes("SDCDDIMInvert")
    page.queue()
    page.wait("id => app.runningNodeId == id", invert)
    page.page.get_by_role("button", name="Cancel current run").click()
    page.wait("() => window.stopped?.node_type === 'SDCDDIMInvert'")
    page.wait_until_idle()
