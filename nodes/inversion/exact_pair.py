"""A pair of samplers that undo each other algebraically, whatever the step size and the prompt.

O-BELM of Wang et al., "BELM: Bidirectional Explicit Linear Multi-step Samplers for Exact Inversion in Diffusion
Models" (2024), in (x, sigma):

    x[i-1] = r^2 x[i+1] + (1 - r^2) x[i] - h (1 + r) epsilon(x[i], sigma[i]),

    x[i]   the image at noise level i, in model space; level 0 is the lowest
    h, H   step from level i - 1 to i, and from i to i + 1, in sigma
    r      h / H

of second order, and can be solved for x[i+1] just as well. It takes one model call per step in both directions and
continues from two neighboring latents. BDIA (Zhang et al., 2023) and the coupled scheme of McCallum and Foster (2024)
are as exact. With another prompt for the sampling, only O-BELM stayed close to the probability flow in every test
(docs/results.md); its noise is off by some percent in deviation.
"""

from dataclasses import dataclass

import comfy.samplers
import torch
from comfy.utils import model_trange
from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced

from .epsilon import EpsilonPredictor, check_hooks
from .identity import identity, kind_of
from .noise import noise_scaling
from .report import Report


def to_float64(x: torch.Tensor) -> torch.Tensor:
    """On the CPU, and moved there first: not every device has float64.

    The method multiplies rounding errors by r^2 per step, too much for float32 over a whole schedule.
    """
    return x.cpu().double()


@dataclass
class Pair:
    """Where the inversion ends and the sampling starts.

    Parameters
    ----------
    top, below : torch.Tensor
        x at the highest level and at the one below, in model space, (B, C, [T,] H, W) float64 on the CPU.
    sigmas : torch.Tensor
        (N + 1,), falling.
    kind : str
        What kind of model it was, by `kind_of`.
    cfg : float
    model : str
        Its `identity`.
    """

    top: torch.Tensor
    below: torch.Tensor
    sigmas: torch.Tensor
    kind: str
    cfg: float
    model: str


class ExactInversion(comfy.samplers.Sampler):
    """Inverts; afterwards `top` and `below` hold the two latents of a `Pair`, and `report` the figures."""

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        check_hooks(model_wrap)
        steps = len(sigmas) - 1
        model = EpsilonPredictor(model_wrap, sigmas, extra_args, callback, steps)
        levels = to_float64(sigmas)

        def epsilon(x, level):
            return to_float64(model.epsilon(x.float().to(latent_image.device), level))

        below = to_float64(latent_image) * noise_scaling(model.model_sampling, sigmas[0]).latent
        # The method needs two latents, and a plain Euler step makes the second. It is never undone: the sampling gets
        # the image itself by the method, from the two latents above it.
        x = below + (levels[1] - levels[0]) * epsilon(below, 0)
        for i in model_trange(1, steps, disable=disable_pbar):
            h = levels[i] - levels[i - 1]
            r = h / (levels[i + 1] - levels[i])
            above = (below - (1 - r**2) * x + h * (1 + r) * epsilon(x, i)) / r**2
            below, x = x, above
        model.check_finite()
        self.top, self.below = x, below
        z = x * model.input_scale(-1)
        self.report = Report.of(z, [torch.zeros(len(x))], float(levels[-1]), steps, model.calls)
        return x.float().to(latent_image.device)


class ExactRegeneration(comfy.samplers.Sampler):
    """Samples from a `Pair`; the noise and the latent that it is given are ignored.

    Raises ValueError where model, sigmas or cfg differ from those of the inversion.
    """

    def __init__(self, pair: Pair):
        self.pair = pair

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        check_match(self.pair, model_wrap, sigmas, latent_image)
        steps = len(sigmas) - 1
        model = EpsilonPredictor(model_wrap, sigmas, extra_args, callback, steps - 1)
        levels = to_float64(sigmas)
        above, x = self.pair.top, self.pair.below

        def epsilon(x, level):
            return to_float64(model.epsilon(x.float().to(noise.device), level))

        for i in model_trange(1, steps, disable=disable_pbar):
            h = levels[i] - levels[i + 1]
            r = h / (levels[i - 1] - levels[i])
            above, x = x, r**2 * above + (1 - r**2) * x - h * (1 + r) * epsilon(x, i)
        return model.model_sampling.inverse_noise_scaling(sigmas[-1], x.float().to(noise.device))


class ExactNoise:
    """NOISE of an exact inversion; only `ExactRegeneration` can start from it."""

    seed = 0

    def __init__(self, pair: Pair):
        self.pair = pair
        self.model = pair.model

    def start(self):
        """NOISE for the sampler of this pair, which needs none."""
        return DisableNoise.execute().result[0]

    def generate_noise(self, latent: dict):
        raise ValueError(
            "This NOISE was made by DDIM Invert with method 'exact pair' and needs its own sampler: use Regenerate "
            "with Canny, or put SDC Exact Sampler between the NOISE and SamplerCustomAdvanced. For any other sampler, "
            "set method of DDIM Invert to 'DDIM'."
        )


def invert_exactly(model, guider, latent: dict, sigmas: torch.Tensor, cfg: float):
    """Invert a LATENT along falling `sigmas`; return (ExactNoise, LATENT of the size to regenerate, Report).

    Raises ValueError for fewer than two steps, or values that are not finite.
    """
    if len(sigmas) < 3 or not (sigmas.diff() < 0).all():
        raise ValueError(
            "The exact pair needs at least two steps, each to a lower noise level: increase steps or strength, or set "
            "method to DDIM."
        )
    sampler = ExactInversion()
    no_noise = DisableNoise.execute().result[0]
    inverted = SamplerCustomAdvanced.execute(no_noise, guider, sampler, sigmas.flip(0), latent).result[0]
    pair = Pair(sampler.top, sampler.below, sigmas, kind_of(model.model), cfg, identity(model))
    return ExactNoise(pair), inverted, sampler.report


def check_match(pair: Pair, guider, sigmas, latent):
    def refuse(what: str, was, now):
        raise ValueError(
            f"The exact pair cannot sample back: {what} was {was} in the inversion and is {now} now. Use the same in "
            "both, or use method 'DDIM', where they may differ."
        )

    if (kind := kind_of(guider.inner_model)) != pair.kind:
        refuse("the kind of model", pair.kind, kind)
    if latent.shape != pair.top.shape:
        refuse("the shape of the latent", tuple(pair.top.shape), tuple(latent.shape))
    if sigmas.shape != pair.sigmas.shape or not torch.allclose(sigmas.cpu(), pair.sigmas, rtol=1e-6, atol=0):
        was, now = ([round(sigma, 4) for sigma in levels.tolist()] for levels in (pair.sigmas, sigmas))
        refuse("the list of sigmas", was, now)
    if abs(guider.cfg - pair.cfg) > 1e-6:
        refuse("cfg", f"{pair.cfg:g}", f"{guider.cfg:g}")
