"""The learned codec as torch computes it, in floating point and with gradients: for training, and to refine latents.

What files are written and read by is `codec/learned/`, which needs no torch and is exact. A patch of 2x2 of a
latent becomes M coefficients y; y is coded in passes, each of which sees what the earlier ones gave (spatial phases as
in He et al. 2021, uneven channel groups as in He et al. 2022, both interleaved so that every place codes something in
most passes as in Li et al. 2023). Coefficients are rounded around their predicted mean with a step that depends on the
channel and on the quality, so one set of weights serves all rates.
"""

import io
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn import Conv2d

from ..learned import passes
from ..learned.passes import NUM_GROUPS, PASSES, starts
from ..learned.weights import SCALES as TABLES
from ..learned.weights import SYNTHESIS_BLOCKS, UNIT

WIDTH = 64  # channels of every hidden layer
SCALES = (0.04, 48.0)  # of the logistic distributions, in steps
INDEX = math.log(SCALES[1] / SCALES[0]) / (TABLES - 1)  # natural logarithm between two tables

Autocast = Callable[[torch.device], AbstractContextManager]


def full_precision(device: torch.device) -> AbstractContextManager:
    return torch.autocast(device.type, enabled=False)


def phase_masks(height: int, width: int, device: torch.device | None = None) -> dict[str, torch.Tensor]:
    """Name -> (height, width) float mask of the places of each phase."""
    found = passes.phases(height, width)
    return {name: torch.from_numpy(mask).to(device, torch.float32) for name, mask in found.items()}


def conv(inputs: int, outputs: int, size: int = 3) -> Conv2d:
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

    def __init__(self, inputs: int, outputs: int, autocast: Autocast):
        super().__init__()
        self.linear, self.autocast = Conv2d(inputs, outputs, 1), autocast
        self.head, self.blocks = conv(inputs + 1, WIDTH), nn.ModuleList(Block() for _ in range(SYNTHESIS_BLOCKS))
        self.tail = conv(WIDTH, outputs)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x, plane):
        with self.autocast(x.device):
            t = self.head(torch.cat([x, plane], 1))
            for block in self.blocks:
                t = block(t)
            t = torch.relu(t)
        with full_precision(x.device):
            return self.linear(x) + self.tail(t.float())


class Context(nn.Module):
    """What is known so far -> mean and logarithm of the scale of `coded` coefficients of every place."""

    def __init__(self, known: int, coded: int, autocast: Autocast):
        super().__init__()
        self.first, self.second, self.third = conv(known, WIDTH), conv(WIDTH, WIDTH), conv(WIDTH, WIDTH)
        self.last, self.autocast = conv(WIDTH, 2 * coded, 1), autocast
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, x):
        with self.autocast(x.device):
            x = torch.relu(self.first(x))
            x = torch.relu(self.second(x))
            x = torch.relu(self.third(x))
        with full_precision(x.device):
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


class Network(nn.Module):
    """The transform, and the model of what is likely.

    Parameters
    ----------
    channels : int
        Of the latent.
    groups : tuple of int
        Coefficients of each group.
    autocast : callable
        torch.device -> context in which hidden layers are computed.
    """

    def __init__(self, channels: int, groups: tuple[int, ...], autocast: Autocast = full_precision):
        super().__init__()
        self.channels, self.groups = channels, groups
        patch, total = 4 * channels, sum(groups)
        # Linear is enough here: a residual network beside it, trained for 150 steps, gained at most 1 % of the loss.
        self.analysis, self.synthesis = Conv2d(patch, total, 1), Transform(total, patch, autocast)
        self.contexts = nn.ModuleList(
            Context(total + NUM_GROUPS + 1, sum(groups[g] for g, _ in coded), autocast) for coded in PASSES
        )
        self.starts = starts(groups)

    def code(self, y, log_step, plane, hard: bool, generator: torch.Generator | None = None):
        """Coded and decoded coefficients, and bits of each.

        `hard` counts the bits of what is really rounded; else it is rounded at random, by a generator of the processor.
        """

        def noise(k):
            return torch.rand_like(k) if generator is None else torch.rand(k.shape, generator=generator).to(k)

        step = torch.exp(log_step)
        height, width = y.shape[-2:]
        masks = phase_masks(height, width, y.device)
        known = torch.zeros(NUM_GROUPS, height, width, device=y.device)
        done = torch.zeros_like(y)
        bits = torch.zeros((), dtype=torch.float32, device=y.device)
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
                counted = rounded if hard else k + noise(k) - 0.5
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

    def coded(self, z, log_step, quality, hard: bool, generator: torch.Generator | None = None):
        """Scaled latents (B, C, h, w), sides even -> decoded latents, bits of each (B,).

        `log_step` is (B, M, 1, 1), `quality` (B,) from 0 to 1.
        """
        x = F.pixel_unshuffle(z, 2)
        plane = (2 * quality - 1)[:, None, None, None].expand(-1, 1, *x.shape[-2:])
        y_hat, bits = self.code(self.analysis(x), log_step, plane, hard, generator)
        return F.pixel_shuffle(self.synthesis(y_hat, plane), 2), bits

    def layers(self, scale: float) -> Iterator[tuple]:
        """Each layer of the decoder: its name in a file, in the network, the type of its weights, units of its output.

        A file's means come in 1 / UNIT, its scales as numbers of tables, and its latents over `scale`.
        """
        for number, context in enumerate(self.contexts):
            last = np.repeat([float(UNIT), 1 / INDEX], context.last.out_channels // 2)
            kinds = {
                "first": (np.int16, 1.0), "second": (np.int8, 1.0), "third": (np.int8, 1.0), "last": (np.int16, last)
            }  # fmt: skip
            for layer, kind in kinds.items():
                yield f"c{number}.{layer}", f"contexts.{number}.{layer}", *kind
        yield "s.head", "synthesis.head", np.int16, 1.0
        for number in range(len(self.synthesis.blocks)):
            for layer in ("first", "second"):
                yield f"s.{number}.{layer}", f"synthesis.blocks.{number}.{layer}", np.int8, 1.0
        for layer in ("tail", "linear"):
            yield f"s.{layer}", f"synthesis.{layer}", np.int16, 1 / scale

    def read(self, content: bytes) -> np.ndarray:
        """Take the weights of a file, but for what rounding to integers took, and return its (256, M) steps, whole."""
        with np.load(io.BytesIO(content)) as file:
            arrays = {name: file[name] for name in file.files}
        scale, shift = float(arrays["scale"]), arrays["shift"]
        arrays["s.linear.b"] = arrays["s.linear.b"] - shift
        for name, path, _, output_scale in self.layers(scale):
            layer = self.get_submodule(path)
            whole, multiplier, bias, unit = (arrays[f"{name}.{part}"] for part in ("w", "m", "b", "scale"))
            unit = multiplier.astype(np.float64) * float(unit) / output_scale
            w = torch.from_numpy(np.asarray(whole * unit, np.float32))
            w = w.reshape(*layer.kernel_size, layer.in_channels, -1).permute(3, 2, 0, 1)
            layer.load_state_dict({"weight": w, "bias": torch.from_numpy(np.asarray(bias / output_scale, np.float32))})
        weight, bias = (torch.from_numpy(arrays[f"a.linear.{part}"].astype(np.float32)) for part in "wb")
        self.analysis.load_state_dict({"weight": weight.T[..., None, None], "bias": bias})
        return arrays["steps"]
