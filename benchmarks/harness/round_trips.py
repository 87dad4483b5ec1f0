"""Round trips: an inversion and the sampling back, through ComfyUI and by any method.

Call after `comfy.start()`.
"""

import torch

from .baseline_samplers import BASELINE_SAMPLERS, sampler

OURS = {**{f"DDIM, refine {n}": n for n in (0, 1, 2, 4)}, "exact pair": None}


class RoundTrip:
    """One model with its prompts and noise levels."""

    def __init__(self, model, positive, negative, cfg, sigmas):
        from comfy_extras.nodes_custom_sampler import DisableNoise
        from sdc_pack.nodes.inversion.guidance import make_guider

        self.model, self.sigmas, self.cfg = model, sigmas, cfg
        self.guider = make_guider(model, positive, negative, cfg)
        self.no_noise = DisableNoise.execute().result[0]

    def sample(self, noise, sampler, sigmas, latent):
        from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

        return SamplerCustomAdvanced.execute(noise, self.guider, sampler, sigmas, latent).result[0]

    def up(self, method, latent):
        """The noise in model space, and the function that samples back down; `method` is of OURS or BASELINE_SAMPLERS,
        or a number of refinements."""
        from sdc_pack.nodes.inversion.euler import invert
        from sdc_pack.nodes.inversion.exact_pair import ExactRegeneration, invert_exactly
        from sdc_pack.nodes.inversion.noise import InvertedNoise

        if method == "exact pair":
            noise, *_ = invert_exactly(self.model, self.guider, latent, self.sigmas, self.cfg)
            back = ExactRegeneration(noise.pair)
            return noise.pair.top.float(), lambda: self.sample(self.no_noise, back, self.sigmas, latent)["samples"]
        if method in BASELINE_SAMPLERS:
            ended = self.sample(self.no_noise, sampler(BASELINE_SAMPLERS[method]), self.sigmas.flip(0), latent)
            noise = InvertedNoise.of(self.model, ended, self.sigmas[0])
        else:
            refine = OURS.get(method, method)
            noise, *_ = invert(self.model, self.guider, latent, self.sigmas, self.cfg, refine)
        x = noise.latent_format.process_in(noise.x)
        return x, lambda name="euler": self.sample(noise, named_sampler(name), self.sigmas, latent)["samples"]


def named_sampler(name: str):
    import comfy.samplers

    return comfy.samplers.sampler_object(name)


def levels(model, steps: int, scheduler: str | None = None) -> torch.Tensor:
    import comfy.model_sampling
    import comfy.samplers

    sampling = model.get_model_object("model_sampling")
    usual = "simple" if isinstance(sampling, comfy.model_sampling.CONST) else "ddim_uniform"
    return comfy.samplers.calculate_sigmas(sampling, scheduler or usual, steps).cpu()
