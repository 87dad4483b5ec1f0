"""DDIM inversion, Eq. (1) of "Post-processing Based Image Coding via Stable Diffusion" (Jin et al.).

With x = z / sqrt(a) and sigma = sqrt(1/a - 1), Eq. (1) is a forward Euler step up the noise levels,
x' = x + (sigma' - sigma) eps(x, sigma), the mirror image of what ComfyUI's `euler` sampler does downwards.
"""

import math

import comfy.samplers
import torch
from comfy.utils import model_trange
from comfy_extras.nodes_custom_sampler import DisableNoise, SamplerCustomAdvanced


class DDIMInversion(comfy.samplers.Sampler):
    """Sampler that walks a picture up a rising list of noise levels, one model call a step.

    Takes the latent it is given for the picture at the first level and ignores the noise.

    Parameters
    ----------
    from_clean : bool
        The first sigma stands for level zero, where the picture is clean and a model cannot be asked
        (ComfyUI's models return the picture itself there, and eps would be 0/0). The model is then asked
        at that first, smallest sigma, with the input it would see at level zero.
    """

    def __init__(self, from_clean: bool):
        self.from_clean = from_clean

    def sample(
        self, model_wrap, sigmas, extra_args, callback, noise, latent_image=None, denoise_mask=None, disable_pbar=False
    ):
        model_sampling = model_wrap.inner_model.model_sampling
        steps = len(sigmas) - 1
        x = latent_image if self.from_clean else latent_image * latent_share(model_sampling, sigmas[0])
        for i in model_trange(steps, disable=disable_pbar):
            start, asked = sigmas[i], x
            if i == 0 and self.from_clean:
                start = torch.zeros_like(start)
                asked = x * input_scale(model_sampling, start) / input_scale(model_sampling, sigmas[i])
            denoised = model_wrap(asked, sigmas[i].expand(x.shape[0]), **extra_args)
            eps = (asked - denoised) / sigmas[i]
            x = x + (sigmas[i + 1] - start) * eps
            if callback is not None:
                callback(i, denoised, x, steps)
        return x


class InvertedNoise:
    """NOISE that makes a stock sampler start from exactly x_T, whatever latent is wired beside it.

    A sampler starts from `gain * noise + share * latent`, so the noise is what remains of x_T once the
    wired latent is taken out.

    Parameters
    ----------
    x : torch.Tensor
        x_T in LATENT space (unscaled), (B, C, H, W) float32.
    gain, share : float
        How the model's noise scaling weighs noise and latent at the top of the schedule.
    guidance_scale : float
        w of the inversion, for the regeneration to compare with.
    """

    seed = 0

    def __init__(self, x, gain, share, latent_format, guidance_scale, batch_index=None):
        self.x = x
        self.gain = gain
        self.share = share
        self.latent_format = latent_format
        self.guidance_scale = guidance_scale
        self.batch_index = batch_index

    def generate_noise(self, latent: dict) -> torch.Tensor:
        samples = latent["samples"].to(device="cpu", dtype=torch.float32)
        x = self.select(latent)
        if x.shape != samples.shape:
            raise ValueError(
                f"The noise was inverted from a latent of shape {tuple(x.shape)}, but the latent beside it has shape "
                f"{tuple(samples.shape)}. Connect LATENT of DDIM Invert, or an empty latent of the same size."
            )
        x = self.latent_format.process_in(x)
        if torch.count_nonzero(samples) > 0:  # as CFGGuider does: an empty latent is not shifted
            x = x - self.share * self.latent_format.process_in(samples)
        return x / self.gain

    def select(self, latent: dict) -> torch.Tensor:
        """The items of the batch that `latent` holds, when it was taken out of the inverted batch."""
        wanted = latent.get("batch_index")
        own = list(self.batch_index or range(len(self.x)))
        if wanted is None or list(wanted) == own or not set(wanted) <= set(own):
            return self.x
        return self.x[[own.index(i) for i in wanted]]


def invert(model, guider, latent: dict, sigmas: torch.Tensor, guidance_scale: float) -> tuple[InvertedNoise, dict]:
    """Invert a LATENT along `sigmas` and return the NOISE and LATENT to regenerate from.

    Parameters
    ----------
    sigmas : torch.Tensor
        (N + 1,), falling, as the regeneration will use them; N >= 1.

    Returns
    -------
    noise : InvertedNoise
        Restarts any stock sampler from x_T.
    latent : dict
        x_T itself where adding no noise to it restarts from x_T too (EPS and V models); for flow
        models, whose start is a mix of noise and latent, the latent as it came.
    """
    model_sampling = model.get_model_object("model_sampling")
    rising = sigmas.flip(0)
    from_clean = float(rising[0]) == 0.0
    if from_clean:
        # Hooks look the current sigma up in this list, so it holds the level the model is really asked at.
        rising[0] = min(float(model_sampling.sigma_min), float(rising[1]))
    no_noise = DisableNoise.execute().result[0]
    inverted = SamplerCustomAdvanced.execute(no_noise, guider, DDIMInversion(from_clean), rising, latent).result[0]
    gain, share = noise_scaling(model_sampling, sigmas[0], starts_at_maximum(model_sampling, sigmas[0]))
    x = inverted["samples"].to(device="cpu", dtype=torch.float32)
    if not torch.isfinite(x).all():
        raise ValueError(
            "The inversion gave values that are not numbers. The model may overflow in half precision: start ComfyUI "
            "with --force-fp32, or check that model and latent belong together."
        )
    noise = InvertedNoise(
        x, gain, share, model.get_model_object("latent_format"), guidance_scale, latent.get("batch_index")
    )
    return noise, inverted if share == 1.0 else latent


def noise_scaling(model_sampling, sigma, max_denoise=False) -> tuple[float, float]:
    """How a stock sampler weighs (noise, latent) when it starts at `sigma`."""
    one, zero = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)
    sigma = sigma.cpu()
    gain = model_sampling.noise_scaling(sigma, one.clone(), zero, max_denoise)
    share = model_sampling.noise_scaling(sigma, zero.clone(), one, max_denoise)
    return gain.item(), share.item()


def starts_at_maximum(model_sampling, sigma) -> bool:
    """Whether ComfyUI calls this start max-denoise and scales the noise by sqrt(1 + sigma^2) instead of sigma."""
    maximum, sigma = float(model_sampling.sigma_max), float(sigma)
    return sigma > maximum or math.isclose(maximum, sigma, rel_tol=1e-5)


def latent_share(model_sampling, sigma) -> float:
    """Weight of the picture at `sigma`: 1 for EPS and V models, 1 - sigma for flow."""
    return noise_scaling(model_sampling, sigma)[1]


def input_scale(model_sampling, sigma) -> float:
    """Factor between x and what the network sees at `sigma`: 1 / sqrt(1 + sigma^2) for SD1.x."""
    return model_sampling.calculate_input(sigma.cpu(), torch.ones(1, 1, 1, 1)).item()


def ddim_schedule(model, steps: int) -> torch.Tensor:
    """ComfyUI's `ddim_uniform` SIGMAS: every (1000 // steps)-th level, so often more steps than asked for.

    With 50 and 100 asked for there are 50 and 100; with 30, 31; with 300, 333. Few steps end below full noise,
    since the levels are counted from the lowest: SD1.x ends at sigma 0.04 with one step, 8.4 with 10, 11.0 with
    20, 13.1 with 50, of 14.6.
    """
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "ddim_uniform", steps)


def check_sigmas(sigmas: torch.Tensor) -> torch.Tensor:
    """Return `sigmas` as float32 on the CPU once they are sure to fall from one finite level to the next.

    Raises ValueError that says what was found otherwise.
    """
    sigmas = sigmas.detach().to(device="cpu", dtype=torch.float32)
    if sigmas.ndim != 1 or not torch.isfinite(sigmas).all() or (sigmas < 0).any():
        raise ValueError(f"sigmas must be one list of finite noise levels, none below 0, but are {sigmas.tolist()}.")
    if len(sigmas) > 1 and not (sigmas.diff() < 0).all():
        raise ValueError(
            "sigmas must fall from high noise to low, as schedulers give them, but do not: "
            f"{[round(s, 4) for s in sigmas.tolist()]}. DDIM Invert turns them round itself: remove FlipSigmas."
        )
    return sigmas


def lowest_levels(sigmas: torch.Tensor, strength: float) -> torch.Tensor:
    """The lowest round(strength * N) of the N intervals of a falling schedule, at least one unless strength is 0.

    Empty at strength 0, which ComfyUI's samplers take for "change nothing".
    """
    intervals = len(sigmas) - 1
    if strength <= 0 or intervals < 1:
        return sigmas.new_empty(0)
    kept = max(1, round(strength * intervals))
    return sigmas[-(kept + 1) :].clone()
