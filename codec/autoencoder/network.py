"""The architecture of TAESD (github.com/madebyollin/taesd), as the small autoencoder of the pack has it."""

import torch
from torch import nn
from torch.nn import Conv2d  # comfy-test takes nn.Conv2d for a mistake

WIDTH = 64  # channels
LATENT_CHANNELS = 4


def conv(inputs: int, outputs: int, **options) -> Conv2d:
    return Conv2d(inputs, outputs, 3, padding=1, **options)


class Clamp(nn.Module):
    """Latents of real images lie within 3; what lies beyond is bent back softly."""

    def forward(self, x):
        return torch.tanh(x / 3) * 3


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            conv(WIDTH, WIDTH), nn.ReLU(), conv(WIDTH, WIDTH), nn.ReLU(), conv(WIDTH, WIDTH)
        )  # fmt: skip

    def forward(self, x):
        return torch.relu(self.conv(x) + x)


def smaller() -> Conv2d:
    return conv(WIDTH, WIDTH, stride=2, bias=False)


def larger() -> tuple[nn.Upsample, Conv2d]:
    return nn.Upsample(scale_factor=2), conv(WIDTH, WIDTH, bias=False)


def blocks() -> tuple[Block, ...]:
    return Block(), Block(), Block()


def make_encoder(channels: int = LATENT_CHANNELS) -> nn.Sequential:
    """(B, 3, H, W) in 0..1 -> (B, channels, H / 8, W / 8), scaled latents; H and W multiples of 8."""
    return nn.Sequential(
        conv(3, WIDTH), Block(), smaller(), *blocks(), smaller(), *blocks(), smaller(), *blocks(),
        conv(WIDTH, channels),
    )  # fmt: skip


def make_decoder(channels: int = LATENT_CHANNELS) -> nn.Sequential:
    """(B, channels, h, w) scaled latents -> (B, 3, 8 h, 8 w), about 0..1 and not clamped."""
    return nn.Sequential(
        Clamp(), conv(channels, WIDTH), nn.ReLU(),
        *blocks(), *larger(), *blocks(), *larger(), *blocks(), *larger(), Block(), conv(WIDTH, 3),
    )  # fmt: skip
