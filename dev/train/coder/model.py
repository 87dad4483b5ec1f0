"""The learned codec as torch trains it: transform, entropy model, steps. What runs in the end is `codec/learned/`.

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
from sdc_pack.codec.learned.passes import NUM_GROUPS, PASSES, starts
from torch import nn
from torch.nn import Conv2d

from .. import loop

WIDTH = 64  # channels of every hidden layer
ANCHORS = 7  # qualities at which the steps are learned; between them their logarithm is linear
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
        with loop.autocast(x.device):
            t = self.head(torch.cat([x, plane], 1))
            for block in self.blocks:
                t = block(t)
            t = torch.relu(t)
        with torch.autocast(x.device.type, enabled=False):
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
        with loop.autocast(x.device):
            x = torch.relu(self.first(x))
            x = torch.relu(self.second(x))
            x = torch.relu(self.third(x))
        with torch.autocast(x.device.type, enabled=False):
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


def least_squares(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, a), (N, b) -> the (b, a) matrix and (b,) bias that take x nearest to y."""
    centered = x - x.mean(0)
    square = centered.T @ centered / len(x) + 1e-3 * torch.eye(x.shape[1])
    matrix = torch.linalg.solve(square, centered.T @ (y - y.mean(0)) / len(x)).T
    return matrix, y.mean(0) - matrix @ x.mean(0)


class Coder(nn.Module):
    """`groups`: coefficients of each group; `lambdas`: what an error weighs against a bit at q = 0 and q = 1."""

    def __init__(self, channels: int, groups: tuple[int, ...], lambdas: tuple[float, float]):
        super().__init__()
        self.channels, self.groups, self.lambdas = channels, groups, lambdas
        patch, total = 4 * channels, sum(groups)
        # Linear is enough here: a residual network beside it, trained for 150 steps, gained at most 1 % of the loss.
        self.analysis, self.synthesis = Conv2d(patch, total, 1), Transform(total, patch, 4)
        self.contexts = nn.ModuleList(
            Context(total + NUM_GROUPS + 1, sum(groups[g] for g, _ in coded)) for coded in PASSES
        )
        log_lambda = torch.log(self.lambda_of(torch.linspace(0, 1, ANCHORS)))
        self.log_steps = nn.Parameter((0.5 * (math.log(8.6) - log_lambda))[:, None].repeat(1, total))
        self.starts = starts(groups)

    def lambda_of(self, q: torch.Tensor) -> torch.Tensor:
        low, high = self.lambdas
        return low * (high / low) ** q

    @torch.no_grad()
    def start_from(self, patches: torch.Tensor, metric: torch.Tensor, known: torch.Tensor | None = None, places=()):
        """Set the linear maps by least squares.

        The coefficients at `places` become those `known` of the patches, and the others the principal components of
        what is left of the patches, as the metric sees them.

        Parameters
        ----------
        patches : (N, 4 C) tensor
        metric : (C, C) tensor
        known : (N, len(places)) tensor
        """
        rest = [number for number in range(self.starts[-1]) if number not in set(places)][: patches.shape[1]]
        to_known, known_bias = least_squares(patches, known) if places else (patches.new_zeros(0, patches.shape[1]), 0)
        from_known, mean = least_squares(known, patches) if places else (to_known.T, patches.mean(0))
        left = patches - mean - (known @ from_known.T if places else 0)
        values, vectors = torch.linalg.eigh(torch.kron(metric, torch.eye(4)))
        seen, back = (vectors * values.sqrt() @ vectors.T for values in (values, 1 / values))
        _, components = torch.linalg.eigh((left @ seen).T @ (left @ seen))
        basis = components.flip(1).T[: len(rest)] @ seen  # the largest first
        analysis, synthesis = self.analysis, self.synthesis.linear
        for layer in (analysis, synthesis):
            layer.weight.mul_(0.02)
            layer.bias.zero_()
        analysis.weight[list(places), :, 0, 0], analysis.bias[list(places)] = to_known, known_bias
        analysis.weight[rest, :, 0, 0] = basis - basis @ from_known @ to_known
        analysis.bias[rest] = -basis @ (mean + from_known @ (patches.new_zeros(len(places)) + known_bias))
        synthesis.weight[:, list(places), 0, 0] = from_known
        synthesis.weight[:, rest, 0, 0] = back @ (basis @ back).T
        synthesis.bias.copy_(mean)
        self._expect(rest, analysis(patches[..., None, None])[..., 0, 0].std(0))

    def _expect(self, chosen: list[int], deviations: torch.Tensor):
        """Let the entropy model start with the deviations (M,) of these coefficients."""
        for context, coded in zip(self.contexts, PASSES, strict=True):
            half = context.last.out_channels // 2
            places = [number for group, _ in coded for number in range(self.starts[group], self.starts[group + 1])]
            for row, number in enumerate(places):
                if number in chosen:
                    context.last.bias[half + row] = torch.log(deviations[number] / 2)

    @torch.no_grad()
    def take_over(self, other: "Coder") -> list[tuple[int, int]]:
        """Take the weights of another network, for the first coefficients of each group, as many as both have.

        Returns where they are here and there.

        Where this network has more of them, the others are neither predicted nor used to predict. The maps from and
        to the latent are taken over where both have as many channels.
        """
        pairs = [
            (mine + n, theirs + n)
            for mine, theirs, own, known in zip(self.starts, other.starts, self.groups, other.groups, strict=False)
            for n in range(min(own, known))
        ]
        total, known = self.starts[-1], other.starts[-1]
        seen = {"coefficients": pairs, "all": [*pairs, *((total + n, known + n) for n in range(NUM_GROUPS + 1))]}
        inputs = {"synthesis.linear": "coefficients", "synthesis.head": "all"}
        inputs |= {f"contexts.{number}.first": "all" for number in range(len(PASSES))}
        outputs = {"analysis": pairs}
        for number, coded in enumerate(PASSES):
            sizes = [(self.groups[g], other.groups[g]) for g, _ in coded] * 2  # means, then scales
            ends = [tuple(sum(size[side] for size in sizes[:n]) for side in range(2)) for n in range(len(sizes))]
            rows = [(a + n, b + n) for (a, b), size in zip(ends, sizes, strict=True) for n in range(min(size))]
            outputs[f"contexts.{number}.last"] = rows
        own_state = self.state_dict()
        for name, value in other.state_dict().items():
            layer, own = name.rpartition(".")[0], own_state[name]
            if self.channels != other.channels and layer in ("analysis", "synthesis.linear", "synthesis.tail"):
                continue
            axis, chosen = 0, outputs.get(layer)
            if name == "log_steps":
                axis, chosen = 1, pairs
            elif layer in inputs and own.ndim > 1:
                axis, chosen = 1, seen[inputs[layer]]
            if chosen is None:
                own.copy_(value)
                continue
            mine, theirs = ([pair[side] for pair in chosen if pair[0] < own.shape[axis]] for side in range(2))
            if name != "log_steps":
                own.zero_()
            own.index_copy_(axis, torch.tensor(mine), value.index_select(axis, torch.tensor(theirs)))
        return pairs

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
        known = torch.zeros(NUM_GROUPS, height, width)
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
                mask, size = masks[phase], self.groups[group]
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
        y = self.analysis(x)
        y_hat, bits = self.code(y, self.steps(q), plane, hard)
        return F.pixel_shuffle(self.synthesis(y_hat, plane), 2), bits
