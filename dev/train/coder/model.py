"""The learned coder as torch trains it: transform, entropy model, steps. What runs in the end is `codec/learned/`.

A latent (C, h, w), scaled to variance one, is cut into 2x2 patches; a small residual network around a linear
transform turns each patch into M coefficients y; y is coded in passes, each of which sees what the earlier ones gave
(spatial phases as in He et al. 2021, uneven channel groups as in He et al. 2022, both interleaved so that every place
codes something in most passes as in Li et al. 2023). Coefficients are rounded around their predicted mean with a step
that depends on the channel and on the quality q, so one set of weights serves all rates.
"""

import math

import torch
import torch.nn.functional as F
from sdc_pack.codec.learned import passes
from sdc_pack.codec.learned.passes import GROUPS, PASSES
from torch import nn
from torch.nn import Conv2d

WIDTH = 64  # channels of every hidden layer
ANCHORS = 7  # qualities at which the steps are learned; between them their logarithm is linear
LAMBDA = (3.0, 450.0)  # at q = 0 and q = 1
SCALES = (0.04, 48.0)  # of the logistic distributions, in steps


def phase_masks(height: int, width: int) -> dict[str, torch.Tensor]:
    """Name -> (height, width) float mask of the places of each phase."""
    return {name: torch.from_numpy(mask).float() for name, mask in passes.phases(height, width).items()}


def conv(inputs, outputs, size=3):
    return Conv2d(inputs, outputs, size, padding=size // 2)


class Block(nn.Module):
    """Every convolution sees what a ReLU gave, so that integers of one sign serve as its input."""

    def __init__(self):
        super().__init__()
        self.first, self.second = conv(WIDTH, WIDTH), conv(WIDTH, WIDTH)
        nn.init.zeros_(self.second.bias)
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x):
        return x + self.second(torch.relu(self.first(torch.relu(x))))


class Transform(nn.Module):
    """(B, inputs, h, w) and q plane -> (B, outputs, h, w): a linear map plus what a residual network adds."""

    def __init__(self, inputs: int, outputs: int, blocks: int):
        super().__init__()
        self.linear = Conv2d(inputs, outputs, 1)
        self.head, self.blocks = conv(inputs + 1, WIDTH), nn.ModuleList(Block() for _ in range(blocks))
        self.tail = conv(WIDTH, outputs)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x, plane):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            t = self.head(torch.cat([x, plane], 1))
            for block in self.blocks:
                t = block(t)
            t = torch.relu(t)
        with torch.autocast("cpu", enabled=False):
            return self.linear(x) + self.tail(t.float())


class Context(nn.Module):
    """What is known so far -> mean and logarithm of the scale of `coded` coefficients of every place."""

    def __init__(self, known: int, coded: int):
        super().__init__()
        self.first, self.second, self.third = conv(known, WIDTH), conv(WIDTH, WIDTH), conv(WIDTH, WIDTH)
        self.last = conv(WIDTH, 2 * coded, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            x = torch.relu(self.first(x))
            x = torch.relu(self.second(x))
            x = torch.relu(self.third(x))
        with torch.autocast("cpu", enabled=False):
            return self.last(x.float()).chunk(2, 1)


def round_ste(x):
    return x + (x.round() - x).detach()


def logistic_bits(k, log_scale):
    """Bits of the interval k +- 1/2 under a logistic distribution of mean 0; any k, log_scale natural."""
    k = k.abs()
    inverse = torch.exp(-log_scale)
    # In the tail the difference of two sigmoids is taken in the logarithm, where it does not cancel.
    high, low = (0.5 - k) * inverse, (-0.5 - k) * inverse
    log_p = F.logsigmoid(high) + torch.log1p(-torch.exp((F.logsigmoid(low) - F.logsigmoid(high)).clamp(max=-1e-6)))
    return -log_p / math.log(2)


class Coder(nn.Module):
    def __init__(self, channels: int = 4):
        super().__init__()
        patch, total = 4 * channels, sum(GROUPS)
        self.analysis, self.synthesis = Transform(patch, total, 3), Transform(total, patch, 4)
        self.contexts = nn.ModuleList(
            Context(total + len(GROUPS) + 1, sum(GROUPS[g] for g, _ in coded)) for coded in PASSES
        )
        q = torch.linspace(0, 1, ANCHORS)
        log_lambda = math.log(LAMBDA[0]) * (1 - q) + math.log(LAMBDA[1]) * q
        self.log_steps = nn.Parameter((0.5 * (math.log(8.6) - log_lambda))[:, None].repeat(1, total))
        self.starts = [sum(GROUPS[:g]) for g in range(len(GROUPS) + 1)]

    @torch.no_grad()
    def start_from(self, patches: torch.Tensor):
        """Set the linear maps to the principal components of (N, patch) vectors, largest first."""
        patch = patches.shape[1]
        _, vectors = torch.linalg.eigh(patches.T @ patches)
        basis = vectors.flip(1).T  # (components, patch)
        self.analysis.linear.weight.mul_(0.02)
        self.synthesis.linear.weight.mul_(0.02)
        self.analysis.linear.weight[:patch, :, 0, 0] = basis
        self.synthesis.linear.weight[:, :patch, 0, 0] = basis.T

    def steps(self, q):
        """(B,) quality -> (B, M, 1, 1) logarithm of the steps."""
        place = q.clamp(0, 1) * (ANCHORS - 1)
        low = place.floor().clamp(max=ANCHORS - 2).long()
        share = (place - low)[:, None]
        return (self.log_steps[low] * (1 - share) + self.log_steps[low + 1] * share)[..., None, None]

    def code(self, y, log_step, plane, hard: bool):
        """Coded and decoded coefficients, and bits of each. `hard` counts the bits of what is really rounded."""
        step = torch.exp(log_step)
        height, width = y.shape[-2:]
        masks = phase_masks(height, width)
        known = torch.zeros(len(GROUPS), height, width)
        done = torch.zeros_like(y)
        bits = torch.zeros((), dtype=torch.float32)
        low, high = (math.log(s) for s in SCALES)
        for network, coded in zip(self.contexts, PASSES, strict=True):
            state = torch.cat([done, known.expand(len(y), -1, -1, -1), plane], 1)
            means, scales = network(state)
            at = 0
            additions = []
            for group, phase in coded:
                part = slice(self.starts[group], self.starts[group + 1])
                mask, size = masks[phase], GROUPS[group]
                mean, raw = means[:, at : at + size], scales[:, at : at + size]
                at += size
                k = (y[:, part] - mean) / step[:, part]
                log_scale = raw - log_step[:, part]
                log_scale = log_scale + (log_scale.clamp(low, high) - log_scale).detach()
                rounded = round_ste(k)
                counted = rounded if hard else k + torch.rand_like(k) - 0.5
                bits = bits + (logistic_bits(counted, log_scale.clamp(low, high)) * mask).sum((1, 2, 3))
                additions.append((part, (mean + rounded * step[:, part]) * mask))
                known = known.clone()
                known[group] += mask
            # Out of place, for the gradient.
            pieces, position = [], 0
            for part, value in sorted(additions, key=lambda item: item[0].start):
                pieces += [done[:, position : part.start], done[:, part] + value]
                position = part.stop
            done = torch.cat([*pieces, done[:, position:]], 1)
        return done, bits

    def forward(self, z, q, hard: bool = False):
        """Scaled latents (B, C, h, w), sides even, and qualities (B,) -> decoded latents, bits of each (B,)."""
        x = F.pixel_unshuffle(z, 2)
        plane = (2 * q - 1)[:, None, None, None].expand(-1, 1, *x.shape[-2:])
        y = self.analysis(x, plane)
        y_hat, bits = self.code(y, self.steps(q), plane, hard)
        return F.pixel_shuffle(self.synthesis(y_hat, plane), 2), bits


def lambda_of(q):
    return LAMBDA[0] * (LAMBDA[1] / LAMBDA[0]) ** q
