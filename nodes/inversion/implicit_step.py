"""Implicit Euler steps x = start + step * epsilon(x), each a fixed point of a model that is slow to call.

start       where the step begins, x at the lower noise level
step        difference of the two sigmas
epsilon(x)  the model's answer at the upper level
defect      start + step * epsilon(x) - x, which is zero at the solution
move        how `x` changed from one call to the next, and `change` how the defect did
"""

import torch

MEMORY = 4  # earlier moves that make the next guess
FALLING = 0.5  # a residual above this share of the one before is not falling fast enough to extrapolate
TRUSTED = 0.4  # below it, the next guess is taken for better than the one just judged


class ImplicitStep:
    """Solves one step for each item of a batch, independently of the others.

    Anderson acceleration (Anderson, 1965, in the form of Walker and Ni, 2011) suits smooth denoisers. Where a denoiser
    decides between modes, eps is steep at the few places between two modes, and one factor for the whole image makes
    those worse. So an item whose residual stops falling continues with a secant step for each place (Barzilai and
    Borwein, 1988), never longer than x <- start + step eps(x).

    Parameters
    ----------
    start : torch.Tensor
        (B, C, [T,] H, W) float32.
    step : torch.Tensor
        Of no dimensions.
    eps : torch.Tensor
        First guess of eps at the end of the step, (B, C, [T,] H, W).
    tolerance : float
        An item is done once its residual is below.

    Attributes
    ----------
    x : torch.Tensor
        Where eps is needed next.
    solution : torch.Tensor
        The best end of the step so far: the judged one with the smallest residual, or the guess that followed it
        while residuals fall fast; the first guess before any `judge`.
    residual : torch.Tensor
        (B,) smallest norm of start + step eps(x) - x so far, over that of `start`; infinite before any `judge`.
    done : torch.Tensor
        (B,) bool.
    """

    def __init__(self, start: torch.Tensor, step: torch.Tensor, eps: torch.Tensor, tolerance: float):
        self.start, self.step, self.tolerance = start, step, tolerance
        self.x = self.solution = self.best = start + step * eps
        self.scale = norm(start).clamp_min(torch.finfo(start.dtype).tiny)
        self.residual = self.last_residual = torch.full_like(self.scale, torch.inf)
        self.done = self.hard = torch.zeros_like(self.scale, dtype=torch.bool)
        self.last: tuple[torch.Tensor, torch.Tensor] | None = None  # x and its defect, judged before
        self.moves: list[tuple[torch.Tensor, torch.Tensor]] = []  # of x, and what each changed in the defect

    def judge(self, eps: torch.Tensor):
        """Take eps at `x` and move `x` on."""
        defect = self.start + self.step * eps - self.x
        residual = norm(defect) / self.scale
        better = (residual < self.residual) & ~self.done  # not so for NaN
        self.best = choose(better, self.x, self.best)
        self.residual = torch.where(better, residual, self.residual)
        following = self.x + defect
        if self.last is not None:
            self.hard = self.hard | ~(residual < FALLING * self.last_residual)
            move, change = self.x - self.last[0], defect - self.last[1]
            self.moves = [*self.moves, (move, change)][-MEMORY:]
            careful = self.x + secant_share(move, change) * defect
            following = choose(self.hard, careful, self.extrapolate(defect))
        following = choose(norm(following).isfinite(), following, self.best)
        trusted = better & ~self.hard & (residual < TRUSTED * self.last_residual)
        self.solution = choose(self.done, self.solution, choose(trusted, following, self.best))
        self.done = self.done | (self.residual < self.tolerance)
        self.last, self.last_residual = (self.x, defect), residual
        self.x = choose(self.done, self.solution, following)

    def extrapolate(self, defect: torch.Tensor) -> torch.Tensor:
        """x + defect, corrected by the earlier moves that explain the defect best."""
        moves, changes = (torch.stack([pair[k].flatten(1) for pair in self.moves], dim=2) for k in (0, 1))
        length = changes.norm(dim=1, keepdim=True).clamp_min(torch.finfo(changes.dtype).tiny)
        moves, changes = moves / length, changes / length
        # Normal equations, at most 4x4 an item; on the CPU, since not every device has float64. The small diagonal
        # keeps nearly parallel moves apart.
        gram, right = changes.mT @ changes, changes.mT @ defect.flatten(1).unsqueeze(2)
        gram = gram.cpu().double() + 1e-8 * torch.eye(len(self.moves), dtype=torch.float64)
        weights = torch.linalg.solve_ex(gram, right.cpu().double())[0].to(changes)
        return self.x + defect - ((moves + changes) @ weights).view_as(self.x)


def secant_share(move: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """How much of the defect to add at each place, (B, 1, [T,] H, W), by a move and what it changed in the defect."""
    share = -(move * change).sum(1, keepdim=True) / (change * change).sum(1, keepdim=True)
    # Where nothing moved the share is 0/0: take the plain step. Above 1 a place would jump further than the fixed-point
    # step, and across to another mode; a negative share, or one near 0, comes of noise in a steep place and would leave
    # it where it is for good, so a little is always taken.
    return share.nan_to_num(1.0).clamp(0.02, 1.0)


def choose(mask: torch.Tensor, yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    """`yes` for the items of the batch where `mask` (B,) holds, else `no`."""
    return torch.where(mask.view(-1, *[1] * (no.ndim - 1)), yes, no)


def norm(x: torch.Tensor) -> torch.Tensor:
    """(B,) norm of each item."""
    return x.flatten(1).norm(dim=1)
