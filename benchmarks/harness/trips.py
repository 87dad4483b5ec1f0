"""A way up to noise and back through ComfyUI, by any method, with its calls and time counted.

Call after `comfy.start()`.
"""

import time

import torch

from . import peers, timing

OURS = {**{f"DDIM, refine {n}": n for n in (0, 1, 2, 4)}, "exact pair": None}


class Trip:
    """One model, its prompts and levels; up by a method, and back."""

    def __init__(self, model, positive, negative, guidance, sigmas):
        from comfy_extras.nodes_custom_sampler import DisableNoise
        from sdc_pack.nodes.inversion.guidance import make_guider

        self.model, self.sigmas, self.guidance = model, sigmas, guidance
        self.guider = make_guider(model, positive, negative, guidance)
        self.no_noise = DisableNoise.execute().result[0]

    def sample(self, noise, sampler, sigmas, latent):
        from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

        return SamplerCustomAdvanced.execute(noise, self.guider, sampler, sigmas, latent).result[0]

    def euler(self, name):
        import comfy.samplers

        return comfy.samplers.sampler_object(name)

    def up(self, method, latent):
        """x_T in model space, the report if there is one, and the function that samples back down."""
        from sdc_pack.nodes.inversion.euler import invert
        from sdc_pack.nodes.inversion.exact_pair import ExactRegeneration, invert_exactly
        from sdc_pack.nodes.inversion.noise import InvertedNoise

        if method == "exact pair":
            noise, _, report = invert_exactly(self.model, self.guider, latent, self.sigmas, self.guidance)
            sampler = ExactRegeneration(noise.pair)
            back = lambda: self.sample(self.no_noise, sampler, self.sigmas, latent)["samples"]  # noqa: E731
            return noise.pair.top.float(), report, back
        if method in peers.PEERS:
            ended = self.sample(self.no_noise, peers.sampler(peers.PEERS[method]), self.sigmas.flip(0), latent)
            noise, report = InvertedNoise.of(self.model, ended, self.sigmas[0]), None
        else:
            noise, _, report = invert(
                self.model, self.guider, latent, self.sigmas, self.guidance, OURS.get(method, method)
            )
        x = noise.latent_format.process_in(noise.x)
        return x, report, lambda name="euler": self.sample(noise, self.euler(name), self.sigmas, latent)["samples"]


def levels(model, steps: int, scheduler: str | None = None) -> torch.Tensor:
    import comfy.model_sampling
    import comfy.samplers

    sampling = model.get_model_object("model_sampling")
    usual = "simple" if isinstance(sampling, comfy.model_sampling.CONST) else "ddim_uniform"
    return comfy.samplers.calculate_sigmas(sampling, scheduler or usual, steps).cpu()


def passes_of(trip: Trip, latent: dict) -> dict:
    *_, from_ddim = trip.up(0, latent)
    *_, from_pair = trip.up("exact pair", latent)
    return {
        "stock": lambda: trip.sample(trip.no_noise, trip.euler("euler"), trip.sigmas, latent),
        "up, DDIM": lambda: trip.up(0, latent),
        "down, DDIM": from_ddim,
        "up, exact pair": lambda: trip.up("exact pair", latent),
        "down, exact pair": from_pair,
    }


def processor_seconds(calls: dict, repeats: int = 4) -> dict[str, float]:
    """The fewest each took. Processor time, in turns: other work on the machine then hardly counts."""
    return timing.best_of(calls, repeats, time.process_time)
