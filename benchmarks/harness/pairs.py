"""Samplers that undo each other algebraically, and where they lead when the way back has another denoiser.

In (x, sigma), on float64 and denoisers in closed form, apart from ComfyUI; what was chosen is
`nodes/inversion/exact_pair.py`.
A rule is `up(eps, x, sigmas)`, which returns a state whose first part is the noise, and `down(eps, state, sigmas)`.
"""

import torch

from .peers import euler

FINE = 64  # steps for each of the schedule's, for the probability flow itself


def gaussian(mean: float, deviation: float = 0.9):
    return lambda x, sigma: sigma * (x - mean) / (deviation**2 + sigma**2)


def mixture(means: torch.Tensor, deviation: float = 0.3, smallest: float = 0.03):
    """Each place of (1, C, H, W) comes from one of the Gaussians around `means` (K, C)."""

    def eps(x, sigma):
        sigma = max(float(sigma), smallest)
        total = deviation**2 + sigma**2
        places = x.movedim(1, -1)
        weights = torch.softmax(-(places[..., None, :] - means).square().sum(-1) / (2 * total), dim=-1)
        center = weights @ means
        return ((places - center) * (sigma / total)).movedim(-1, 1)

    return eps


def two_step(weight):
    """x[i-1] = a x[i+1] + (1 - a) x[i] - (h + a H) eps(x[i]), with `weight(h, H)` = a for the steps below and above."""

    def up(eps, x, s):
        below, x = x, x + (s[1] - s[0]) * eps(x, s[0])
        for i in range(1, len(s) - 1):
            h, above = s[i] - s[i - 1], s[i + 1] - s[i]
            a = weight(h, above)
            below, x = x, (below - (1 - a) * x + (h + a * above) * eps(x, s[i])) / a
        return x, below

    def down(eps, state, s):
        above, x = state
        for i in range(len(s) - 2, 0, -1):
            h, step = s[i] - s[i - 1], s[i + 1] - s[i]
            a = weight(h, step)
            above, x = x, a * above + (1 - a) * x - (h + a * step) * eps(x, s[i])
        return x

    return up, down


def coupled(share):
    """McCallum and Foster (2024): two states that push each other; two calls a step, so every other level."""

    def levels(s):
        kept = s.flip(0)[::2].flip(0)
        return kept if kept[0] == s[0] else torch.cat([s[:1], kept])

    def up(eps, x, s):
        s, y, z = levels(s), x, x
        for low, high in zip(s, s[1:], strict=False):
            z = z - (low - high) * eps(y, low)
            y = (y - (1 - share) * z - (low - high) * eps(z, high)) / share
        return y, z

    def down(eps, state, s):
        s, (y, z) = levels(s).flip(0), state
        for high, low in zip(s, s[1:], strict=False):
            y = share * y + (1 - share) * z + (low - high) * eps(z, high)
            z = z + (low - high) * eps(y, low)
        return y

    return up, down


RULES = {
    "euler (DDIM)": (lambda eps, x, s: (euler(eps, x, s),), lambda eps, state, s: euler(eps, *state, s.flip(0))),
    "O-BELM": two_step(lambda h, above: (h / above) ** 2),
    "BDIA, gamma 1": two_step(lambda h, above: 1.0),
    "BDIA, gamma 0.9": two_step(lambda h, above: 0.9),
    "coupled, lambda 0.99": coupled(0.99),
    "coupled, lambda 0.9": coupled(0.9),
}


def flow(eps, x, s):
    """The probability flow, by Heun's method on fine steps; either way."""
    for start, end in zip(s, s[1:], strict=False):
        for low, high in zip(*(torch.linspace(start, end, FINE + 1, dtype=s.dtype)[k:] for k in (0, 1)), strict=False):
            first = eps(x, low)
            x = x + (high - low) * (first + eps(x + (high - low) * first, high)) / 2
    return x


def measure(rule: str, data: str, rising: torch.Tensor) -> dict:
    """Relative L2: of the round trip, of the noise, and of the way back under another denoiser, beside the flow."""
    random = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)

    means, s = normal(6, 4), rising.double()
    if data == "Gaussian":
        x, own, other = 0.3 + 0.9 * normal(1, 4, 16, 16), gaussian(0.3), gaussian(1.0)
    else:
        x = means[torch.randint(6, (1, 16, 16), generator=random)].movedim(-1, 1) + 0.3 * normal(1, 4, 16, 16)
        own, other = mixture(means), mixture(means + 0.4 * normal(6, 4))
    up, down = RULES[rule]
    state, exact = up(own, x, s), flow(own, x, s)
    target = flow(other, exact, s.flip(0))

    def distance(a, b):
        return min(((a - b).norm() / b.norm()).item(), 1e9)

    deviation = (state[0].std() / exact.std()).item()
    return {
        "round_trip": distance(down(own, state, s), x),
        "noise": distance(state[0], exact),
        "deviation": deviation,
        "edit": distance(down(other, state, s), target),
    }
