"""What a template is before the page has seen it: nodes, wires, bands of columns, groups."""

import re
from dataclasses import dataclass, field

CHECKPOINT = {
    "name": "v1-5-pruned-emaonly-fp16.safetensors",
    "url": "https://huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive/resolve/main/v1-5-pruned-emaonly-fp16.safetensors",
    "directory": "checkpoints",
}
CONTROLNET = {
    "name": "control_v11p_sd15_canny_fp16.safetensors",
    "url": "https://huggingface.co/comfyanonymous/ControlNet-v1-1_fp16_safetensors/resolve/main/control_v11p_sd15_canny_fp16.safetensors",
    "directory": "controlnet",
}
IMAGE = "sdc_cat.jpg"  # comes with the pack; the page puts it into the input folder
SAMPLE_FOLDER = "sdc_sample"  # and into this folder of it
WIDTHS = {"MarkdownNote": 310, "LoadImage": 280, "PreviewImage": 340, "SaveImage": 340}
HEIGHTS = {"LoadImage": 380, "PreviewImage": 280, "SaveImage": 310, "CLIPTextEncode": 110}
WIDTH = 280


@dataclass(eq=False)
class Node:
    id: int
    type: str
    title: str | None
    widgets: dict
    width: float
    height: float | None  # None: as high as its content
    download: dict | None  # of a model: name, url, directory
    collapsed: bool = False
    inputs: dict = field(default_factory=dict)  # input -> (Node, name or type of the output)


@dataclass
class Sketch:
    """A template that is being written down. `bands` lie below each other, the columns of a band side by side."""

    name: str
    nodes: list[Node] = field(default_factory=list)
    bands: list[list[list[Node]]] = field(default_factory=list)
    groups: list[tuple[str, list[Node]]] = field(default_factory=list)

    def node(
        self,
        type_: str,
        title: str | None = None,
        *,
        width=None,
        height=None,
        download=None,
        collapsed=False,
        **settings,
    ) -> Node:
        """Add a node. A setting is the value of a widget, or what is wired to an input: a Node or (Node, output)."""
        widgets = {name: value for name, value in settings.items() if not isinstance(value, Node | tuple)}
        node = Node(
            len(self.nodes) + 1, type_, title, widgets, width or WIDTHS.get(type_, WIDTH),
            height or HEIGHTS.get(type_), download, collapsed,
        )  # fmt: skip
        for name, value in settings.items():
            if isinstance(value, Node | tuple):
                node.inputs[name] = value if isinstance(value, tuple) else (value, None)
        self.nodes.append(node)
        return node

    def note(self, title: str, text: str, **size) -> Node:
        """Add a note in Markdown. Each paragraph becomes one line: the page drops a break that follows emphasis."""
        return self.node("MarkdownNote", title, text=re.sub(r"(?<!\n)\n(?!\n|\* )", " ", text.strip()), **size)

    def band(self, *columns):
        """Columns of nodes, the next row of the template; a lone node is a column."""
        self.bands.append([column if isinstance(column, list) else [column] for column in columns])

    def group(self, title: str, *nodes: Node):
        self.groups.append((title, list(nodes)))
