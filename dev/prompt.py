"""From a saved workflow (what ComfyUI's front end shows) to a prompt (what its server runs)."""

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR"}
CONTROL_WORDS = {"fixed", "increment", "decrement", "randomize", "increment-wrap"}
VIRTUAL = {"Note", "MarkdownNote", "PrimitiveNode", "Reroute"}
MUTED, BYPASSED = 2, 4
NOTHING = object()


class WorkflowError(ValueError):
    """The workflow cannot be turned into a prompt."""


def to_prompt(workflow: dict, object_info: dict) -> dict:
    """Convert a workflow in format 0.4 into an API prompt, as the front end does on Run.

    `object_info` is the server's answer to /object_info: saved widget values carry no names, only an order.
    """
    graph = Graph(workflow)
    prompt = {}
    for node in graph.nodes.values():
        if node["type"] in VIRTUAL or node.get("mode", 0) in (MUTED, BYPASSED):
            continue
        if node["type"] not in object_info:
            raise WorkflowError(f"The server has no node {node['type']!r} (node {node['id']} of the workflow).")
        info = object_info[node["type"]]
        prompt[str(node["id"])] = {
            "class_type": node["type"],
            "inputs": widget_inputs(node, info) | graph.linked_inputs(node),
            "_meta": {"title": node.get("title") or info.get("display_name") or node["type"]},
        }
    return prompt


class Graph:
    def __init__(self, workflow: dict):
        self.nodes = {node["id"]: node for node in workflow["nodes"]}
        subgraphs = {subgraph["id"] for subgraph in workflow.get("definitions", {}).get("subgraphs", [])}
        for node in self.nodes.values():
            if node["type"] in subgraphs:
                raise WorkflowError(f"Node {node['id']} is a subgraph; unpack it in the front end and save again.")
        self.origins = {}
        for link in workflow["links"]:
            if isinstance(link, dict):
                self.origins[link["id"]] = (link["origin_id"], link["origin_slot"])
            else:
                self.origins[link[0]] = (link[1], link[2])

    def linked_inputs(self, node: dict) -> dict:
        linked = {}
        for socket in node.get("inputs") or []:
            if socket.get("link") is not None:
                value = self.resolve(socket["link"])
                if value is not NOTHING:
                    linked[socket["name"]] = value
        return linked

    def resolve(self, link: int):
        """What a link brings: [node id, slot], a primitive's value, or NOTHING where it ends in the void."""
        seen = set()
        while link is not None and link not in seen:
            seen.add(link)
            if link not in self.origins:
                return NOTHING
            origin, slot = self.origins[link]
            node = self.nodes[origin]
            if node.get("mode", 0) == MUTED:
                return NOTHING
            if node["type"] == "PrimitiveNode":
                return wrapped(node["widgets_values"][0])
            if node["type"] == "Reroute":
                link = node["inputs"][0].get("link")
            elif node.get("mode", 0) == BYPASSED:
                link = passed_through(node, slot)
            else:
                return [str(origin), slot]
        return NOTHING


def passed_through(node: dict, slot: int) -> int | None:
    """The link that a bypassed node hands on at an output: the input beside it, else the first, of the same type."""
    wanted = node["outputs"][slot]["type"]
    inputs = node.get("inputs") or []
    for socket in inputs[slot : slot + 1] + inputs:
        if wanted == "*" or socket["type"] in (wanted, "*"):
            return socket.get("link")
    return None


def widget_inputs(node: dict, info: dict) -> dict:
    saved = node.get("widgets_values") or []
    widgets = [
        (name, kind, options)
        for section in ("required", "optional")
        for name, kind, options in specifications(info, section)
        if is_widget(kind, options)
    ]
    values = {}
    if isinstance(saved, dict):
        for name, _, options in widgets:
            if (value := saved.get(name, default(options))) is not None:
                values[name] = wrapped(value)
        return values
    # What is left over in the end belongs to widgets of the front end alone, such as an upload button.
    position = 0
    for name, kind, options in widgets:
        # A workflow older than the node lacks the newest widgets; they start at their default.
        value = saved[position] if position < len(saved) else default(options)
        position += 1
        if has_control(name, kind, options) and position < len(saved) and saved[position] in CONTROL_WORDS:
            position += 1
        if value is not None:
            values[name] = wrapped(value)
    return values


def specifications(info: dict, section: str):
    """(name, type, options) of each input of a node. A combo's type may be given as the list of its options."""
    inputs = info["input"].get(section) or {}
    order = info.get("input_order", {}).get(section) or list(inputs)
    for name in order:
        kind, *rest = inputs[name]
        options = dict(rest[0]) if rest and isinstance(rest[0], dict) else {}
        if isinstance(kind, list):
            options.setdefault("default", kind[0] if kind else None)
            kind = "COMBO"
        yield name, kind, options


def is_widget(kind: str, options: dict) -> bool:
    if kind.startswith("COMFY_DYNAMICCOMBO"):
        raise WorkflowError("A node whose widgets depend on a choice cannot be converted.")
    return kind in WIDGET_TYPES and not options.get("forceInput") and not options.get("rawLink")


def has_control(name: str, kind: str, options: dict) -> bool:
    """Whether the front end puts "control after generate" behind this widget, which is saved but never sent."""
    given = options.get("control_after_generate")
    return bool(given) if given is not None else kind == "INT" and name in ("seed", "noise_seed")


def default(options: dict):
    if "default" in options:
        return options["default"]
    return next(iter(options.get("options") or []), None)


def wrapped(value):
    # A bare list would be read as a link.
    return {"__value__": value} if isinstance(value, list) else value
