"""The latent formats that the learned codec is trained for, and the tiny autoencoders that stand for them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sdc_pack import codec
from torch import nn

from .. import data
from .model import Coder


@dataclass(frozen=True)
class TrainedFormat:
    """A latent format. ComfyUI's LATENT is what the networks give, over `scale`, plus `shift`.

    groups : tuple of int
        How many coefficients of a patch each group has.
    lambdas : (float, float)
        What an error weighs against a bit at the lowest and at the highest quality.
    share : int
        One photograph of so many is learned from.
    latent_steps, pixel_steps : int
        Of the stage on latents alone, and of the one through the decoder.
    views : tuple of int
        Which views of a photograph are learned from; see data.load.
    start : str or None
        The latent format whose shipped weights it starts from; None: from nothing.
    latent_batch, pixel_batch : int
        Crops in a step of either stage.
    """

    name: str
    teacher: str
    scale: float
    shift: float
    groups: tuple[int, ...]
    lambdas: tuple[float, float]
    share: int = 1
    latent_steps: int = 1_200
    pixel_steps: int = 0
    views: tuple[int, ...] = (2,)
    start: str | None = "SD1.x"
    latent_batch: int = 8
    pixel_batch: int = 8

    @property
    def channels(self) -> int:
        return codec.by_name(self.name).channels

    def to_latent(self, z: torch.Tensor) -> np.ndarray:
        """Float32 in the convention of ComfyUI's LATENT, from what the networks give."""
        return (z.float() / self.scale + self.shift).numpy()

    def from_latent(self, latent: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(latent) - self.shift) * self.scale

    def network(self) -> Coder:
        made = Coder(self.channels, self.groups, self.lambdas)
        return made.to(memory_format=torch.channels_last)

    def half(self, shared: Path, half: str) -> nn.Sequential:
        """The tiny "encoder" or "decoder"."""
        return data.teacher(shared, half, self.teacher, self.channels)


FOUR = {"groups": (4, 4, 6, 2), "lambdas": (3.0, 450.0)}
# The coefficients of SD 1.x, and as many more for what they leave. A bit is shared by four times as many numbers.
SIXTEEN = {"groups": (4, 4, 6, 18), "lambdas": (0.3, 45.0), "latent_steps": 4_000, "pixel_steps": 3_000}
FORMATS = {
    each.name: each
    for each in (
        # The shipped weights were stopped before the learning rate of the first stage had fallen.
        TrainedFormat(
            "SD1.x", "taesd", 0.18215, 0.0, latent_steps=6_650, pixel_steps=1_500, views=(0, 1), start=None,
            latent_batch=16, **FOUR,
        ),
        TrainedFormat("SDXL", "taesdxl", 0.13025, 0.0, share=2, **FOUR),
        TrainedFormat("SD3", "taesd3", 1.5305, 0.0609, **SIXTEEN),
        TrainedFormat("Flux", "taef1", 0.3611, 0.1159, **SIXTEEN),
    )
}  # fmt: skip


def sensitivity(decoder: nn.Module, lpips: nn.Module, latents: list[torch.Tensor], error: float = 0.3) -> torch.Tensor:
    """(C, C): how the decoder sees an error e of the scaled latent, e^T M e, with trace C.

    The mean of what squared pixels and LPIPS say. An error n of white noise is decoded; the gradient by n, times n,
    has the mean 2 M (Hutchinson's estimator), over all places of some latents (C, h, w).
    """
    channels, found = len(latents[0]), []
    generator = torch.Generator().manual_seed(3)
    sums = [torch.zeros(channels, channels), torch.zeros(channels, channels)]
    for latent in latents:
        z = latent[None].float()
        with torch.no_grad():
            target = decoder(z)
        n = error * torch.randn(z.shape, generator=generator)
        for number in range(2):
            noise = n.clone().requires_grad_()
            seen = decoder(z + noise)
            loss = lpips(seen * 2 - 1, target * 2 - 1).sum() if number else F.mse_loss(seen, target)
            (gradient,) = torch.autograd.grad(loss, noise)
            sums[number] += gradient[0].flatten(1) @ n[0].flatten(1).T
    for total in sums:
        total = (total + total.T) / 2
        found.append(total * channels / total.trace())
    values, vectors = torch.linalg.eigh(sum(found) / 2)
    metric = vectors @ torch.diag(values.clamp(min=0.1)) @ vectors.T
    return metric * channels / metric.trace()
