"""The denoiser and its ControlNet: the U-Net of Stable Diffusion 1.5 without attention, and narrow.

Layers bear the names they have in a checkpoint of SD 1.5, and group norms have as many channels a group as there.
So the narrow network becomes one that ComfyUI reads as SD 1.5 by padding its layers with zeros to 320 channels: the
groups that hold nothing but zeros stay zero, and every number that is left is the same.
"""

import math

import torch
from torch import nn
from torch.nn.functional import interpolate

WIDTH = 120  # multiple of 20: a group of norms behind skip connections holds 20 channels, 10 elsewhere
LEVELS = 4
TIME = 480  # width of the time embedding, 1280 in SD 1.5
TIME_WAVES = 320  # sines and cosines of the timestep, as in SD 1.5
LATENT_CHANNELS = 4
HINT_WIDTHS = (3, 8, 8, 16, 16, 32, 32, 64)  # 3, 16, 16, 32, 32, 96, 96, 256 in a ControlNet of SD 1.5
HINT_STRIDES = (1, 1, 2, 1, 2, 1, 2, 1)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def timestep_waves(labels: torch.Tensor) -> torch.Tensor:
    """(B,) timesteps 0..999 -> (B, 320), cosines first."""
    half = TIME_WAVES // 2
    frequencies = torch.exp(torch.arange(half, device=labels.device) * (-math.log(10000) / half))
    angles = labels.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResBlock(nn.Module):
    def __init__(self, inputs: int, width: int = WIDTH):
        super().__init__()
        groups = width // 10
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, inputs), nn.SiLU(), conv(inputs, width))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(TIME, width))
        self.out_layers = nn.Sequential(nn.GroupNorm(groups, width), nn.SiLU(), nn.Identity(), zero(conv(width, width)))
        self.skip_connection = nn.Identity() if inputs == width else conv(inputs, width, kernel=1)

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Downsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.op = conv(width, width, stride=2)

    def forward(self, x, _emb):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = conv(width, width)

    def forward(self, x, size):
        return self.conv(interpolate(x, size=size, mode="nearest"))


class Trunk(nn.Module):
    """What denoiser and ControlNet share: the way down and the middle."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.time_embed = nn.Sequential(nn.Linear(TIME_WAVES, TIME), nn.SiLU(), nn.Linear(TIME, TIME))
        blocks = [nn.ModuleList([conv(LATENT_CHANNELS, width)])]
        for level in range(LEVELS):
            if level:
                blocks.append(nn.ModuleList([Downsample(width)]))
            blocks.append(nn.ModuleList([ResBlock(width, width)]))
        self.input_blocks = nn.ModuleList(blocks)
        self.middle_block = nn.ModuleList([ResBlock(width, width)])

    def embed(self, labels):
        return self.time_embed(timestep_waves(labels))

    def down(self, x, emb, hint=None):
        """Return the features that the skip connections carry, and those of the middle."""
        h = self.input_blocks[0][0](x)
        if hint is not None:
            h = h + hint
        features = [h]
        for (block,) in self.input_blocks[1:]:
            h = block(h, emb)
            features.append(h)
        return features, self.middle_block[0](h, emb)


class UNet(Trunk):
    """eps(z, t) of scaled SD 1.x latents z: (B, 4, h, w), labels (B,) -> (B, 4, h, w)."""

    def __init__(self, width: int = WIDTH):
        super().__init__(width)
        blocks = []
        for level in reversed(range(LEVELS)):
            blocks.append(nn.ModuleList([ResBlock(2 * width, width)]))
            last = nn.ModuleList([ResBlock(2 * width, width)])
            if level:
                last.append(Upsample(width))
            blocks.append(last)
        self.output_blocks = nn.ModuleList(blocks)
        self.out = nn.Sequential(nn.GroupNorm(width // 10, width), nn.SiLU(), conv(width, LATENT_CHANNELS))

    def forward(self, z, labels, control=None):
        """`control`, from a ControlNet, is added to the skip connections and the middle."""
        emb = self.embed(labels)
        features, h = self.down(z, emb)
        if control is not None:
            skips, middle = control
            h = h + middle
            features = [feature + skip for feature, skip in zip(features, skips, strict=True)]
        for block in self.output_blocks:
            h = block[0](torch.cat([h, features.pop()], dim=1), emb)
            if len(block) > 1:
                h = block[1](h, features[-1].shape[-2:])
        return self.out(h)


class Outputs(nn.Module):
    """The layers between a ControlNet's features and the denoiser's; they add nothing before training."""

    def __init__(self, count: int, width: int):
        super().__init__()
        self.zero_convs = nn.ModuleList(nn.ModuleList([zero(conv(width, width, kernel=1))]) for _ in range(count))
        self.middle_block_out = nn.ModuleList([zero(conv(width, width, kernel=1))])

    def forward(self, features, middle):
        skips = [layer(feature) for (layer,), feature in zip(self.zero_convs, features, strict=True)]
        return skips, self.middle_block_out[0](middle)


class ControlNet(Trunk):
    """What edges (B, 3, 8 h, 8 w), 0 or 1, add to the denoiser of z.

    Two ControlNets in one, which share all layers but the last: for what Eq. (1) has inverted, "ddim", and for the
    exact pair, "exact", by whose way back nothing is lost that would have to be undone.
    """

    METHODS = "ddim", "exact"

    def __init__(self, width: int = WIDTH):
        super().__init__(width)
        layers = []
        for inputs, outputs, stride in zip(HINT_WIDTHS, (*HINT_WIDTHS[1:], width), HINT_STRIDES, strict=True):
            layers += [conv(inputs, outputs, stride=stride), nn.SiLU()]
        self.input_hint_block = nn.Sequential(*layers[:-1])
        self.outputs = nn.ModuleDict({method: Outputs(len(self.input_blocks), width) for method in self.METHODS})

    def forward(self, z, labels, edges, method: str = "ddim"):
        return self.outputs[method](*self.down(z, self.embed(labels), self.input_hint_block(edges)))

    def start_from(self, unet: UNet):
        """Take over the way down of a trained denoiser, as ControlNets do."""
        self.load_state_dict({k: v for k, v in unet.state_dict().items() if k in self.state_dict()}, strict=False)


def alphas_cumprod() -> torch.Tensor:
    """(1000,) float64: the schedule of SD 1.x, scaled linear from 0.00085 to 0.012."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0)
