"""How different two images look, by two networks, as one alone is soon fooled. Needs torch.

One is the first half of EfficientNet-lite0, which knows what images show (Tan and Le, "EfficientNet: Rethinking Model
Scaling for Convolutional Neural Networks", 2019), the other the small encoder of the pack, which sees every detail. As
in LPIPS (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018), the features of
each layer are scaled to length one at every place, and the squared differences are added up with a weight for each
channel. `dev/train/perception.py` makes both files of weights.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torch.nn import Conv2d  # comfy-test takes nn.Conv2d for a mistake

from .network import make_encoder
from .plain import WEIGHTS, read_weights

NETWORK, CHANNELS = "judge/efficientnet_lite0.safetensors", "judge/channels.safetensors"
STEM = 32  # channels
# Of each block: channels, how many times as many it has within, side of its kernel, stride.
BLOCKS = (
    (16, 1, 3, 1), (24, 6, 3, 2), (24, 6, 3, 1), (40, 6, 5, 2), (40, 6, 5, 1), (80, 6, 3, 2), (80, 6, 3, 1),
    (80, 6, 3, 1), (112, 6, 5, 1), (112, 6, 5, 1), (112, 6, 5, 1),
)  # fmt: skip
ENCODER = (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13)  # layers of the small encoder
SMALLER = 2  # times, is the image that the small encoder sees: a quarter of the work
OFFSET = 1e-2  # added to the squared length, so that features near 0 stay there
SHARES = {"features": 1.5, "L1": 0.5}  # of the difference


def conv(inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> Conv2d:
    return Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, groups=groups)


class Block(nn.Module):
    """MBConv: wider, each channel by itself, and narrow again."""

    def __init__(self, inputs: int, outputs: int, factor: int, size: int, stride: int):
        super().__init__()
        wide = inputs * factor
        layers = [conv(inputs, wide), nn.ReLU6()] if factor > 1 else []
        layers += [conv(wide, wide, size, stride, groups=wide), nn.ReLU6(), conv(wide, outputs)]
        self.layers, self.adds = nn.Sequential(*layers), stride == 1 and inputs == outputs

    def forward(self, x):
        return self.layers(x) + x if self.adds else self.layers(x)


class EfficientNet(nn.Sequential):
    """The stem and blocks whose features are looked at; batch norms are part of the convolutions."""

    def __init__(self):
        widths = (STEM, *(width for width, *_ in BLOCKS))
        blocks = (Block(inputs, *settings) for inputs, settings in zip(widths, BLOCKS, strict=False))
        super().__init__(nn.Sequential(conv(3, STEM, 3, 2), nn.ReLU6()), *blocks)


def to_bytes(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Layers as they are stored: weights of one byte, with a scale for each output, and biases in float16."""
    found = {}
    for name, value in state.items():
        if name.endswith("weight"):
            scale = value.abs().amax((1, 2, 3), keepdim=True) / 127
            found[f"{name}.scale"] = scale.half()
            found[name] = (
                (value / found[f"{name}.scale"].float().clamp(min=1e-7)).round().clamp(-127, 127).to(torch.int8)
            )
        else:
            found[name] = value.half()
    return found


def from_bytes(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layers that `to_bytes` stored."""
    scales = {name.removesuffix(".scale"): value for name, value in stored.items() if name.endswith(".scale")}
    return {
        name: value.float() * scales[name].float() if name in scales else value.float()
        for name, value in stored.items()
        if not name.endswith(".scale")
    }


class Judge(nn.Module):
    """(B, 3, H, W) about 0..1 twice -> (B,), from 0 for the same."""

    def __init__(self):
        super().__init__()
        self.network = EfficientNet()
        self.network.load_state_dict(from_bytes(load_file(WEIGHTS / NETWORK)))
        self.encoder = make_encoder()[: max(ENCODER) + 1]
        known = read_weights("sdc_tiny_vae_encoder.safetensors")
        self.encoder.load_state_dict({name: torch.from_numpy(known[name]) for name in self.encoder.state_dict()})
        self.register_buffer("channels", torch.tensor(read_weights(CHANNELS)["weights"]))

    def differences(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(B, 1456): the mean squared difference in each channel of each layer."""
        pairs = zip(self.features(images), self.features(targets), strict=True)
        return torch.cat([(one - other).square().mean((2, 3)) for one, other in pairs], 1)

    def features(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Of each layer that is looked at, (B, C, h, w), of length one at every place."""
        small = F.interpolate(x, scale_factor=1 / SMALLER, mode="area", recompute_scale_factor=True)
        looks = ((self.network, x * 2 - 1, range(len(self.network))), (self.encoder, small, ENCODER))
        found = []
        for network, x, layers in looks:
            for number, layer in enumerate(network):
                x = layer(x)
                if number in layers:
                    found.append(x / (x.square().sum(1, keepdim=True) + OFFSET).sqrt())
        return found

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        look = self.differences(images, targets) @ self.channels
        return SHARES["features"] * look + SHARES["L1"] * (images - targets).abs().mean((1, 2, 3))
