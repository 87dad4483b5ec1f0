"""What tests do with ComfyUI's page, in the words of its user."""

import base64
import contextlib
import json
import mimetypes
import re
import time
from pathlib import Path

from playwright.sync_api import TimeoutError as PlaywrightTimeout

# The page asks other servers for news and for the sizes of missing models, and this one for files of the user.
UNRELATED = re.compile(
    r"net::ERR_|user\.css|userdata|Content Security Policy|Firebase|api\.comfy\.org|before initialization",
    re.IGNORECASE,
)
# The front end of ComfyUI 0.16.3 requests an icon that is not there, and reports faults in its own list of jobs and in
# its own node search.
UNRELATED_WHEN_OLD = re.compile(r"/favicon\.ico|\[Jobs API\]|Proxy\.onChange")
NEW = (1, 47)  # the front end from which on no allowance is made
TIMEOUT = 180_000  # ms: the machine may be busy
# What the pack does that the front end calls deprecated becomes an error of the console.
WATCH_DEPRECATIONS = """() => {
    LiteGraph.alwaysRepeatWarnings = true
    LiteGraph.onDeprecationWarning = [message => {
        if (new Error().stack.includes('/comfyui-sdc/')) console.error(`deprecated: ${message}`)
    }]
}"""

SHOWN = """() => app.graph.nodes.filter(node => ['PreviewImage', 'SaveImage'].includes(node.type)).every(node =>
    node.imgs?.length && node.imgs.every(image => image.naturalWidth))"""  # in the classic canvas

HELPERS = """window.sdc = {
    node: id => app.canvas.graph.getNodeById(id),
    widget: (id, name) => sdc.node(id)?.widgets?.find(widget => widget.name === name),
    status: id => sdc.widget(id, 'sdc_status')?.element,
    set: (id, name, value) => { const w = sdc.widget(id, name); w.value = value; w.callback?.(value) },
    toPage: (x, y) => { const { offset, scale } = app.canvas.ds, box = app.canvas.canvas.getBoundingClientRect()
                        return [box.x + (x + offset[0]) * scale, box.y + (y + offset[1]) * scale] },
    transfer: files => {
        const transfer = new DataTransfer()
        for (const [name, type, content] of files)
            transfer.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name, { type }))
        return transfer
    },
}"""


class ComfyPage:
    def __init__(self, page, server, screenshots: Path | None = None):
        self.page, self.server, self.screenshots = page, server, screenshots
        self.problems: list[str] = []
        self.is_old = False
        page.set_default_timeout(TIMEOUT)
        page.add_init_script(HELPERS)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("console", self.note)

    def note(self, message):
        text = f"{message.text} ({message.location.get('url', '')})"
        unrelated = UNRELATED.search(text) or (self.is_old and UNRELATED_WHEN_OLD.search(text))
        if message.type == "error" and not unrelated:
            self.problems.append(text)

    def open(self):
        self.page.goto(self.server.url)
        self.wait("() => window.app?.canvas && LiteGraph.registered_node_types.SDCSave")
        self.run(WATCH_DEPRECATIONS)
        version = self.run("() => window.__COMFYUI_FRONTEND_VERSION__")
        self.is_old = tuple(map(int, version.split(".")[:2])) < NEW
        if self.is_old:
            self.problems[:] = [problem for problem in self.problems if not UNRELATED_WHEN_OLD.search(problem)]
        # The default workflow comes a moment after the nodes.
        self.wait("() => app.graph.nodes.length")
        assert not self.problems, self.problems

    def run(self, script: str, argument=None):
        return self.page.evaluate(script, argument)

    def wait(self, condition: str, argument=None):
        self.page.wait_for_function(condition, arg=argument)

    def wait_for_nodes(self, count: int):
        self.wait("count => app.graph.nodes.length === count", count)

    def use_renderer(self, renderer: str):
        if self.is_vue() != (renderer == "vue"):
            self.run("vue => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', vue)", renderer == "vue")

    def clear(self):
        self.page.keyboard.press("Escape")
        self.run(
            """() => {
                const { id, last_node_id } = app.graph
                app.graph.clear()
                // The front end keeps the values of a widget, and the errors of a run, under these.
                Object.assign(app.graph, { id, last_node_id })
                app.extensionManager.toast.removeAll?.()
                const closing = ':is([role=alert], [role=status]) button[aria-label=Close], ' +
                    'button[aria-label="Close dialog"], [aria-label="Toggle properties panel"][aria-pressed=true]'
                for (const close of document.querySelectorAll(closing)) close.click()
                app.extensionManager.sidebarTab.activeSidebarTabId = null
                app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; app.canvas.setDirty(true, true)
            }"""
        )
        self.wait("() => document.elementFromPoint(800, 450)?.id === 'graph-canvas'")  # no dialog, no curtain

    def shoot(self, name: str):
        if self.screenshots:
            self.page.screenshot(path=self.screenshots / f"{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')}.png")

    def add(self, node_type: str, position=(400, 200), **widgets) -> int:
        """Add a node and return its id."""
        return self.run(
            """([type, pos, widgets]) => {
                const node = LiteGraph.createNode(type)
                node.pos = pos
                app.graph.add(node)
                for (const [name, value] of Object.entries(widgets)) sdc.set(node.id, name, value)
                return node.id }""",
            [node_type, list(position), widgets],
        )

    def connect(self, source: int, output: int | str, target: int, name: str):
        """Wire an output, by its number or its type, to an input."""
        self.run(
            """([from, output, to, name]) => {
                const source = sdc.node(from), target = sdc.node(to)
                const slot = Number.isInteger(output) ? output : source.outputs.findIndex(o => o.type === output)
                source.connect(slot, target, target.findInputSlot(name)) }""",
            [source, output, target, name],
        )

    def load(self, workflow: dict):
        self.run("workflow => app.loadGraphData(workflow)", workflow)

    def reload(self) -> int:
        """Save the workflow of one node, open it again and return the node's id."""
        workflow = self.run("() => app.graph.serialize()")
        self.clear()
        self.load(workflow)
        return self.run("() => app.graph.nodes[0].id")

    def nodes(self, *node_types: str) -> list[int]:
        return self.run("types => app.graph.nodes.filter(n => types.includes(n.type)).map(n => n.id)", node_types)

    def value(self, node: int, widget: str):
        return self.run("([id, name]) => sdc.widget(id, name).value", [node, widget])

    def set(self, node: int, widget: str, value):
        self.run("([id, name, value]) => sdc.set(id, name, value)", [node, widget, value])

    def select(self, node: int):
        self.run("id => app.canvas.selectItems([sdc.node(id)])", node)

    def status(self, node: int, wanted: str) -> str:
        """Wait until the lines on a node hold a text, and return them once its images are there too."""
        self.wait(
            """([id, wanted]) => sdc.status(id)?.textContent.includes(wanted)
                && [...sdc.status(id).querySelectorAll('img')].every(i => i.complete && i.naturalWidth > 1)""",
            [node, wanted],
        )
        return self.run("id => sdc.status(id).textContent", node)

    def images(self, node: int) -> list[list[int]]:
        """Width and height of the small images on a node."""
        sizes = "id => [...sdc.status(id).querySelectorAll('img')].map(i => [i.naturalWidth, i.naturalHeight])"
        return self.run(sizes, node)

    def drop(self, files: list[Path], position):
        """Drop files of the desktop at a point of the page, with the events that a browser sends."""
        self.run(
            """([files, [clientX, clientY]]) => {
                const target = document.elementFromPoint(clientX, clientY)
                const options = {dataTransfer: sdc.transfer(files), clientX, clientY, bubbles: true, cancelable: true}
                for (const type of ['dragenter', 'dragover', 'drop'])
                    target.dispatchEvent(new DragEvent(type, options)) }""",
            [[packed(path) for path in files], list(position)],
        )

    def paste(self, content: str | list[Path]):
        """Paste a text, or files that were copied in a file manager."""
        self.run(
            """([text, files]) => {
                const clipboardData = sdc.transfer(files)
                if (text) clipboardData.setData('text/plain', text)
                const options = {clipboardData, bubbles: true, cancelable: true}
                document.body.dispatchEvent(new ClipboardEvent('paste', options)) }""",
            [content, []] if isinstance(content, str) else ["", [packed(path) for path in content]],
        )

    def point_on(self, node: int) -> list[float]:
        """A point of the page on a node's title."""
        return self.run(
            """id => { const node = sdc.node(id), { pos: [x, y] } = node
                       // What ran before may have moved the view.
                       if (!document.elementFromPoint(...sdc.toPage(x + 60, y - 12))) app.canvas.centerOnNode(node)
                       return sdc.toPage(x + 60, y - 12) }""",
            node,
        )

    def click_widget(self, node: int, name: str, label: str):
        """Click a button on a node, wherever the renderer draws it."""
        self.settle()
        if self.is_vue():
            self.page.get_by_role("button", name=label).click()
            return
        self.wait("([id, name]) => sdc.widget(id, name).y > 0", [node, name])
        point = """([id, name]) => { const { pos: [x, y], size: [width] } = sdc.node(id)
                                     return sdc.toPage(x + width / 2, y + sdc.widget(id, name).y + 10) }"""
        self.page.mouse.click(*self.run(point, [node, name]))

    def menu(self, node: int, item: str):
        """Choose an item of a node's context menu."""
        self.settle()
        self.choose(lambda: self.page.mouse.click(*self.point_on(node), button="right"), item)

    def choose(self, open_menu, item: str):
        """Open a menu and choose an item of it."""
        entry = self.page.get_by_text(item, exact=True).last
        for _ in range(5):  # a node that is being laid out, or a message that goes, may close the menu again
            open_menu()
            with contextlib.suppress(PlaywrightTimeout):
                entry.click(timeout=TIMEOUT / 18)
                return
        raise AssertionError(f"the menu has no {item!r}")

    def open_search(self):
        """Open the node search and return its field."""
        self.command("Workspace.SearchBox.Toggle")
        return self.page.locator("input[role=combobox]").last

    def open_templates(self):
        """Open the list of the pack's templates."""
        self.page.get_by_role("button", name="Templates").click()
        self.page.get_by_text("comfyui-sdc", exact=True).last.click()

    def open_template(self, name: str):
        self.open_templates()
        self.page.get_by_text(name, exact=True).last.click()
        self.wait("name => app.extensionManager.workflow.activeWorkflow?.filename?.startsWith(name)", name)
        self.wait("() => app.graph.nodes.length > 1")
        self.page.keyboard.press("Escape")

    def command(self, name: str):
        self.run("name => app.extensionManager.command.execute(name)", name)

    def is_vue(self) -> bool:
        return self.run("() => !!app.extensionManager.setting.get('Comfy.VueNodes.Enabled')")

    def settle(self):
        """Wait until what was added has been drawn."""
        self.run(
            """() => { app.canvas.draw(true, true)
                       return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))) }"""
        )
        if self.is_vue():
            self.wait("() => document.querySelectorAll('[data-node-id]').length >= app.graph.nodes.length")

    def forgive(self, *texts: str):
        """Drop console errors that a test has provoked: the browser reports every answer of 400 as one."""
        self.problems[:] = [problem for problem in self.problems if not any(text in problem for text in texts)]

    def toasts(self, text: str = ""):
        """Messages that can be closed and hold a text, but for what the page says about a run or missing models."""
        roles = self.page.get_by_role("alert").or_(self.page.get_by_role("status"))
        about_a_run = self.page.get_by_role("button", name=re.compile("details", re.IGNORECASE))
        return roles.filter(has=self.page.get_by_role("button", name="Close"), has_not=about_a_run, has_text=text)

    def toast(self, text: str):
        self.toasts(text).first.wait_for()

    def error_box(self, text: str):
        """Wait until the page reports a text about a run that failed, opening the details as its user would."""
        self.page.get_by_role("button", name=re.compile("details|Show report", re.IGNORECASE)).first.click()
        self.page.get_by_text(text).first.wait_for()

    def answer(self, label: str):
        """Choose an answer in a dialog of the pack."""
        self.page.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()

    def overlaps(self, node_type: str | None = None) -> list[list]:
        """Pairs of nodes that overlap where they are drawn: their titles, and how many pixels of height."""
        return self.run(
            """type => {
                const boxes = app.graph.nodes.filter(n => !type || n.type === type).map(node => {
                    const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect()
                    const [left, top, width, height] = node.boundingRect
                    return [node.title, ...(drawn ? [drawn.left, drawn.top, drawn.right, drawn.bottom]
                        : [...sdc.toPage(left, top), ...sdc.toPage(left + width, top + height)])] })
                return boxes.flatMap((a, i) => boxes.slice(i + 1)
                    .filter(b => a[1] < b[3] && b[1] < a[3] && a[2] < b[4] && b[2] < a[4])
                    .map(b => [a[0], b[0], Math.round(Math.min(a[4] - b[2], b[4] - a[2]) / app.canvas.ds.scale)])) }""",
            node_type,
        )

    def queue(self):
        self.run("() => app.queuePrompt(0)")

    def wait_until_idle(self):
        # What hangs is ended by the limit of one test.
        while any(json.loads(self.server.client.request("/queue")).values()):
            time.sleep(0.1)

    def execute(self) -> dict:
        """Run what is open until the page knows its end, and return outputs by node id."""
        refused = self.run(
            """async () => {
                window.sdcEnd = undefined
                const note = ({ type, detail }) => { window.sdcEnd = { type, ...detail } }
                for (const type of ['execution_success', 'execution_error', 'execution_interrupted'])
                    app.api.addEventListener(type, note, { once: true })
                await app.queuePrompt(0)
                return app.lastNodeErrors }"""
        )
        assert not refused, refused  # the server runs what it has not refused
        self.wait("() => window.sdcEnd")
        end = self.run("() => window.sdcEnd")
        assert end["type"] == "execution_success", end
        return self.server.client.wait(end["prompt_id"])


def packed(path: Path) -> list[str]:
    """[name, type, content] of a file, as the page can unpack it."""
    return [path.name, mimetypes.guess_type(path.name)[0] or "", base64.b64encode(path.read_bytes()).decode()]
