"""The rules that benchmarks compare with are those that ComfyUI's own nodes follow."""

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, DisableNoise, FlipSigmas, SamplerCustomAdvanced

from benchmarks.harness import baseline_samplers


@pytest.mark.parametrize("rule", ["FlipSigmas + euler", "Unsampler"])
def test_rule_is_stock_euler_upwards(model, prompt, latent, rule):
    sampling = model.get_model_object("model_sampling")
    falling = comfy.samplers.calculate_sigmas(sampling, "normal", 5).cpu()
    rising = FlipSigmas.execute(falling).result[0] if rule.startswith("Flip") else falling.flip(0) + 1e-4
    guider = BasicGuider.execute(model, prompt("")).result[0]
    no_noise = DisableNoise.execute().result[0]
    euler = comfy.samplers.sampler_object("euler")
    stock = SamplerCustomAdvanced.execute(no_noise, guider, euler, rising, latent).result[0]["samples"]
    ours = baseline_samplers.sampler(baseline_samplers.BASELINE_SAMPLERS[rule])
    ours = SamplerCustomAdvanced.execute(no_noise, guider, ours, falling.flip(0), latent).result[0]["samples"]
    assert (ours - stock).norm() / stock.norm() < 1e-6


def test_first_step_of_inversed_euler_is_half_of_eps_above(latent):
    x, sigmas = latent["samples"], torch.tensor([0.0, 2.0])
    asked = []

    def ask(x, sigma):
        asked.append(sigma.item())
        return torch.ones_like(x)

    assert torch.equal(baseline_samplers.inversed_euler(ask, x, sigmas), x + 1.0) and asked == [2.0]
