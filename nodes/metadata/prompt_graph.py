"""How an image was made, by the graph that ComfyUI runs: what its sampler was told, and what of it cannot be known.

Samplers are known by what their inputs are called, so those of other packs are understood too. What they were told is
followed through nodes known to pass it on (`graph`): anything else is left out and named, since a wrong prompt or seed
is worse than none.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .generation import generation_of
from .graph import Graph, NotFound, to_link

MAX_NODES = 10_000
SEEDS = ("seed", "noise_seed")
# What inputs of samplers are called, and the input that leads to the node which has them instead.
SETTINGS = {
    "seed": (SEEDS, "noise"),
    "steps": (("steps",), "sigmas"),
    "cfg": (("cfg",), "guider"),
    "sampler": (("sampler_name",), "sampler"),
    "scheduler": (("scheduler",), "sigmas"),
    "denoise": (("denoise",), "sigmas"),
}
# And on nodes that hold the settings for a sampler.
HELD = {key: names for key, (names, _) in SETTINGS.items()}
HELD |= {"sampler": ("sampler_name", "sampler"), "scheduler": ("scheduler", "scheduler_name")}


class Found(NamedTuple):
    """What a graph says.

    Attributes
    ----------
    values : dict
        As `generation_of` gives it.
    missing : dict of str to str
        Why a value is not there, by its key: where it comes from, or what is wrong with it.
    reason : str
        Why nothing is there at all; empty otherwise.
    """

    values: dict
    missing: dict[str, str] = {}
    reason: str = ""


def find_generation(graph, start: str, outputs: Mapping[str, Callable[[dict], list]] | None = None) -> Found:
    """What the nearest sampler before the node `start` that adds noise was told.

    With several samplers, as in a second pass, it is the last one that made the image: its prompts and its settings.
    One that adds no noise, as a refiner, only goes on with what another has begun.

    Parameters
    ----------
    outputs : mapping of str to callable
        Functions that read what the graph does not hold: class -> a function of the node's inputs that gives its
        outputs, None for one that it does not know.
    """
    nothing = "there is no sampler before this node"
    if not isinstance(graph, dict) or len(graph) > MAX_NODES:
        return Found({}, reason=nothing)
    graph = Graph(graph, outputs)
    try:
        samplers = graph.origins(start, is_sampler)
    except NotFound as error:
        return Found({}, reason=f"which of its inputs {error} has passed on cannot be read from the workflow")
    if len(samplers) > 1:
        names = " and ".join(sorted(map(graph.name, samplers)))
        return Found({}, reason=f"several samplers made the image: {names}")
    if not samplers:
        return Found({}, reason=nothing)
    (last,) = samplers
    return read_settings(graph, last, start)


def is_sampler(inputs: dict) -> bool:
    """KSampler and its like have prompts and a seed; SamplerCustomAdvanced has a guider and noise."""
    return ("positive" in inputs and any(seed in inputs for seed in SEEDS)) or (
        "guider" in inputs and "noise" in inputs
    )


def has_vae(inputs: dict) -> bool:
    return to_link(inputs.get("vae")) is not None


def adds_noise(graph: Graph, sampler: str) -> bool:
    has = graph.inputs(sampler)
    try:
        if "noise" in has:
            return graph.kind(graph.part(has["noise"])[0]) != "DisableNoise"
        return graph.value(has.get("add_noise", True)) not in (False, "disable")
    except NotFound:
        return True


def noise_origin(graph: Graph, sampler: str) -> str | None:
    """The nearest sampler that adds noise, None where there is none, or not a single one."""
    seen = set()
    while not adds_noise(graph, sampler):
        seen.add(sampler)
        try:
            before = graph.origins_behind(sampler, is_sampler) - seen
        except NotFound:
            return None
        if len(before) != 1:
            return None
        (sampler,) = before
    return sampler


def read_settings(graph: Graph, last: str, start: str) -> Found:
    """Prompts, numbers and file names for the sampler that was `last`, or for the one whose work it finishes."""
    origin = noise_origin(graph, last)
    sampler = Sampler(graph, origin or last)
    found: dict = {}
    missing: dict[str, str] = {}

    def note(key: str, read: Callable, *options):
        try:
            found[key] = read(*options)
        except NotFound as error:
            missing[key] = f"from {error}"

    note("prompt", sampler.prompt)
    note("guidance", sampler.guidance)
    note("negative", sampler.negative)
    for key in SETTINGS:
        note(key, sampler.setting, key)
    note("model", sampler.model)
    note("vae", vae_name, graph, start)
    if "prompt" in missing:
        missing.pop("guidance", None)  # of texts that are not known
    if origin is None:
        found.pop("seed", None)
        missing["seed"] = f"{graph.name(last)} adds no noise"
    given = {key: value for key, value in found.items() if value not in (None, "")}
    values = generation_of(given)
    refused = {key: f"{str(value)[:40]} is no {key}" for key, value in given.items() if key not in values}
    return Found(values, missing | refused)


def vae_name(graph: Graph, start: str) -> str | None:
    """The VAE that decodes or encodes on the way to `start`; None where none does."""
    users = graph.origins(start, has_vae)
    names = {graph.vae(graph.inputs(user)["vae"]) for user in users}
    if len(names) > 1:
        raise NotFound(" and ".join(sorted(map(graph.name, users))))
    return next(iter(names), None)


class Sampler:
    """A sampler whose parts may be on nodes of their own."""

    def __init__(self, graph: Graph, sampler: str):
        self.graph = graph
        self.sampler = sampler
        self.has = graph.inputs(sampler)

    def owner(self, part: str, *names: str) -> tuple[str, int]:
        """The node that has one of these inputs, as `Graph.part` gives it: the sampler itself, or that part."""
        if part in self.has and not any(name in self.has for name in names):
            return self.graph.part(self.has[part])
        return self.sampler, 0

    def raw(self, key: str):
        """A setting as it stands in an input, which may be a link; None where there is nothing of the kind."""
        names, part = SETTINGS[key]
        owner, late = self.owner(part, *names)
        has = self.graph.inputs(owner)
        if key == "cfg" and self.graph.kind(owner) == "BasicGuider":
            return 1.0
        if key == "denoise":
            # Less noise than the schedule says, or one that says neither.
            if late or self.graph.value(has.get("start_at_step", 0)) or has.keys().isdisjoint(("denoise", "steps")):
                raise NotFound(self.graph.name(owner))
            return has.get("denoise")
        name = next((name for name in names if name in has), None)
        if name is None:
            raise NotFound(self.graph.name(owner))
        return has[name]

    def setting(self, key: str):
        value = self.raw(key)
        if value is None:
            return None
        try:
            return self.graph.value(value)
        except NotFound:
            link = to_link(value)
            held = self.held(link[0]) if link else {}
            if key not in held:
                raise
            return held[key]

    def held(self, node_id: str) -> dict:
        """The settings on a node that holds several: its outputs go where its inputs, in their order, are named for."""
        has = list(self.graph.inputs(node_id).items())
        found = {}
        for key in SETTINGS:
            try:
                used = to_link(self.raw(key))
            except NotFound:
                continue
            if used is None or used[0] != node_id:
                continue
            if not 0 <= used[1] < len(has) or has[used[1]][0] not in HELD[key] or to_link(has[used[1]][1]):
                return {}
            found[key] = has[used[1]][1]
        return found if len(found) > 1 else {}

    def conditioning(self, *names: str):
        owner, _ = self.owner("guider", "positive")
        has = self.graph.inputs(owner)
        name = next((name for name in names if name in has), None)
        if name is None:
            raise NotFound(self.graph.name(owner))
        return self.graph.texts(has[name])

    def prompt(self) -> str:
        return "\n".join(dict.fromkeys(text for text, _ in self.conditioning("positive", "conditioning") if text))

    def guidance(self) -> float | None:
        """What distilled models such as Flux take in place of cfg; None where the texts have none."""
        found = {guidance for _, guidance in self.conditioning("positive", "conditioning")}
        if len(found) > 1:
            raise NotFound("texts with different ones")
        guidance = next(iter(found), None)
        if isinstance(guidance, NotFound):
            raise guidance
        return guidance

    def negative(self) -> str | None:
        owner, _ = self.owner("guider", "positive")
        if "negative" not in self.graph.inputs(owner):
            return None
        return "\n".join(dict.fromkeys(text for text, _ in self.conditioning("negative") if text))

    def model(self) -> str:
        owner, _ = self.owner("guider", "model")
        return self.graph.model(self.graph.inputs(owner).get("model"))
