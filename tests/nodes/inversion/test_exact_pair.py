"""The exact pair: what goes up comes down to the last digit, or is refused."""

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import CFGGuider, SamplerCustomAdvanced
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.exact_sampler import SDCExactSampler

from dev import denoisers, families

from .sampling import basic, distance, restore

SCALE = 0.18215


def invert(model, positive, latent, steps=10, **settings):
    settings = {"cfg": 1.0, "strength": 1.0, "method": "exact pair", **settings}
    return SDCDDIMInvert.execute(model, positive, latent, steps, **settings)


def restore_exactly(guider, noise, sigmas, latent):
    sampler, start = SDCExactSampler.execute(noise).result
    return SamplerCustomAdvanced.execute(start, guider, sampler, sigmas, latent).result[0]["samples"]


def test_comes_back_with_one_call_a_step(model, prompt, latent, count_calls):
    calls = count_calls(model)
    output = invert(model, prompt("a cat"), latent)
    noise, sigmas, inverted = output.result
    steps = len(sigmas) - 1
    assert len(calls) == steps == 10 and "exact" in output.ui["text"][0]
    calls.clear()
    restored = restore_exactly(basic(model, prompt("a cat")), noise, sigmas, inverted)
    assert len(calls) <= steps
    assert distance(restored, latent["samples"]) < 1e-6


@pytest.mark.parametrize("family", families.FAMILIES)
def test_comes_back_in_every_family(family):
    model, positive = families.build(family)
    latent = families.draw_latent(model, count=2)
    for scheduler, strength in (("simple", 1.0), ("karras", 1.0), ("normal", 0.5)):
        sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, 10).cpu()
        noise, sigmas, inverted = invert(model, positive, latent, sigmas=sigmas, strength=strength).result
        restored = restore_exactly(basic(model, positive), noise, sigmas, inverted)
        assert distance(restored, latent["samples"]) < 1e-5, scheduler


def test_comes_back_under_guidance(model, prompt, latent):
    settings = {"cfg": 5.0, "negative": prompt("blurred")}
    noise, sigmas, inverted = invert(model, prompt("a cat"), latent, **settings).result
    guider = CFGGuider.execute(model, prompt("a cat"), prompt("blurred"), 5.0).result[0]
    assert distance(restore_exactly(guider, noise, sigmas, inverted), latent["samples"]) < 1e-6


def test_another_mean_leads_to_the_image_of_that_mean(model, prompt, latent):
    """What a second-order pair is for: the way back with other data lands where the probability flow does."""
    exact = denoisers.use_gaussian(model, mean=0.3, deviation=0.9)
    noise, sigmas, inverted = invert(model, prompt(""), latent, 50).result
    x = latent["samples"] * SCALE
    assert distance(noise.pair.top.float(), exact(x, sigmas[0])) < 0.05
    denoisers.use_gaussian(model, mean=1.0, deviation=0.9)
    edited = restore_exactly(basic(model, prompt("")), noise, sigmas, inverted) * SCALE
    spread = (0.81 / (0.81 + sigmas[0] ** 2)) ** 0.5
    assert distance(edited, 1.0 + (exact(x, sigmas[0]) - 1.0) * spread) < 0.02


def test_order_is_two(model, prompt, latent):
    exact = denoisers.use_gaussian(model)
    found = []
    for steps in (50, 100):
        noise, sigmas, _ = invert(model, prompt(""), latent, steps).result
        found.append(distance(noise.pair.top.float(), exact(latent["samples"] * SCALE, sigmas[0])))
    assert found[0] / found[1] > 2.5, found


@pytest.mark.parametrize("changed", ["sigmas", "guidance", "family", "size"])
def test_mismatch_is_refused(model, prompt, latent, changed):
    noise, sigmas, inverted = invert(model, prompt(""), latent, 5).result
    guider = basic(model, prompt(""))
    if changed == "sigmas":
        sigmas = sigmas[1:]
    elif changed == "guidance":
        guider = CFGGuider.execute(model, prompt(""), prompt(""), 2.0).result[0]
    elif changed == "family":
        guider = basic(ModelSamplingDiscrete().patch(model, "v_prediction", False)[0], prompt(""))
    else:
        inverted = {"samples": torch.zeros(2, 4, 8, 8)}
    words = {"sigmas": "list of sigmas", "guidance": "cfg was 1 .* 2 now", "size": "shape of the latent"}
    with pytest.raises(ValueError, match=words.get(changed, "kind of model")):
        restore_exactly(guider, noise, sigmas, inverted)


def test_other_samplers_are_refused(model, prompt, latent):
    noise, sigmas, inverted = invert(model, prompt(""), latent, 5).result
    with pytest.raises(ValueError, match="SDC Exact Sampler"):
        restore(basic(model, prompt("")), noise, sigmas, inverted)


def test_other_noise_is_refused_by_the_exact_sampler(model, prompt, latent):
    plain = invert(model, prompt(""), latent, 3, method="DDIM").result[0]
    with pytest.raises(ValueError, match="exact pair"):
        SDCExactSampler.execute(plain)


def test_one_step_is_refused(model, prompt, latent):
    with pytest.raises(ValueError, match="at least two steps"):
        invert(model, prompt(""), latent, 1)


def test_values_that_are_no_numbers_are_refused(model, prompt, latent):
    model.set_model_unet_function_wrapper(lambda _, options: options["input"] * float("nan"))
    with pytest.raises(ValueError, match="NaN or infinity"):
        invert(model, prompt(""), latent, 3)
