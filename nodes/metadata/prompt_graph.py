"""How an image was made, by the graph that ComfyUI runs: node id -> {"class_type", "inputs"}, a link being [id, slot].

Nodes are known by what their inputs are called, so samplers and loaders of other packs are understood too, and a node
that is not is passed by. A graph may come from anybody: whatever it holds, this ends, and gives no more than is there.
"""

from .. import file_name
from .generation import generation_of

# What the inputs of loaders are called: of those that give a MODEL, and those that give a VAE.
MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "diffusion_model_name")
VAE_NAMES = ("vae_name", "ckpt_name")
TEXTS = ("text", "prompt", "text_g", "text_l", "t5xxl", "clip_l", "clip_g", "wildcard_text")
SEEDS = ("seed", "noise_seed")
# What nodes that stand for a widget call their value.
VALUES = ("value", "text", "string", "int", "float", "number", "seed", "noise_seed")
MAX_NODES = 10_000
MAX_LINKS = 100  # between the sampler and a value or a text


def find_generation(graph, start: str) -> dict:
    """What the nearest sampler before the node `start` was told, as `generation_of` gives it.

    With several samplers, as in a second pass, it is the last one that made the image: its prompts and its settings.
    Empty where there is none.
    """
    if not isinstance(graph, dict) or len(graph) > MAX_NODES:
        return {}
    sampler = nearest(graph, start, is_sampler)
    if sampler is None:
        return {}
    # The VAE is wired to what decodes or encodes on the way, the model to the sampler or to its guider.
    found = settings_of(graph, sampler) | {
        "model": name_behind(graph, sampler, "model", MODEL_NAMES),
        "vae": name_behind(graph, start, "vae", VAE_NAMES),
    }
    return generation_of({key: value for key, value in found.items() if value not in (None, "")})


def inputs(node) -> dict:
    found = node.get("inputs") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def linked(value) -> str | None:
    """The node that a link comes from, None for what is no link."""
    is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
    return value[0] if is_link else None


def nearest(graph: dict, start: str | None, wanted) -> str | None:
    """The node for which `wanted` holds that is the fewest links before `start`, which may be it itself."""
    waiting, seen = [start], {start}
    while waiting:
        found = next((node for node in waiting if node in graph and wanted(graph[node])), None)
        if found is not None:
            return found
        before = [linked(value) for node in waiting for value in inputs(graph.get(node)).values()]
        waiting = [node for node in dict.fromkeys(before) if node is not None and node not in seen]
        seen.update(waiting)
    return None


def name_behind(graph: dict, start: str, socket: str, names: tuple[str, ...]) -> str | None:
    """The file that the nearest MODEL or VAE comes from, without its folders."""

    def named(node) -> str | None:
        values = (value_of(graph, inputs(node).get(name)) for name in names)
        return next((value for value in values if isinstance(value, str)), None)

    user = nearest(graph, start, lambda node: linked(inputs(node).get(socket)) is not None)
    loader = user and nearest(graph, linked(inputs(graph[user])[socket]), lambda node: named(node) is not None)
    file = named(graph[loader]) if loader else None
    return file and file_name(file)


def is_sampler(node) -> bool:
    """KSampler and its like have prompts and a seed; SamplerCustomAdvanced has a guider and noise."""
    has = inputs(node)
    return ("positive" in has and any(seed in has for seed in SEEDS)) or ("guider" in has and "noise" in has)


def settings_of(graph: dict, sampler: str) -> dict:
    """Prompts, seed and numbers of a sampler, which may stand on nodes of its own."""
    has = inputs(graph[sampler])
    parts = [graph.get(linked(has.get(name))) for name in ("guider", "noise", "sampler", "sigmas")]
    sources = [has, *map(inputs, parts)]

    def first(*names):
        values = (value_of(graph, source[name]) for source in sources for name in names if name in source)
        return next((value for value in values if value is not None), None)

    def words(*names):
        link = next((source[name] for source in sources for name in names if linked(source.get(name))), None)
        return "\n".join(dict.fromkeys(texts_of(graph, link)))

    return {
        "prompt": words("positive", "conditioning"),
        "negative": words("negative"),
        "seed": first(*SEEDS),
        "steps": first("steps"),
        "cfg": first("cfg"),
        "sampler": first("sampler_name"),
        "scheduler": first("scheduler"),
        "denoise": first("denoise"),
    }


def value_of(graph: dict, value):
    """A text or number as it stands in an input, or on the nodes that a link leads to; else None."""
    for _ in range(MAX_LINKS):
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return value
        source = inputs(graph.get(linked(value)))
        values = [source[name] for name in VALUES if name in source]
        if not values and len(source) != 1:
            return None  # a node that makes something of its inputs
        value = values[0] if values else next(iter(source.values()))
    return None


def texts_of(graph: dict, link) -> list[str]:
    """The texts behind a CONDITIONING, in the order of the nodes' inputs."""
    found: list[str] = []
    waiting = [(link, 0)]
    seen: set[tuple] = set()
    while waiting and len(seen) < MAX_NODES:
        link, depth = waiting.pop()
        node = graph.get(linked(link))
        place = linked(link), link[1] if linked(link) else 0
        if node is None or place in seen or depth > MAX_LINKS:
            continue
        seen.add(place)
        if isinstance(node, dict) and node.get("class_type") == "ConditioningZeroOut":  # takes away what the text says
            continue
        has = inputs(node)
        texts = [value_of(graph, has[name]) for name in TEXTS if name in has]
        if texts:
            found += [text.strip() for text in texts if isinstance(text, str) and text.strip()]
            continue
        # A node that takes both prompts gives them in this order.
        if "positive" in has and "negative" in has:
            waiting.append((has["negative" if link[1] == 1 else "positive"], depth + 1))
            continue
        before = [value for name, value in has.items() if "cond" in name or name == "positive" or len(has) == 1]
        waiting += [(value, depth + 1) for value in reversed(before)]
    return found
