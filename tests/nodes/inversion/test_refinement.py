"""Refined inversion: the way back by stock `euler` ends where it began."""

import math
import time

import comfy.model_management
import comfy.samplers
import comfy.utils
import pytest
import torch
from comfy_extras.nodes_custom_sampler import CFGGuider
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.inversion.implicit_step import ImplicitStep
from sdc_pack.nodes.inversion.report import Report, accuracy

from dev import denoisers

from .sampling import basic, distance, restore

SCALE = 0.18215  # SD1.x: model space is LATENT times this


@pytest.fixture
def model(small):
    return small.clone()


def invert(model, positive, latent, steps, refine, cfg=1.0, **optional):
    return SDCDDIMInvert.execute(model, positive, latent, steps, cfg, 1.0, refine=refine, **optional)


def errors(model, positive, latent, steps, refine):
    """Relative L2 of the round trip, item by item."""
    restored = restore(basic(model, positive), *invert(model, positive, latent, steps, refine).result)
    original = latent["samples"]
    return (restored - original).flatten(1).norm(dim=1) / original.flatten(1).norm(dim=1)


@pytest.mark.parametrize(("steps", "most"), [(20, 1e-4), (50, 1e-5)])
def test_four_extra_calls_a_step_come_back(model, prompt, latent, steps, most):
    latent = {"samples": latent["samples"][:1]}
    assert errors(model, prompt("a cat"), latent, steps, 4).max() <= most


def test_each_extra_call_gains_on_the_unet(model, prompt, latent):
    latent = {"samples": latent["samples"][:1]}
    found = [errors(model, prompt("a cat"), latent, 12, refine).max().item() for refine in (0, 1, 2, 4)]
    assert all(finer < 0.4 * coarser for coarser, finer in zip(found, found[1:], strict=False)), found


@pytest.mark.parametrize("side", [1, 2])
def test_more_refinement_is_never_worse_on_a_multimodal_denoiser(model, prompt, side):
    latent = {"samples": denoisers.use_patch_mixture(model, side=side)(16, 16, 16) / SCALE}
    found = torch.stack([errors(model, prompt(""), latent, 20, refine) for refine in (0, 1, 2, 3, 4, 5, 6, 8, 10)])
    over_all = found.square().mean(1).sqrt()
    assert (over_all.diff() <= 0).all(), over_all
    assert (found[1:] < 0.6 * found[0]).all(), found
    assert (found[-1] < 0.01 * found[0]).all(), found


def test_reaches_what_the_implicit_step_gives_in_closed_form(model, prompt, latent):
    """For Gaussian data a step x' = x + (s' - s) s' (x' - m) / (d^2 + s'^2) can be solved for x'."""
    mean, deviation = 0.3, 0.9
    denoisers.use_gaussian(model, mean, deviation)
    _, sigmas, inverted = invert(model, prompt(""), latent, 20, 6)
    x = latent["samples"].double() * SCALE
    rising = sigmas.double().flip(0)
    for low, high in zip(rising, rising[1:], strict=False):
        share = (high - low) * high / (deviation**2 + high**2)
        x = (x - share * mean) / (1 - share)
    assert (inverted["samples"] * SCALE - x).norm() / x.norm() < 1e-6


def test_zero_is_eq_1_and_calls_are_bounded(model, prompt, latent, count_calls):
    calls = count_calls(model)
    for refine in (0, 1, 3):
        calls.clear()
        output = invert(model, prompt(""), latent, 10, refine)
        steps = len(output.result[1]) - 1
        assert len(calls) <= steps * (1 + refine)
        assert refine > 1 or len(calls) == steps * (1 + refine)
        assert f"{len(calls)} model calls" in output.ui["text"][0]
    plain = SDCDDIMInvert.execute(model, prompt(""), latent, 10, 1.0, 1.0).result[2]["samples"]
    assert torch.equal(plain, invert(model, prompt(""), latent, 10, 0).result[2]["samples"])


def test_stops_asking_once_it_is_exact(model, prompt, latent, count_calls):
    denoisers.use_gaussian(model)
    output = invert(model, prompt(""), latent, 20, 10)
    calls = int(output.ui["text"][0].split(" model calls")[0].split()[-1])
    assert calls < 20 * 8


def test_what_a_converged_item_gets_does_not_depend_on_the_others(model, prompt, latent):
    """Beside an easy item, which stops long before."""
    together = torch.cat([latent["samples"][:1], torch.full((1, 4, 8, 12), 50.0)])
    both = invert(model, prompt(""), {"samples": together}, 10, 6).result[2]["samples"]
    for i in (0, 1):
        alone = invert(model, prompt(""), {"samples": together[i : i + 1]}, 10, 6).result[2]["samples"]
        assert (both[i] - alone[0]).norm() / alone.norm() < 1e-5


def test_items_of_a_batch_are_solved_apart(model, prompt):
    """One that is not a number throughout spoils no other."""
    nan = torch.full((1, 4, 8, 8), float("nan"))
    x = torch.randn(2, 4, 8, 8)
    alone, both = solve(x), solve(torch.cat([x, nan]))
    assert (both.solution[:2] - alone.solution).norm() / alone.solution.norm() < 1e-6
    assert torch.equal(both.done, torch.tensor([True, True, False])) and both.residual[2].isinf()


def solve(x):
    end = ImplicitStep(x, torch.tensor(0.5), torch.zeros_like(x), 1e-6)
    for _ in range(30):
        end.judge(end.x.tanh())
    return end


@pytest.mark.parametrize("scheduler", ["ddim_uniform", "karras"])
def test_v_prediction_from_zero_terminal_snr(model, prompt, latent, scheduler):
    latent = {"samples": latent["samples"][:1]}
    model = ModelSamplingDiscrete().patch(model, "v_prediction", True)[0]
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, 20)
    found = [errors_along(model, prompt(""), latent, sigmas, refine) for refine in (0, 4)]
    assert found[1] < 0.05 * found[0]


def errors_along(model, positive, latent, sigmas, refine):
    restored = restore(basic(model, positive), *invert(model, positive, latent, 1, refine, sigmas=sigmas).result)
    return distance(restored, latent["samples"])


def test_exactness_survives_guidance(model, prompt, latent, count_calls):
    """At w = 3 the field is less smooth; refinement still pays."""
    latent = {"samples": latent["samples"][:1]}
    found = []
    for refine in (0, 4):
        inverted = invert(model, prompt("a cat"), latent, 20, refine, 3.0, negative=prompt("")).result
        guider = CFGGuider.execute(model, prompt("a cat"), prompt(""), 3.0).result[0]
        found.append(distance(restore(guider, *inverted), latent["samples"]))
    assert found[1] < 0.01 * found[0]


def test_report_tells_residual_and_the_noise(model, prompt, latent):
    denoisers.use_gaussian(model, mean=0.0, deviation=1.0)
    lines = [invert(model, prompt(""), latent, 50, refine).ui["text"] for refine in (0, 6)]
    assert lines[0] == ["50 steps, 50 model calls. Changes the image."]  # this noise is as strong as it should be
    assert len(lines[1]) == 1 and lines[1][0].endswith("Reproduces the image almost exactly.")


def test_report_warns_of_weak_noise_by_the_number_of_the_image():
    z = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    z /= z.flatten(1).std(1).view(2, 1, 1, 1)
    z[0] *= 0.6
    _, *warnings = Report.of(z, [], 14.6, 20, 20).lines()
    assert len(warnings) == 1 and "of image 1 is weak (60%)" in warnings[0]
    assert len(Report.of(z, [], 0.5, 20, 20).lines()) == 1  # where most of it is the image, that says nothing


def test_report_finds_words_for_every_error():
    errors = (0, 5e-4, 5e-3, 0.1, 0.5, math.inf)
    words = ["Reproduces the image " + word for word in ("exactly.", "almost exactly.", "closely.")]
    words += ["Changes the image slightly.", "Changes the image.", "Changes the image."]
    assert [accuracy(error) for error in errors] == words


def test_values_that_are_no_numbers_are_refused(model, prompt, latent):
    calls = []

    def wrapper(apply_model, options):
        calls.append(None)
        x = options["input"].clone()
        if len(calls) > 9:
            x[1] = float("nan")
        return x * 0.5

    model.set_model_unet_function_wrapper(wrapper)
    with pytest.raises(ValueError, match="NaN or infinity"):
        invert(model, prompt(""), latent, 5, 2)


def test_progress_counts_calls_and_cancel_works_within_a_step(model, prompt, latent, monkeypatch):
    told = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, node_id=None: told.append((value, total))
    )

    def slowly(apply_model, options):
        time.sleep(0.11)  # ComfyUI leaves out what comes within 0.1 s
        return apply_model(options["input"], options["timestep"], **options["c"])

    slow = model.clone()
    slow.set_model_unet_function_wrapper(slowly)
    invert(slow, prompt(""), latent, 4, 2)
    assert told == [(calls, 12) for calls in range(1, 13)]

    calls = []

    def wrapper(apply_model, options):
        calls.append(None)
        if len(calls) == 5:  # the second step's first
            comfy.model_management.interrupt_current_processing()
        return apply_model(options["input"], options["timestep"], **options["c"])

    model.set_model_unet_function_wrapper(wrapper)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        invert(model, prompt(""), latent, 4, 2)
    assert len(calls) == 5
