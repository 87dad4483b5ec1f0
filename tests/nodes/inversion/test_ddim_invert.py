"""DDIM inversion against closed forms and against stock samplers, in a real ComfyUI."""

import comfy.cli_args
import comfy.model_management
import comfy.nested_tensor
import comfy.patcher_extension
import comfy.samplers
import comfy.utils
import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from comfy_extras.nodes_custom_sampler import DisableNoise, RandomNoise, SamplerCustomAdvanced
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete, ModelSamplingSD3
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.latents.arrays import to_latent

from dev import denoisers

from .sampling import basic, distance, restore

SCALE = 0.18215  # SD1.x: model space is LATENT times this


@pytest.fixture
def model(small):
    return small.clone()


def invert(model, positive, latent, steps=10, cfg=1.0, strength=1.0, **optional):
    return SDCDDIMInvert.execute(model, positive, latent, steps, cfg, strength, **optional)


def regenerate(model, positive, noise, sigmas, latent):
    return restore(basic(model, positive), noise, sigmas, latent)


def test_matches_equation_1_in_float64(model, prompt, latent):
    """Eq. (1) as the paper writes it, in alphas and float64, asking the real UNet for eps."""
    positive = prompt("a cat")
    _, sigmas, inverted = invert(model, positive, latent, steps=8)

    labels = [0, *model.get_model_object("model_sampling").timestep(sigmas[:-1].flip(0)).tolist()]
    network = model.model.diffusion_model
    parameter = next(network.parameters())
    z = latent["samples"].double() * SCALE
    alphas = 1 / (1 + sigmas.flip(0).double() ** 2)
    alphas[0] = 1.0
    for i in range(len(sigmas) - 1):
        label = torch.full((2,), labels[i], device=parameter.device)
        with torch.no_grad():
            context = positive[0][0].to(parameter).expand(2, -1, -1)
            eps = network(z.to(parameter), label.to(parameter), context=context).double().cpu()
        low, high = alphas[i], alphas[i + 1]
        z = (high / low).sqrt() * z + high.sqrt() * ((1 / high - 1).sqrt() - (1 / low - 1).sqrt()) * eps
    x = z / alphas[-1].sqrt()
    assert distance(inverted["samples"].double() * SCALE, x) < 1e-6


def test_gaussian_data_reaches_the_closed_form_at_first_order(model, prompt, latent):
    exact = denoisers.use_gaussian(model)
    errors = {}
    for steps in (50, 100):
        _, sigmas, inverted = invert(model, prompt(""), latent, steps=steps)
        target = exact(latent["samples"] * SCALE, sigmas[0])
        errors[len(sigmas) - 1] = distance(inverted["samples"] * SCALE, target)
    (few, coarse), (many, fine) = errors.items()
    assert many == 2 * few
    assert 1.7 < coarse / fine < 2.3


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_one_unet_call_a_step_and_pass(model, prompt, latent, count_calls, steps):
    calls = count_calls(model)
    noise, sigmas, inverted = invert(model, prompt(""), latent, steps=steps)
    assert len(calls) == len(sigmas) - 1
    calls.clear()
    regenerate(model, prompt(""), noise, sigmas, inverted)
    assert len(calls) == len(sigmas) - 1


def test_twenty_steps_ask_the_levels_that_ddim_uniform_names(model, prompt, latent, count_calls):
    calls = count_calls(model)
    _, sigmas, _ = invert(model, prompt(""), latent, steps=20)
    sampling = model.get_model_object("model_sampling")
    asked = [int(sampling.timestep(sigma)[0]) for sigma in calls]
    assert asked == [0, 1, *range(51, 902, 50)]
    assert int(sampling.timestep(sigmas[0])) == 951


def of_family(model, family):
    """The model with its output read as another family's, through core's own patches."""
    if family == "v":
        return ModelSamplingDiscrete().patch(model, "v_prediction", False)[0]
    return ModelSamplingSD3().patch(model, 3.0)[0] if family == "flow" else model


@pytest.mark.parametrize("scheduler", ["ddim_uniform", "normal"])  # normal starts at the highest sigma: "max denoise"
@pytest.mark.parametrize(
    ("family", "wiring"),
    [(family, wiring) for family in ("eps", "v") for wiring in ("inverted", "empty", "original", "no noise")]
    + [("flow", wiring) for wiring in ("inverted", "empty", "original")],
)
def test_every_wiring_restarts_from_the_inverted_noise(model, prompt, latent, family, scheduler, wiring):
    """Spied through samplers that return where they are, without a step: stock noise scaling alone."""
    model = of_family(model, family)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, 3)
    reached = []

    def keep_end(apply, args):
        reached.append(apply(*args))
        return reached[-1]

    spied = model.clone()
    spied.add_wrapper(comfy.patcher_extension.WrappersMP.SAMPLER_SAMPLE, lambda apply, *args: keep_end(apply, args))
    noise, sigmas, inverted = invert(spied, prompt(""), latent, sigmas=sigmas)
    assert torch.equal(inverted["samples"], latent["samples"]) == (family == "flow")

    started = []

    def start_only(_, x, sigmas, extra_args, callback, disable):
        started.append(x)
        return torch.zeros_like(x)  # flow divides by 1 - sigma afterwards

    beside = {"empty": {"samples": torch.zeros_like(latent["samples"])}, "original": latent}.get(wiring, inverted)
    if wiring == "no noise":
        noise = DisableNoise.execute().result[0]
    SamplerCustomAdvanced.execute(noise, basic(model, prompt("")), comfy.samplers.KSAMPLER(start_only), sigmas, beside)
    assert distance(started[0].cpu(), reached[0].cpu()) < 1e-6


def test_random_latent_beside_the_noise_changes_nothing(model, prompt, latent):
    noise, sigmas, inverted = invert(model, prompt(""), latent, steps=8, strength=0.5)
    other = {"samples": latent["samples"].flip(-1)}
    same = regenerate(model, prompt(""), noise, sigmas, inverted)
    assert distance(regenerate(model, prompt(""), noise, sigmas, other), same) < 1e-5


def test_round_trip_error_halves_with_twice_the_steps(model, prompt, latent):
    errors = []
    latent = {"samples": latent["samples"][:1]}
    for steps in (12, 24):
        noise, sigmas, inverted = invert(model, prompt("a cat"), latent, steps=steps)
        restored = regenerate(model, prompt("a cat"), noise, sigmas, inverted)
        errors.append(distance(restored, latent["samples"]))
    assert 0.35 < errors[1] / errors[0] < 0.6


def test_strength_keeps_the_lowest_intervals(model, prompt, latent):
    denoisers.use_gaussian(model)
    _, full, _ = invert(model, prompt(""), latent, steps=20)
    _, part, _ = invert(model, prompt(""), latent, steps=20, strength=0.3)
    _, least, _ = invert(model, prompt(""), latent, steps=20, strength=0.001)
    assert torch.equal(part, full[-7:])
    assert torch.equal(least, full[-2:])


def test_strength_zero_is_the_identity(model, prompt, latent, count_calls):
    calls = count_calls(model)
    noise, sigmas, inverted = invert(model, prompt(""), latent, strength=0.0)
    restored = regenerate(model, prompt(""), noise, sigmas, inverted)
    assert torch.equal(restored, latent["samples"])
    assert calls == []


def test_clean_level_is_finite(model, prompt, latent):
    _, sigmas, inverted = invert(model, prompt(""), latent, steps=1)
    assert sigmas[-1] == 0
    assert torch.isfinite(inverted["samples"]).all()


def test_own_sigmas_from_any_scheduler(model, prompt, latent):
    sampling = model.get_model_object("model_sampling")
    latent = {"samples": latent["samples"][:1]}
    for scheduler in comfy.samplers.SCHEDULER_NAMES:
        sigmas = comfy.samplers.calculate_sigmas(sampling, scheduler, 4)
        noise, schedule, inverted = invert(model, prompt(""), latent, steps=3, sigmas=sigmas)
        assert torch.equal(schedule, sigmas), scheduler
        restored = regenerate(model, prompt(""), noise, schedule, inverted)
        assert torch.isfinite(restored).all(), scheduler


@pytest.mark.parametrize(
    ("sigmas", "message"),
    [
        (torch.tensor([0.0, 1.0, 5.0]), "remove FlipSigmas"),
        (torch.tensor([5.0, 6.0, 0.0]), "must fall"),
        (torch.tensor([5.0, float("nan"), 0.0]), "finite"),
        (torch.tensor([5.0, -1.0]), "0 or more"),
    ],
)
def test_unusable_sigmas_are_refused(model, prompt, latent, sigmas, message):
    with pytest.raises(ValueError, match=message):
        invert(model, prompt(""), latent, sigmas=sigmas)


def test_guidance_needs_a_negative(model, prompt, latent):
    with pytest.raises(ValueError, match="connect negative"):
        invert(model, prompt(""), latent, cfg=3.0)


def test_guidance_weighs_prompt_against_negative(model, prompt, latent, count_calls):
    """eps = w eps(c) + (1 - w) eps(uncond): one step from a clean image is linear in w."""
    one_step = {
        w: invert(model, prompt("a cat"), latent, 1, w, negative=prompt("")).result[2]["samples"]
        for w in (0.0, 1.0, 3.0)
    }
    expected = one_step[0.0] + 3.0 * (one_step[1.0] - one_step[0.0])
    assert distance(one_step[3.0], expected) < 1e-5
    assert distance(one_step[1.0], one_step[0.0]) > 1e-4


def test_noise_mask_is_dropped_and_said(model, prompt, latent):
    masked = {**latent, "noise_mask": torch.zeros(2, 64, 96)}
    plain = invert(model, prompt(""), latent, steps=5)
    output = invert(model, prompt(""), masked, steps=5)
    assert torch.equal(output.result[2]["samples"], plain.result[2]["samples"])
    assert "noise_mask" not in output.result[2]
    assert any("mask" in line for line in output.ui["text"])


def test_batch_index_is_kept_and_selects_from_the_noise(model, prompt, latent):
    noise, sigmas, inverted = invert(model, prompt(""), {**latent, "batch_index": [4, 9]}, steps=5)
    assert inverted["batch_index"] == [4, 9]
    both = regenerate(model, prompt(""), noise, sigmas, inverted)
    second = {"samples": inverted["samples"][1:], "batch_index": [9]}
    alone = regenerate(model, prompt(""), noise, sigmas, second)
    assert distance(alone, both[1:]) < 1e-5


@pytest.mark.parametrize("direction", ["invert", "regenerate"])
def test_cancel_stops_within_one_unet_call(model, prompt, latent, direction):
    noise, sigmas, inverted = invert(model, prompt(""), latent, steps=10)
    calls = []

    def wrapper(apply_model, options):
        calls.append(None)
        if len(calls) == 3:
            comfy.model_management.interrupt_current_processing()
        return apply_model(options["input"], options["timestep"], **options["c"])

    model.set_model_unet_function_wrapper(wrapper)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        if direction == "invert":
            invert(model, prompt(""), latent, steps=10)
        else:
            regenerate(model, prompt(""), noise, sigmas, inverted)
    assert len(calls) == 3


def test_latent_of_another_size_is_refused_with_both_shapes(model, prompt, latent):
    noise, sigmas, _ = invert(model, prompt(""), latent, steps=2)
    with pytest.raises(ValueError, match=r"\(2, 4, 8, 12\).*\(1, 4, 8, 8\)"):
        regenerate(model, prompt(""), noise, sigmas, {"samples": torch.zeros(1, 4, 8, 8)})


def test_latent_of_no_image_is_refused(model, prompt):
    nested = comfy.nested_tensor.NestedTensor([torch.ones(1, 4, 8, 8), torch.ones(1, 8, 16)])
    for samples, message in ((nested, "nested"), (torch.ones(1, 4, 2, 8, 8), "frames")):
        with pytest.raises(ValueError, match=message):
            invert(model, prompt(""), {"samples": samples})


def test_latent_of_another_family_is_refused(model, prompt):
    with pytest.raises(ValueError, match="16 channels.*works with 4.*checkpoint of SD3, Flux or SC_Prior"):
        invert(model, prompt(""), {"samples": torch.ones(1, 16, 8, 8)})
    image = codec.encode([np.ones((4, 8, 8), np.float32)], "custom", latent_format="SDXL")[0]
    with pytest.raises(ValueError, match="compressed for SDXL.*works with latents of SD1.x.*set latent_format"):
        invert(model, prompt(""), to_latent([image]))


def test_progress_is_told_every_step_and_previews_the_image(model, prompt, latent, monkeypatch):
    monkeypatch.setattr(comfy.cli_args.args, "preview_method", comfy.cli_args.LatentPreviewMethod.Latent2RGB)
    told = []
    monkeypatch.setattr(
        comfy.utils,
        "PROGRESS_BAR_HOOK",
        lambda value, total, preview, node_id=None: told.append((value, total, preview)),
    )
    invert(model, prompt(""), latent, steps=4)
    assert [(value, total) for value, total, _ in told] == [(i, 4) for i in (1, 2, 3, 4)]
    assert all(preview is not None for *_, preview in told)


def test_global_random_generator_is_left_alone(model, prompt, latent):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    invert(model, prompt(""), latent, steps=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_stock_noise_still_differs(model, prompt, latent):
    """The restart tests would pass on a model that ignores its start; this one does not."""
    noise, sigmas, inverted = invert(model, prompt(""), latent, steps=5)
    random = RandomNoise.execute(1).result[0]
    ours = regenerate(model, prompt(""), noise, sigmas, inverted)
    other = regenerate(model, prompt(""), random, sigmas, {"samples": torch.zeros_like(ours)})
    assert distance(other, ours) > 0.1


def test_an_empty_latent_says_so(model, prompt, latent):
    with pytest.raises(ValueError, match="empty"):
        invert(model, prompt(""), {"samples": torch.zeros(1, 4, 8, 8)}, 3)
    broken = {"samples": latent["samples"].clone().index_fill_(1, torch.tensor(2), float("nan"))}
    with pytest.raises(ValueError, match="latent contains NaN or infinity"):
        invert(model, prompt(""), broken, 3)


@pytest.mark.parametrize("refine", [0, 2])
def test_one_empty_image_of_a_batch_is_inverted_like_any(model, prompt, latent, refine):
    half = {"samples": torch.stack([latent["samples"][0], torch.zeros(4, 8, 12)])}
    output = invert(model, prompt(""), half, 3, refine=refine)
    assert torch.isfinite(output.result[2]["samples"]).all()
    assert "nan" not in " ".join(output.ui["text"])


def test_several_zeros_at_the_end_of_sigmas_are_refused(model, prompt, latent):
    with pytest.raises(ValueError, match="level 0 3 times"):
        invert(model, prompt(""), latent, 3, sigmas=torch.tensor([7.0, 1.0, 0.0, 0.0, 0.0]))
