"""What both stages of training the learned codec share: the optimizer, the loop, what is measured on the way."""

import copy
import math
import time

import torch

CROP = 32  # latents
RATE, WARM_UP = 2e-3, 100
KEEP_EVERY = 120  # seconds
MEASURE_EVERY = 250  # steps


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
    """Muon for the wide layers, AdamW for the rest."""

    def __init__(self, network):
        wide = [p for p in network.parameters() if p.ndim == 4 and min(p.shape[:2]) >= 24 and p.shape[2] == 3]
        kept = {id(p) for p in wide}
        rest = [p for p in network.parameters() if id(p) not in kept]
        self.parts = [torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=0.0), Muon(wide)]

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, kept):
        for part, state in zip(self.parts, kept, strict=True):
            part.load_state_dict(state)

    def step(self, rate):
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()


def distortion(error: torch.Tensor, metric: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B,) mean over scalars of e^T M e."""
    return torch.einsum("bihw,ij,bjhw->b", error, metric, error) / error[0].numel()


@torch.no_grad()
def measure(network, held_out, metric):
    """Bytes per 64x64 latents and mean squared error of the scaled latent, at some qualities."""
    network.eval()
    lines = []
    for q in (0.1, 0.3, 0.5, 0.7):
        size, error, loss, places = 0.0, 0.0, 0.0, 0
        for z in held_out:
            z = z[None].float()
            out, bits = network(z, torch.full((1,), q), hard=True)
            area = z.shape[-1] * z.shape[-2]
            size += bits.item() / 8
            error += (out - z).square().mean().item() * area
            rate = bits.item() / z.numel()
            loss += (rate + network.lambda_of(torch.tensor(q)).item() * distortion(out - z, metric).item()) * area
            places += area
        lines.append(f"q{q} {size / places * 4096:.0f}B mse {error / places:.4f} L {loss / places:.4f}")
    return " | ".join(lines)


def crops_of_held_out(maps, count=10):
    kept = [m for m in maps if min(m.shape[-2:]) >= 32]
    chosen = kept[:: max(1, len(kept) // count)][:count]
    return [m[:, : min(64, m.shape[1] // 2 * 2), : min(64, m.shape[2] // 2 * 2)] for m in chosen]


def run(state, steps, loss_of, network, rate, cool_down, batch_seed, held_out, metric):
    """The loop of both stages, kept in `state`; returns the average of the weights."""
    state.parent.mkdir(parents=True, exist_ok=True)
    optimizer, average, done = Optimizer(network), copy.deepcopy(network).eval(), 0
    if state.is_file():
        kept = torch.load(state, map_location="cpu", weights_only=True)
        network.load_state_dict(kept["network"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["done"]

    def keep():
        part = state.with_suffix(".part")
        torch.save({"network": network.state_dict(), "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(), "done": done}, part)  # fmt: skip
        part.replace(state)

    kept_at = since = time.monotonic()
    since_step, mean = done, {}
    while done < steps:
        generator = torch.Generator().manual_seed(batch_seed * 1_000_003 + done)
        torch.manual_seed(done)
        network.train()
        loss, figures = loss_of(network, generator)
        network.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        left = (steps - done) / max(1, cool_down * steps)
        if math.isfinite(norm.item()):
            optimizer.step(rate * min(1.0, (done + 1) / WARM_UP, left))
        done += 1
        with torch.no_grad():
            share = 1 - min(0.998, (1 + done) / (10 + done))
            for a, b in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                a.lerp_(b, share)
        for name, value in (figures | {"loss": loss.item(), "norm": norm.item()}).items():
            mean[name] = value if name not in mean else 0.98 * mean[name] + 0.02 * value
        if done % 50 == 0:
            pace = (time.monotonic() - since) / (done - since_step)
            print(time.strftime("%H:%M:%S"), f"step {done}/{steps} {pace:.3f} s/step",
                  " ".join(f"{n} {v:.4f}" for n, v in mean.items()), flush=True)  # fmt: skip
            since, since_step = time.monotonic(), done
        if done % MEASURE_EVERY == 0:
            print(f"step {done} held out: {measure(average, held_out, metric)}", flush=True)
        if time.monotonic() - kept_at > KEEP_EVERY:
            keep()
            kept_at = time.monotonic()
    keep()
    return average
