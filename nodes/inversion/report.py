"""Figures of an inversion, and the lines that a node shows of them."""

import math
from dataclasses import dataclass

import torch

# A model expects a deviation of 1. Judged only where noise outweighs the image, whose own deviation may be anything.
MIN_DEVIATION, MIN_SIGMA = 0.8, 1.0


@dataclass
class Report:
    """Figures of one inversion.

    Parameters
    ----------
    sigma : float
        Where it ended.
    steps, calls : int
        Steps and model calls.
    residual : torch.Tensor
        (B,) How far `euler` is from undoing the worst step of each item, relative to the latent below it. NaN with one
        step and no refinement, where nothing was measured.
    mean, deviation, kurtosis : torch.Tensor
        (B,) Of the inverted latent as the network sees it. Pure noise has about 0, 1 and 3.
    """

    sigma: float
    steps: int
    calls: int
    residual: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    kurtosis: torch.Tensor

    @classmethod
    def of(cls, z: torch.Tensor, residuals: list[torch.Tensor], sigma: float, steps: int, calls: int) -> "Report":
        """From z_T (B, C, [T,] H, W) and the residual of each step (B,)."""
        flat = z.flatten(1).cpu().double()  # not every device has float64
        mean, deviation = flat.mean(1), flat.std(1)
        kurtosis = ((flat - mean[:, None]) ** 4).mean(1) / deviation**4
        worst = torch.stack(residuals).amax(0).cpu() if residuals else torch.full_like(mean, torch.nan)
        return cls(sigma, steps, calls, worst, mean, deviation, kurtosis)

    def lines(self) -> list[str]:
        """How many steps, how exactly the image can be reproduced, and a warning for each image with weak noise."""
        steps, calls = "steps" if self.steps > 1 else "step", "calls" if self.calls > 1 else "call"
        count = f"{self.steps} {steps}, {self.calls} model {calls}"
        worst = self.residual.max().item()
        lines = [count if math.isnan(worst) else f"{count}. {accuracy(worst * self.steps)}"]
        for number, deviation in enumerate(self.deviation.tolist(), 1):
            if deviation < MIN_DEVIATION and self.sigma >= MIN_SIGMA:
                of_image = f" of image {number}" if len(self.deviation) > 1 else ""
                lines.append(f"\u26a0 The noise{of_image} is weak ({deviation:.0%}); the result may look flat.")
        return lines


def accuracy(error: float) -> str:
    """In words, how far from the image the same settings lead back, relative to the latent, at worst."""
    if error == 0:
        return "Reproduces the image exactly."
    for limit, words in ((1e-3, "Reproduces the image almost exactly."), (0.02, "Reproduces the image closely.")):
        if error < limit:
            return words
    return "Changes the image slightly." if error < 0.2 else "Changes the image."
