"""What both stages of training the learned coder share: the optimiser, the loop, what is measured on the way."""

import copy
import math
import time

import torch

from .model import lambda_of

BATCH, CROP = 16, 32  # crops of 32 latents
RATE, WARM_UP = 2e-3, 100
KEEP_EVERY = 120  # seconds
MEASURE_EVERY = 250  # steps
# How the decoder sees an error of a latent, mean of squared pixels and LPIPS(squeeze), from sensitivity.py; trace C.
METRIC = [[0.97, 0.12, 0.11, -0.46], [0.12, 0.77, 0.10, -0.18], [0.11, 0.10, 0.90, -0.26], [-0.46, -0.18, -0.26, 1.36]]


class Optimiser:
    """Muon (Jordan et al. 2024) for the wide layers, AdamW for the rest."""

    def __init__(self, network):
        wide = {id(p) for p in network.parameters() if p.ndim == 4 and min(p.shape[:2]) >= 24 and p.shape[2] == 3}
        self.layers = [p for p in network.parameters() if id(p) in wide]
        self.matrices = [torch.nn.Parameter(p.detach().flatten(1).clone()) for p in self.layers]
        rest = [p for p in network.parameters() if id(p) not in wide]
        self.parts = [
            torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=0.0),
            torch.optim.Muon(self.matrices, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw"),
        ]

    def state_dict(self):
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, kept):
        for part, state in zip(self.parts, kept, strict=True):
            part.load_state_dict(state)

    @torch.no_grad()
    def step(self, rate):
        for matrix, layer in zip(self.matrices, self.layers, strict=True):
            matrix.copy_(layer.flatten(1))
            matrix.grad = layer.grad.flatten(1)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
        for matrix, layer in zip(self.matrices, self.layers, strict=True):
            layer.copy_(matrix.view(layer.shape))


def distortion(error: torch.Tensor, metric: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B,) mean over scalars of e^T M e."""
    return torch.einsum("bihw,ij,bjhw->b", error, metric, error) / error[0].numel()


@torch.no_grad()
def measure(network, held_out, metric):
    """Bytes per 64x64 latents and mean squared error of ComfyUI's latent, at some qualities."""
    network.eval()
    lines = []
    for q in (0.1, 0.3, 0.5, 0.7):
        size, error, loss, places = 0.0, 0.0, 0.0, 0
        for z in held_out:
            z = z[None].float()
            out, bits = network(z, torch.full((1,), q), hard=True)
            area = z.shape[-1] * z.shape[-2]
            size += bits.item() / 8
            error += (out - z).square().mean().item() * area / 0.18215**2
            rate = bits.item() / z.numel()
            loss += (rate + lambda_of(q) * distortion(out - z, metric).item()) * area
            places += area
        lines.append(f"q{q} {size / places * 4096:.0f}B mse {error / places:.3f} L {loss / places:.4f}")
    return " | ".join(lines)


def crops_of_held_out(maps, count=10):
    kept = [m for m in maps if min(m.shape[-2:]) >= 32]
    chosen = kept[:: max(1, len(kept) // count)][:count]
    return [m[:, : min(64, m.shape[1] // 2 * 2), : min(64, m.shape[2] // 2 * 2)] for m in chosen]


def run(state, steps, loss_of, network, rate, cool_down, batch_seed, held_out, metric):
    """The loop of both stages, kept in `state`; returns the average of the weights."""
    state.parent.mkdir(parents=True, exist_ok=True)
    optimiser, average, done = Optimiser(network), copy.deepcopy(network).eval(), 0
    if state.is_file():
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        average.load_state_dict(kept["average"])
        optimiser.load_state_dict(kept["optimiser"])
        done = kept["done"]

    def keep():
        part = state.with_suffix(".part")
        torch.save({"network": network.state_dict(), "average": average.state_dict(),
                    "optimiser": optimiser.state_dict(), "done": done}, part)  # fmt: skip
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
            optimiser.step(rate * min(1.0, (done + 1) / WARM_UP, left))
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
