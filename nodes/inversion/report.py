"""What an inversion tells about itself."""

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
        """For people: one line on the way, one for the noise of each picture."""
        way = f"{self.steps} step{'s' if self.steps > 1 else ''} up to sigma {self.sigma:.3g}, {self.calls} model calls"
        if self.residual.max() == 0:
            way += ", exact"
        elif not self.residual.isnan().any():
            way += f", worst step off by {self.residual.max().item():.1e}"
        return [way] + [
            f"noise{f' {i + 1}' if len(self.mean) > 1 else ''}: mean {self.mean[i]:.3f}, deviation "
            f"{self.deviation[i]:.3f}, kurtosis {self.kurtosis[i]:.2f}"
            for i in range(len(self.mean))
        ]
