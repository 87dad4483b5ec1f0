"""A training run that can be stopped at any moment and goes on where it was."""

import copy
import hashlib
import math
import signal
import sys
import time
from pathlib import Path

import torch

from dev import accelerator

WARM_UP = 100  # steps over which the learning rate rises
COOL_DOWN = 0.25  # share of the steps over which it falls to nothing at the end, unless told
MEASURE_EVERY = 500  # steps
SAVE_EVERY = 120  # seconds between two states on the disk
MAX_NORM = 2.0  # of a gradient
STOPS = (signal.SIGINT, signal.SIGTERM)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) in float32, for layers of one shape at once.

    torch's own works in bfloat16, which takes as long as the rest of a step on processors that lack it.
    """

    MOMENTUM, DECAY, EPSILON = 0.95, 1e-3, 1e-7
    ROUNDS, QUINTIC = 5, (3.4445, -4.7750, 2.0315)  # of Newton and Schulz's iteration, as published

    def __init__(self, layers):
        super().__init__(layers, {"lr": 0.0})

    @torch.no_grad()
    def step(self):
        alike: dict[torch.Size, list] = {}
        for group in self.param_groups:
            for layer in group["params"]:
                alike.setdefault(layer.shape, []).append((layer, group["lr"]))
        for layers in alike.values():
            directions = []
            for layer, _ in layers:
                momentum = self.state[layer].setdefault("momentum", torch.zeros_like(layer))
                momentum.lerp_(layer.grad, 1 - self.MOMENTUM)
                directions.append(layer.grad.lerp(momentum, self.MOMENTUM).flatten(1))
            directions = self._orthogonal(torch.stack(directions))
            largest = max(directions.shape[1:])
            for (layer, rate), direction in zip(layers, directions, strict=True):
                layer.mul_(1 - rate * self.DECAY)
                layer.add_(direction.view(layer.shape), alpha=-rate * 0.2 * largest**0.5)  # as large as AdamW's

    def _orthogonal(self, x):
        """(n, rows, columns) -> about the nearest matrices whose singular values are one."""
        a, b, c = self.QUINTIC
        wide = x.shape[1] <= x.shape[2]
        x = x if wide else x.mT
        x = x / (x.norm(dim=(1, 2), keepdim=True) + self.EPSILON)
        for _ in range(self.ROUNDS):
            square = x @ x.mT
            x = a * x + (b * square + c * square @ square) @ x
        return x if wide else x.mT


class Optimizer:
    """Muon for the wide 3x3 convolutions, AdamW for the rest."""

    MIN_WIDTH = 24  # channels in and out

    def __init__(self, network: torch.nn.Module):
        def is_wide(parameter):
            return parameter.shape[2:] == (3, 3) and min(parameter.shape[:2]) >= self.MIN_WIDTH

        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        wide = [parameter for parameter in parameters if is_wide(parameter)]
        rest = [parameter for parameter in parameters if not is_wide(parameter)]
        self.parts = [torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=0.0)] if rest else []
        self.parts += [Muon(wide)] if wide else []

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]):
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)

    def step(self, rate: float):
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()


class Average:
    """Running average of a network's weights: what is measured and shipped. Its memory grows with the run."""

    def __init__(self, network: torch.nn.Module):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: torch.nn.Module, step: int):
        share = 1 - min(0.999, (1 + step) / (10 + step))
        for mean, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            mean.lerp_(value, share)


class Run:
    """Network, its average and the optimizer, as they are kept in a file."""

    def __init__(self, network: torch.nn.Module, state: Path, recipe: str, make_optimizer=Optimizer):
        self.network, self.average, self.optimizer = network, Average(network), make_optimizer(network)
        self.state, self.recipe, self.done = state, recipe, 0

    def load(self):
        """Go on from the file, if there is one. Raises ValueError where it is of another recipe."""
        if not self.state.is_file():
            return
        saved = torch.load(self.state, map_location="cpu", weights_only=True)
        if saved.get("recipe") != self.recipe:
            raise ValueError(f"{self.state} holds a run of another kind. Delete it to begin anew.")
        self.network.load_state_dict(saved["network"])
        self.average.network.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.done = saved["done"]

    def save(self):
        parts = {"network": self.network, "average": self.average.network, "optimizer": self.optimizer}
        content = {name: part.state_dict() for name, part in parts.items()}
        self.state.parent.mkdir(parents=True, exist_ok=True)
        part = self.state.with_suffix(".part")
        torch.save(content | {"done": self.done, "recipe": self.recipe}, part)
        part.replace(self.state)

    def step(self, loss: torch.Tensor, rate: float):
        self.network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
        if torch.isfinite(norm):
            self.optimizer.step(rate)
        self.done += 1
        self.average.update(self.network, self.done)


def device() -> torch.device:
    return torch.device(accelerator.kind() or "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the machine computes in it; elsewhere it would take ten times as long as float32."""
    known = torch.cpu.get_capabilities()
    fast = device.type != "cpu" or bool(known.get("avx512_bf16") or known.get("amx_bf16"))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def generator(seed: int, step: int) -> torch.Generator:
    """Randomness of one step, the same whether or not the run was interrupted before it."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def progress(items, label: str):
    """Yield `items`, saying now and then how far it is."""
    items, since = list(items), time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - since > 10 or number == 0:
            since = time.monotonic()
            print(f"{label} {number}/{len(items)}", flush=True)
        yield item


def train(
    network, loss, measure, steps: int, state: Path, rate: float, seed: int = 0, recipe: str = "", cool_down=COOL_DOWN,
    make_optimizer=Optimizer,
):  # fmt: skip
    """Train `network` and return the average of its weights over the last steps.

    Parameters
    ----------
    loss : callable
        (network, step, generator) -> dict of scalars, printed on the way; the one called "loss" is learned from.
    measure : callable
        (averaged network) -> dict of figures on held-out photographs, printed on the way.
    state : Path
        Where the run is kept; it goes on from there.
    rate : float
        Highest learning rate.
    recipe : str
        Names what the run depends on; a state of another recipe, of other layers, rate or steps raises ValueError.
    cool_down : float
        Share of the steps over which the learning rate falls to nothing.
    make_optimizer : callable
        network -> what has `step(rate)`, `state_dict` and `load_state_dict`.
    """
    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    recipe = hashlib.sha256(f"{recipe} {shapes} {steps} {rate} {seed} {cool_down}".encode()).hexdigest()
    run = Run(network, state, recipe, make_optimizer)
    run.load()
    if run.done:
        print(f"going on from step {run.done} of {steps}", flush=True)
    stopped: list[int] = []
    previous = {name: signal.signal(name, lambda number, _: stopped.append(number)) for name in STOPS}
    saved_at = since = time.monotonic()
    since_step, means = run.done, {}
    try:
        while run.done < steps and not stopped:
            torch.manual_seed(run.done)
            network.train()
            figures = loss(network, run.done, generator(seed, run.done))
            remaining = (steps - run.done) / max(1, cool_down * steps)
            run.step(figures["loss"], rate * min(1.0, (run.done + 1) / WARM_UP, remaining))
            for name, figure in figures.items():
                means[name] = 0.98 * means.get(name, figure.item()) + 0.02 * figure.item()
            if not math.isfinite(means["loss"]):
                raise FloatingPointError(f"The loss is {means['loss']} at step {run.done}.")
            if run.done % 50 == 0:
                pace = (time.monotonic() - since) / (run.done - since_step)
                print(f"step {run.done}/{steps}  {pace:.2f} s/step  {spell(means)}", flush=True)
                since, since_step = time.monotonic(), run.done
            if run.done % MEASURE_EVERY == 0 or run.done == steps:
                print(f"step {run.done}/{steps}  held out: {spell(measure(run.average.network))}", flush=True)
            if time.monotonic() - saved_at > SAVE_EVERY:
                run.save()
                saved_at = time.monotonic()
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
    run.save()
    if stopped:
        print(f"Stopped at step {run.done}; the same command goes on from there.", flush=True)
        sys.exit(128 + stopped[0])
    return run.average.network


def spell(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {figure:.4f}" for name, figure in figures.items())
