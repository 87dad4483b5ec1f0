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

MUON_FROM = 32  # channels in and out; narrower layers, biases and norms are left to AdamW
WARM_UP = 200  # steps over which the learning rate rises
COOL_DOWN = 0.25  # share of the steps over which it falls to nothing at the end, unless told
MEASURE_EVERY = 500  # steps
KEEP_EVERY = 120  # seconds between two states on the disk


class Average:
    """Running average of a network's weights: what is measured and shipped. Its memory grows with the run."""

    def __init__(self, network: torch.nn.Module):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def follow(self, network: torch.nn.Module, step: int):
        share = 1 - min(0.9995, (1 + step) / (10 + step))
        for mean, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            mean.lerp_(value, share)


class Optimizer:
    """Muon (Jordan et al. 2024) for the wide layers, AdamW for the rest.

    Muon of torch takes matrices only, so it works on copies of the layers, laid flat.
    """

    def __init__(self, network: torch.nn.Module):
        def is_wide(parameter):
            return parameter.ndim > 1 and min(parameter.shape[:2]) >= MUON_FROM

        self.layers = [parameter for parameter in network.parameters() if is_wide(parameter)]
        self.matrices = [torch.nn.Parameter(layer.detach().flatten(1).clone()) for layer in self.layers]
        rest = [parameter for parameter in network.parameters() if not is_wide(parameter)]
        self.parts = []
        if rest:
            self.parts.append(torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=1e-4))
        if self.matrices:
            self.parts.append(torch.optim.Muon(self.matrices, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw"))

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, kept: list[dict]):
        for part, state in zip(self.parts, kept, strict=True):
            part.load_state_dict(state)

    @torch.no_grad()
    def step(self, rate: float):
        for matrix, layer in zip(self.matrices, self.layers, strict=True):
            matrix.copy_(layer.flatten(1))
            matrix.grad = layer.grad.flatten(1)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
        for matrix, layer in zip(self.matrices, self.layers, strict=True):
            layer.copy_(matrix.view(layer.shape))


def device() -> torch.device:
    return torch.device(accelerator.kind() or "cpu")


def autocast(device: torch.device):
    """bfloat16 where the machine computes in it; elsewhere it would take ten times as long as float32."""
    fast = device.type != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16", False)
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
    network, loss, measure, steps: int, state: Path, rate: float, seed: int = 0, recipe: str = "", cool_down=COOL_DOWN
):
    """Train `network` and return the average of its weights over the last steps.

    Parameters
    ----------
    loss : callable
        (network, step, generator) -> scalar tensor, the loss of one step.
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
    """
    optimizer = Optimizer(network)
    shapes = [tuple(parameter.shape) for parameter in network.parameters()]
    recipe = hashlib.sha256(f"{recipe} {shapes} {steps} {rate} {seed} {cool_down}".encode()).hexdigest()
    average, done = Average(network), 0
    if state.is_file():
        kept = torch.load(state, map_location="cpu", weights_only=True)
        if kept.get("recipe") != recipe:
            raise ValueError(f"{state} holds a run of another kind. Delete it to begin anew.")
        network.load_state_dict(kept["network"])
        average.network.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["done"]
        print(f"going on from step {done} of {steps}", flush=True)

    def keep():
        state.parent.mkdir(parents=True, exist_ok=True)
        part = state.with_suffix(".part")
        torch.save(
            {
                "network": network.state_dict(),
                "average": average.network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "done": done,
                "recipe": recipe,
            },
            part,
        )
        part.replace(state)

    stopped = []
    previous = {name: signal.signal(name, lambda number, _: stopped.append(number)) for name in STOPS}
    kept_at, mean, since, since_step = time.monotonic(), None, time.monotonic(), done
    try:
        while done < steps and not stopped:
            remaining = (steps - done) / max(1, cool_down * steps)
            value = loss(network, done, generator(seed, done))
            network.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step(rate * min(1.0, (done + 1) / WARM_UP, remaining))
            done += 1
            average.follow(network, done)
            mean = value.item() if mean is None else 0.98 * mean + 0.02 * value.item()
            if not math.isfinite(mean):
                raise FloatingPointError(f"The loss is {mean} at step {done}.")
            if done % 50 == 0:
                pace = (time.monotonic() - since) / (done - since_step)
                print(f"step {done}/{steps}  loss {mean:.4f}  {pace:.2f} s/step", flush=True)
                since, since_step = time.monotonic(), done
            if done % MEASURE_EVERY == 0 or done == steps:
                figures = "  ".join(f"{name} {figure:.4f}" for name, figure in measure(average.network).items())
                print(f"step {done}/{steps}  held out: {figures}", flush=True)
            if time.monotonic() - kept_at > KEEP_EVERY:
                keep()
                kept_at = time.monotonic()
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)
    keep()
    if stopped:
        print(f"Stopped at step {done}; the same command goes on from there.", flush=True)
        sys.exit(128 + stopped[0])
    return average.network


STOPS = (signal.SIGINT, signal.SIGTERM)
