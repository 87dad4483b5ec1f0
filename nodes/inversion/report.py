"""What an inversion tells about itself."""

import math
from dataclasses import dataclass

import torch


@dataclass
class Report:
    """Figures of one walk up the noise levels.

    Parameters
    ----------
    sigma : float
        Where it ended.
    steps, calls : int
        Steps walked and model calls spent.
    residual : torch.Tensor
        (B,) How far the worst step of each item is from being undone by `euler`, relative to the latent below it.
        With one step and no refinement nothing was measured: NaN.
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
        """From z_T (B, C, H, W) and the residual of each step (B,)."""
        flat = z.flatten(1).cpu().double()  # not every device has float64
        mean, deviation = flat.mean(1), flat.std(1)
        kurtosis = ((flat - mean[:, None]) ** 4).mean(1) / deviation**4
        worst = torch.stack(residuals).amax(0).cpu() if residuals else torch.full_like(mean, torch.nan)
        return cls(sigma, steps, calls, worst, mean, deviation, kurtosis)

    def lines(self) -> list[str]:
        """For people: what the way took and how exactly it leads back, then the noise of each image."""
        steps, calls = "steps" if self.steps > 1 else "step", "calls" if self.calls > 1 else "call"
        way = f"{self.steps} {steps}, {self.calls} model {calls}"
        worst = self.residual.max().item()
        lines = [way if math.isnan(worst) else f"{way}: the way back {words_for(worst * self.steps)}."]
        for i, deviation in enumerate(self.deviation):
            number = f" {i + 1}" if len(self.deviation) > 1 else ""
            lines.append(f"Noise{number}: {deviation:.0%} as strong as the model expects.")
        return lines


def words_for(error: float) -> str:
    """How far from the image the way back may lead, relative to the latent: all steps as bad as the worst one."""
    if error == 0:
        return "is exact"
    for most, words in ((1e-3, "is as good as exact"), (0.02, "is nearly exact"), (0.2, "drifts a little")):
        if error < most:
            return words
    return "drifts"
