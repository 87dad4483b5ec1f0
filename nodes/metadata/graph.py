"""Follows the links of a graph that ComfyUI runs: node id -> {"class_type", "inputs"}, a link being [id, output].

A value is followed only through nodes known to pass it on (`known_nodes`); anywhere else the search ends with NotFound.
A graph may come from anybody: whatever it holds, this ends, and gives no more than is there.
"""

import re
from collections.abc import Callable, Mapping

from .. import file_name
from .known_nodes import ENCODERS, IMAGES, JOINED, PASSED, SWITCHES, TEXT_ONLY

MAX_LINKS = 100  # in a row
MAX_TEXT = 1 << 20  # letters, of texts put together
# What the inputs of loaders are called: of those that give a MODEL, and those that give a VAE.
MODEL_NAMES = ("ckpt_name", "unet_name", "model_name", "diffusion_model_name")
VAE_NAMES = ("vae_name", "ckpt_name")
SCHEDULES = ("SplitSigmas", "SplitSigmasDenoise", "SetFirstSigma")  # pass on the schedule of another node
IMAGE_INPUT = re.compile("image|latent|sample|pixel|sdc|destination|source")
OTHER_INPUTS = {
    "model", "clip", "vae", "positive", "negative", "conditioning", "control_net", "clip_vision", "upscale_model",
    "style_model", "prompt", "text", "mask", "guider", "noise", "sampler", "sigmas", "width", "height",
}  # fmt: skip
CHOICE = re.compile("switch|select|choose|choice|branch|toggle|if ?else|mux", re.IGNORECASE)
Link = tuple[str, int]


class NotFound(Exception):
    """What is looked for cannot be followed through a node, which the message names."""


def to_link(value) -> Link | None:
    """The node and the output that a link comes from, None for what is no link."""
    is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
    return (value[0], value[1]) if is_link else None


class Graph:
    """`outputs` reads outputs that the graph does not hold: class -> function of the inputs, giving a list."""

    def __init__(self, nodes: dict, outputs: Mapping[str, Callable[[dict], list]] | None = None):
        self.nodes = nodes
        self.outputs = outputs or {}
        self._depth = 0
        self._results: dict = {}

    def inputs(self, node_id) -> dict:
        node = self.nodes.get(node_id)
        found = node.get("inputs") if isinstance(node, dict) else None
        return found if isinstance(found, dict) else {}

    def kind(self, node_id) -> str:
        node = self.nodes.get(node_id)
        found = node.get("class_type") if isinstance(node, dict) else None
        return found if isinstance(found, str) else "unknown node"

    def name(self, node_id) -> str:
        return f"{self.kind(node_id)[:60]} #{str(node_id)[:20]}"

    def follow(self, read: Callable, link: Link | None, *options):
        """What `read` finds behind a link: once for each output, and never around a circle."""
        if link is None or link[0] not in self.nodes:
            raise NotFound("a missing node")
        place = read, link, options
        if place not in self._results:
            self._results[place] = NotFound(self.name(link[0]))  # what a circle finds
            self._depth += 1
            try:
                if self._depth <= MAX_LINKS:
                    self._results[place] = read(*link, *options)
            except NotFound as error:
                self._results[place] = error
            finally:
                self._depth -= 1
        if isinstance(self._results[place], NotFound):
            raise self._results[place].with_traceback(None)
        return self._results[place]

    def is_passage(self, node_id: str) -> bool:
        """Whether a node gives one of its inputs, of any type: a switch of ComfyUI, a reroute."""
        return self.kind(node_id) in SWITCHES or (self.kind(node_id) == "Reroute" and len(self.inputs(node_id)) == 1)

    def passed(self, node_id: str):
        """The input that a passage gives; a soft switch takes the other one where that is missing."""
        has = self.inputs(node_id)
        if self.kind(node_id) == "Reroute":
            return next(iter(has.values()))
        sides = ["on_true", "on_false"] if self.value(has.get("switch")) else ["on_false", "on_true"]
        if self.kind(node_id) == "ComfySwitchNode":
            del sides[1]
        return next((has[side] for side in sides if side in has), None)

    def value(self, value):
        """A text, a number or a boolean, as it stands in an input or on the node that a link leads to."""
        link = to_link(value)
        if link is not None:
            return self.follow(self._value, link)
        if not isinstance(value, str | int | float):
            raise NotFound("a missing value")
        return value

    def text(self, value) -> str:
        found = self.value(value)
        if not isinstance(found, str):
            raise NotFound("a value that is no text")
        return found

    def _value(self, node_id: str, output: int):
        has, kind = self.inputs(node_id), self.kind(node_id)
        if self.is_passage(node_id):
            return self.value(self.passed(node_id))
        if kind == "StringConcatenate":
            joined = self.text(has.get("delimiter", "")).join([self.text(has.get(f"string_{side}")) for side in "ab"])
            if len(joined) <= MAX_TEXT:
                return joined
        elif kind in self.outputs:
            values = self.outputs[kind]({name: self.value(value) for name, value in has.items() if name != "vae"})
            if output < len(values) and values[output] is not None:
                return values[output]
        elif output in PASSED.get(kind, {}):
            value = self.value(has.get(PASSED[kind][output]))
            if isinstance(value, str) or kind not in TEXT_ONLY:
                return value
        raise NotFound(self.name(node_id))

    def texts(self, value) -> list[tuple]:
        """The texts behind a CONDITIONING, each with the guidance that a node gave it, None or a NotFound."""
        return self.follow(self._texts, to_link(value))

    def _texts(self, node_id: str, output: int) -> list[tuple]:
        has, kind = self.inputs(node_id), self.kind(node_id)
        if kind == "ConditioningZeroOut":  # takes away what the text says
            return []
        if output in ENCODERS.get(kind, {}):
            guidance = self._guidance(has["guidance"]) if "guidance" in has else None
            found = [(self.text(has[name]).strip(), guidance) for name in ENCODERS[kind][output] if name in has]
            if not found:
                raise NotFound(self.name(node_id))
        else:
            found = [pair for value in self._conditionings(node_id, output) for pair in self.texts(value)]
            if kind == "FluxGuidance":
                found = [(text, self._guidance(has.get("guidance"))) for text, _ in found]
            elif kind == "FluxDisableGuidance":
                found = [(text, None) for text, _ in found]
        return list(dict.fromkeys(found))

    def _guidance(self, value):
        try:
            return self.value(value)
        except NotFound as error:
            return error

    def _conditionings(self, node_id: str, output: int) -> list:
        """The CONDITIONING inputs that an output is made of."""
        has, kind = self.inputs(node_id), self.kind(node_id)
        if self.is_passage(node_id):
            return [self.passed(node_id)]
        if kind in JOINED and output == 0:
            return [has.get(name) for name in JOINED[kind]]
        # A node that takes both prompts gives them in this order, after the model where it takes one too.
        first = 1 if to_link(has.get("model")) else 0
        for name, place in (("positive", first), ("negative", first + 1)):
            found = [value for key, value in has.items() if key.startswith(name) and to_link(value)]
            if output == place and (len(found) == 1 or (found and kind.startswith("PairConditioning"))):
                return found
        # And one that takes a single CONDITIONING changes it, but not its text: an area, a ControlNet, a reference.
        if output == 0 and [name for name in has if "cond" in name.lower()] == ["conditioning"]:
            return [has["conditioning"]]
        raise NotFound(self.name(node_id))

    def model(self, value) -> str:
        """File name of the model behind a MODEL, without its folders; empty for models that come with the pack."""
        return self.follow(self._file, to_link(value), "model", MODEL_NAMES)

    def vae(self, value) -> str:
        return self.follow(self._file, to_link(value), "vae", VAE_NAMES)

    def _file(self, node_id: str, _output: int, socket: str, names: tuple[str, ...]) -> str:
        has, kind = self.inputs(node_id), self.kind(node_id)
        if kind == "SDCLoadTinyModels":
            return ""
        # What takes a MODEL and gives one has changed it: a LoRA, a patch.
        link = to_link(self.passed(node_id) if self.is_passage(node_id) else has.get(socket))
        if link is not None:
            return self.follow(self._file, link, socket, names)
        name = next((name for name in names if name in has), None)
        if name is None:
            raise NotFound(self.name(node_id))
        return file_name(self.text(has[name]))

    def part(self, value) -> Link:
        """The node that a guider, noise, sampler or schedule comes from, and 1 where it is the second part of one."""
        return self.follow(self._part, to_link(value))

    def _part(self, node_id: str, output: int) -> Link:
        if self.is_passage(node_id):
            return self.part(self.passed(node_id))
        if self.kind(node_id) in SCHEDULES:
            node_id, before = self.part(self.inputs(node_id).get("sigmas"))
            return node_id, max(before, output)
        return node_id, 0

    def origins(self, node_id: str, wanted: Callable[[dict], bool]) -> frozenset[str]:
        """The nodes whose inputs are `wanted` that the image of a node comes from: the first on each way back."""
        return frozenset([node_id]) if wanted(self.inputs(node_id)) else self.origins_behind(node_id, wanted)

    def origins_behind(self, node_id: str, wanted: Callable[[dict], bool]) -> frozenset[str]:
        images = self._images(node_id)
        found = [self.follow(self._origins, link, wanted) for link in images.values()]
        # Which of its inputs a switch of another pack has passed on is not known, so all must come from the same node.
        stems = {re.sub(r"([ _]?\d+|[ _][a-z])$", "", name.lower()) for name in images}
        if len(set(found)) > 1 and (CHOICE.search(self.kind(node_id)) or len(stems) == 1):
            raise NotFound(self.name(node_id))
        return frozenset().union(*found)

    def _origins(self, node_id: str, _output: int, wanted: Callable[[dict], bool]) -> frozenset[str]:
        return self.origins(node_id, wanted)

    def _images(self, node_id: str) -> dict[str, Link]:
        """The links to a node that its image may come through."""
        has, kind = self.inputs(node_id), self.kind(node_id)
        if self.is_passage(node_id):
            has = {"passed": self.passed(node_id)}
        names = IMAGES.get(kind) or [name for name in has if IMAGE_INPUT.search(name.lower())]
        links = {name: to_link(has.get(name)) for name in names or has.keys() - OTHER_INPUTS}
        return {name: link for name, link in links.items() if link is not None and link[0] in self.nodes}
