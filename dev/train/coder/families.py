"""The latent spaces that the learned codec knows, and the tiny autoencoders that stand for them in training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from sdc_pack import codec
from sdc_pack.codec.autoencoder import network
from torch import nn

from .model import Coder


@dataclass(frozen=True)
class Family:
    """A latent space. ComfyUI's LATENT is what the networks give, over `scale`, plus `shift`.

    groups : tuple of int
        How many coefficients of a patch each group has; 0 to 16 for 4 channels, for 16 the components that are seen.
    lambdas : (float, float)
        What an error weighs against a bit at the lowest and at the highest quality.
    share : int
        One photograph of so many is learned from.
    latent_steps, pixel_steps : int
        Of the stage on latents alone, and of the one through the decoder.
    views : tuple of int
        Which views of a photograph are learned from; see photographs.load.
    start : str or None
        The family whose shipped weights it starts from; None: from nothing.
    batch : int
        Crops in a step on latents alone.
    """

    name: str
    teacher: str
    scale: float
    shift: float
    groups: tuple[int, ...]
    lambdas: tuple[float, float]
    share: int
    latent_steps: int
    pixel_steps: int = 0
    views: tuple[int, ...] = (2,)
    start: str | None = "SD1.x"
    batch: int = 8

    @property
    def channels(self) -> int:
        return codec.by_name(self.name).channels

    @property
    def file(self) -> str:
        """What its runs are called in the folder of runs."""
        return self.teacher

    def to_latent(self, z: torch.Tensor) -> np.ndarray:
        """Float32 in the convention of ComfyUI's LATENT, from what the networks give."""
        return (z.float() / self.scale + self.shift).numpy()

    def from_latent(self, latent: np.ndarray) -> torch.Tensor:
        return (torch.from_numpy(latent) - self.shift) * self.scale

    def network(self) -> Coder:
        return Coder(self.channels, self.groups, self.lambdas).to(memory_format=torch.channels_last)

    def half(self, shared: Path, half: str) -> nn.Sequential:
        """The tiny "encoder" or "decoder"."""
        made = {"encoder": network.make_encoder, "decoder": network.make_decoder}[half](self.channels)
        path = shared / "models" / "vae_approx" / f"{self.teacher}_{half}.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"No {path}, which the learned codec learns from: training needs SDC_SHARED.")
        made.load_state_dict({name: value.float() for name, value in load_file(path).items()})
        return made.eval().requires_grad_(False).to(memory_format=torch.channels_last)


SIXTEEN = {"groups": (6, 6, 12, 24), "lambdas": (1.0, 150.0)}  # a bit is shared by four times as many numbers
FOUR = (3.0, 450.0)
FAMILIES = {
    family.name: family
    for family in (
        # The shipped weights were stopped before the learning rate of the first stage had fallen, and the last eight of
        # their coefficients were never used.
        Family(
            "SD1.x", "taesd", 0.18215, 0.0, (4, 4, 6, 10), FOUR, 1, 6_650, 1_500, views=(0, 1), start=None, batch=16
        ),
        Family("SDXL", "taesdxl", 0.13025, 0.0, (4, 4, 6, 2), FOUR, 2, 1_200),
        Family("SD3", "taesd3", 1.5305, 0.0609, share=5, latent_steps=1_200, **SIXTEEN),
        Family("Flux", "taef1", 0.3611, 0.1159, share=5, latent_steps=1_200, **SIXTEEN),
    )
}


def sensitivity(decoder: nn.Module, lpips: nn.Module, latents: list[torch.Tensor], error: float = 0.3) -> torch.Tensor:
    """How the decoder sees an error e of the scaled latent: e^T M e, with trace C.

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
