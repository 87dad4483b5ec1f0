"""A sketch in the page: built there, run with small models, laid out by what it has become, and saved."""

import itertools
import json
import re
from pathlib import Path

from .sketch import Sketch

IDS = itertools.count(1000, 1000)  # a range for each: the page keeps the values of nodes that it had under their ids
REPO = Path(__file__).resolve().parents[2]
VERSION = re.search(r'^version = "(.+)"$', (REPO / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
TITLE, GAP, BAND_GAP, PADDING = 30, 40, 70, 20
SMALL = {
    "megapixels": 0.01,
    "width": 128,
    "height": 96,
    "bits_per_pixel": 0.5,
    "ckpt_name": "sdc-tiny.safetensors",
    "control_net_name": "sdc-tiny-canny.safetensors",
    "steps": 8,
}

BUILD = """async ([nodes, first]) => {
    app.graph.clear()
    app.graph.last_node_id = first
    app.graph.last_link_id = first
    const made = {}
    for (const { id, type, title, widgets, width, height } of nodes) {
        const node = LiteGraph.createNode(type)
        if (!node) throw new Error(`no node ${type}`)
        app.graph.add(node)
        made[id] = node
        if (title) node.title = title
        const left = { ...widgets }
        for (const widget of node.widgets ?? [])
            if (type === 'MarkdownNote' || widget.name in left) {
                const value = type === 'MarkdownNote' ? widgets.text : left[widget.name]
                widget.value = value
                widget.callback?.(value)
                delete left[type === 'MarkdownNote' ? 'text' : widget.name]
            }
        if (Object.keys(left).length) throw new Error(`${type} has no ${Object.keys(left)}`)
        if (type === 'MarkdownNote') [node.color, node.bgcolor] = ['#432', '#653']
        node.setSize([width, height ?? node.computeSize()[1]])
    }
    for (const { id, inputs } of nodes)
        for (const [name, [from, output]] of Object.entries(inputs)) {
            const to = made[id], source = made[from]
            const named = o => o.name === output || o.type === output
            const slot = Number.isInteger(output) ? output : output === null ? 0 : source.outputs.findIndex(named)
            const input = to.findInputSlot(name)
            if (input < 0 || slot < 0 || !source.connect(slot, to, input))
                throw new Error(`${source.type} ${output} -> ${to.type}.${name}`)
        }
    for (const { id, collapsed } of nodes) if (collapsed) made[id].flags.collapsed = true
    return Object.fromEntries(Object.entries(made).map(([id, node]) => [id, node.id]))
}"""

# A note is as high as its text, which takes a quarter more room where Vue draws it. Other nodes are as after a run.
MEASURE = """async () => {
    app.canvas.ds.scale = 1
    app.canvas.draw(true, true)
    await new Promise(done => setTimeout(done, 500))
    for (const node of app.graph.nodes.filter(n => n.type === 'MarkdownNote')) {
        const text = node.widgets[0].element.querySelector('.tiptap') ?? node.widgets[0].element
        const copy = text.cloneNode(true)
        copy.style.cssText = 'position: absolute; visibility: hidden; height: auto; min-height: 0'
        copy.style.width = `${node.size[0] - 20}px`
        text.parentElement.append(copy)
        node.setSize([node.size[0], Math.ceil(1.25 * copy.scrollHeight) + 34])
        copy.remove()
    }
    return Object.fromEntries(app.graph.nodes.map(node => [node.id, [...node.size]]))
}"""

ARRANGE = """([places, groups]) => {
    for (const node of app.graph.nodes) [node.pos, node.size] = [places[node.id].slice(0, 2), places[node.id].slice(2)]
    for (const [title, box] of groups) {
        const group = new LiteGraph.LGraphGroup(title)
        group.bounding = box
        group._bounding?.set?.(box)
        app.graph.add(group)
    }
}"""

RUN = """async values => {
    window.sdcRan = undefined
    for (const name of ['execution_success', 'execution_error', 'execution_interrupted'])
        app.api.addEventListener(name, event => { window.sdcRan = { name, detail: event.detail } }, { once: true })
    const kept = []
    for (const node of app.graph.nodes) for (const widget of node.widgets ?? [])
        if (widget.name in values && !widget.disabled) {
            kept.push([node.id, widget.name, widget.value])
            widget.value = values[widget.name]
        }
    window.sdcKept = kept
    if (!(await app.queuePrompt(0))) window.sdcRan = { name: 'refused', detail: app.lastNodeErrors }
}"""

RESTORE = """() => {
    for (const [id, name, value] of window.sdcKept)
        app.graph.getNodeById(id).widgets.find(widget => widget.name === name).value = value
}"""


class Board:
    """A page of ComfyUI (Playwright's) on a server that has the small models."""

    def __init__(self, page, url: str):
        self.page, self.url = page, url

    def open(self):
        """A page without a workflow; the first time it is loaded."""
        if self.page.url.startswith(self.url):
            self.page.evaluate("() => app.extensionManager.command.execute('Comfy.NewBlankWorkflow')")
            return
        self.page.goto(self.url)
        self.page.wait_for_function("() => window.app?.canvas && LiteGraph.registered_node_types.SDCSave")
        self.page.wait_for_function("() => app.graph.nodes.length")
        self.page.evaluate("() => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")

    def make(self, sketch: Sketch, small: dict) -> tuple[dict, dict]:
        """The workflow and its API format. It has been run, with `small` in place of the values of widgets."""
        self.open()
        ids = self.page.evaluate(BUILD, [described(sketch), next(IDS)])
        # What an earlier template has computed would not be told again, and its nodes would stay without their lines.
        self.page.request.post(f"{self.url}/free", data={"free_memory": True})
        self.run(small)
        sizes = self.page.evaluate(MEASURE)
        places, groups = lay_out(sketch, {int(key): sizes[str(value)] for key, value in ids.items()})
        self.page.evaluate(ARRANGE, [{ids[str(key)]: place for key, place in places.items()}, groups])
        self.page.evaluate(RESTORE)
        workflow = clean(
            self.page.evaluate("() => app.graph.serialize()"), sketch, {int(v): int(k) for k, v in ids.items()}
        )
        return workflow, self.prompt_of(workflow)

    def run(self, small: dict, patience: float = 240_000):
        self.page.evaluate(RUN, small)
        self.page.wait_for_function("() => window.sdcRan", timeout=patience)
        ended = self.page.evaluate("() => window.sdcRan")
        if ended["name"] != "execution_success":
            raise RuntimeError(json.dumps(ended)[:2000])
        self.page.wait_for_timeout(1500)  # previews and lines appear

    def prompt_of(self, workflow: dict) -> dict:
        """What the page submits for a workflow."""
        self.open()
        self.page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
        self.page.wait_for_timeout(500)
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def shoot(self, path: Path):
        """Run what is open with small models and take an image of it, as a template opens."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press(".")
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=path)


def described(sketch: Sketch) -> list[dict]:
    """The nodes of a sketch, as BUILD takes them."""
    return [
        {
            "id": node.id,
            "type": node.type,
            "title": node.title,
            "widgets": node.widgets,
            "width": node.width,
            "height": node.height,
            "collapsed": node.collapsed,
            "inputs": {name: [source.id, output] for name, (source, output) in node.inputs.items()},
        }
        for node in sketch.nodes
    ]


def lay_out(sketch: Sketch, sizes: dict[int, list[float]]) -> tuple[dict[int, list[float]], list]:
    """[x, y, width, height] of every node, and (title, box) of every group."""
    places: dict[int, list[float]] = {}
    top = 0.0
    for band in sketch.bands:
        left, bottom = 0.0, top
        for column in band:
            y, right = top, left
            for node in column:
                width, height = sizes[node.id]
                places[node.id] = [round(left), round(y), round(width), round(height)]
                y += (0 if node.collapsed else height) + TITLE + GAP
                right = max(right, left + width)
            left, bottom = right + GAP, max(bottom, y - GAP)
        top = bottom + BAND_GAP
    groups = []
    for title, members in sketch.groups:
        boxes = [places[node.id] for node in members]
        x, y = (min(box[axis] for box in boxes) - PADDING for axis in (0, 1))
        right, bottom = (max(box[axis] + box[axis + 2] for box in boxes) + PADDING for axis in (0, 1))
        y -= 2 * TITLE
        groups.append((title, [x, y + 10, right - x, bottom - y - 10]))
    return places, groups


def clean(graph: dict, sketch: Sketch, ids: dict[int, int]) -> dict:
    """The page's workflow with the sketch's own ids, and nothing of the session in which it was made."""
    by_id = {node.id: node for node in sketch.nodes}
    links = {link[0]: number for number, link in enumerate(graph["links"], 1)}
    for node in graph["nodes"]:
        node["id"] = ids[int(node["id"])]
        for slot in node.get("inputs", []):
            slot["link"] = links.get(slot.get("link"))
        for slot in node.get("outputs", []):
            slot["links"] = [links[link] for link in slot.get("links") or []] or None
        if node["type"].startswith("SDC"):
            node["properties"] |= {"cnr_id": "comfyui-sdc", "ver": VERSION}
        if download := by_id[node["id"]].download:
            node["properties"]["models"] = [download]
    graph["nodes"].sort(key=lambda node: node["id"])
    graph["links"] = [
        [links[link[0]], ids[int(link[1])], link[2], ids[int(link[3])], *link[4:]] for link in graph["links"]
    ]
    graph["last_node_id"], graph["last_link_id"] = len(graph["nodes"]), len(graph["links"])
    graph["extra"] = {}
    return graph
