"""Random changes of two images alike, so that what is judged through them is harder to fool.

As in Kettunen, Härkönen and Lehtinen, "E-LPIPS: Robust Perceptual Image Similarity via Random Transformation Ensembles"
(2019). Needs torch.
"""

import math

import torch
import torch.nn.functional as F

BLUR = torch.tensor([1.0, 2.0, 1.0])


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
