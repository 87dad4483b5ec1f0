"""Inversion for every latent format, through ComfyUI's own model classes."""

import comfy.lora
import comfy.model_management
import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_hooks import CreateHookKeyframe, CreateHookModelAsLora, SetHookKeyframes
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete, ModelSamplingFlux, ModelSamplingSD3
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.regeneration.noise_to_image import noise_to_image

from dev import denoisers, families

from . import sampling as stock
from .sampling import distance


def invert(model, positive, latent, sigmas, refine=0, **optional):
    return SDCDDIMInvert.execute(model, positive, latent, 1, 1.0, 1.0, sigmas=sigmas, refine=refine, **optional)


def restore(model, positive, *inverted):
    return stock.restore(stock.basic(model, positive), *inverted)


def schedule(model, scheduler, steps):
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps).cpu()


def errors(model, positive, latent, sigmas, refines=(0, 4)):
    return [
        distance(restore(model, positive, *invert(model, positive, latent, sigmas, refine).result), latent["samples"])
        for refine in refines
    ]


@pytest.fixture(scope="module", params=[name for name in families.FAMILIES if name != "Z-Image"])  # sampled as SD3
def family(request):
    with torch.inference_mode():
        return families.build(request.param)


def test_family_is_of_comfyuis_own_class(family):
    model, _ = family
    sampling = {base.__name__ for base in type(model.get_model_object("model_sampling")).__bases__}
    expected = {
        "SD15": {"ModelSamplingDiscrete", "EPS"},
        "SD20": {"ModelSamplingDiscrete", "V_PREDICTION"},
        "SDXL": {"ModelSamplingDiscrete", "EPS"},
        "SD3": {"ModelSamplingDiscreteFlow", "CONST"},
        "Flux": {"ModelSamplingFlux", "CONST"},
        "Flux2": {"ModelSamplingFlux", "CONST"},
        "QwenImage": {"ModelSamplingFlux", "CONST"},
        "WAN21_T2V": {"ModelSamplingDiscreteFlow", "CONST"},
    }
    assert sampling == expected[type(model.model.model_config).__name__]
    assert type(model.model.model_config).__module__ == "comfy.supported_models"


def test_round_trip(family):
    model, positive = family
    paper, refined = errors(model, positive, families.draw_latent(model), schedule(model, "simple", 20))
    assert refined < 0.01 * paper and refined < 2e-3


@pytest.mark.parametrize("kind", ["SD1.x", "SD2.x v", "SD3", "Flux"])
def test_round_trip_by_another_scheduler(kind):
    """For each kind of model_sampling."""
    model, positive = families.build(kind)
    paper, refined = errors(model, positive, families.draw_latent(model), schedule(model, "normal", 20))
    assert refined < 0.01 * paper and refined < 2e-3


def test_the_latent_steers_the_model(family):
    """The round trips above would pass on a model that ignores its input."""
    model, positive = family
    sigmas = schedule(model, "simple", 5)
    noise, _, latent = invert(model, positive, families.draw_latent(model), sigmas).result
    other_noise, *_ = invert(model, positive, families.draw_latent(model, seed=8), sigmas).result
    assert distance(other_noise.x, noise.x) > 0.1
    words = [[torch.randn_like(positive[0][0]), positive[0][1]]]
    assert distance(restore(model, words, noise, sigmas, latent), families.draw_latent(model)["samples"]) > 1e-4


def patched(family, model):
    return {
        "SD1.x zsnr": lambda: ModelSamplingDiscrete().patch(model, "v_prediction", True)[0],
        "SD1.x x0": lambda: ModelSamplingDiscrete().patch(model, "x0", False)[0],
        "SD1.x lcm": lambda: ModelSamplingDiscrete().patch(model, "lcm", False)[0],
        "SD3 shift": lambda: ModelSamplingSD3().patch(model, 6.0)[0],
        "Flux shift": lambda: ModelSamplingFlux().patch(model, 1.15, 0.5, 96, 64)[0],
    }[family]()


@pytest.mark.parametrize("family", ["SD1.x zsnr", "SD3 shift", "Flux shift"])
def test_round_trip_with_another_model_sampling(family):
    model, positive = families.build(family.split()[0])
    model = patched(family, model)
    paper, refined = errors(model, positive, families.draw_latent(model), schedule(model, "simple", 20))
    assert refined < 0.03 * paper and refined < 0.01


@pytest.mark.parametrize("family", ["SD1.x x0", "SD1.x lcm"])
def test_other_predictions_start_where_the_inversion_ended(family):
    model, positive = families.build("SD1.x")
    model = patched(family, model)
    sigmas = schedule(model, "simple", 5)
    noise, _, latent = invert(model, positive, families.draw_latent(model), sigmas).result
    assert torch.isfinite(restore(model, positive, noise, sigmas, latent)).all()
    reached = noise.generate_noise(latent) * noise.scaling.noise + noise.latent_format.process_in(latent["samples"])
    assert distance(reached, noise.latent_format.process_in(noise.x)) < 1e-6


@pytest.mark.parametrize(("family", "noise_scale"), [("SD3", 1.0), ("SD3", 0.7), ("Flux2", 1.0), ("Wan", 1.0)])
def test_flow_reaches_the_closed_form_and_back_from_sigma_1(family, noise_scale):
    """Data N(m, d^2) on the straight path to N(0, s^2): what stays the same is the standardized x."""
    model, positive = families.build(family)
    mean, deviation = 0.3, 0.9
    sampling = model.get_model_object("model_sampling")
    if not hasattr(sampling, "noise_scale"):
        if noise_scale != 1.0:
            pytest.skip("this ComfyUI knows no noise_scale")
    else:
        sampling.set_noise_scale(noise_scale)

    exact = denoisers.use_gaussian(model, mean, deviation)
    latent = families.draw_latent(model)
    x = model.get_model_object("latent_format").process_in(latent["samples"])
    found = []
    for steps in (50, 100):
        noise, sigmas, beside = invert(model, positive, latent, schedule(model, "simple", steps)).result
        assert sigmas[0] == 1
        expected = exact(x, 1.0)
        assert distance(expected, noise_scale * (x - mean) / deviation) < 1e-6
        found.append(distance(noise.latent_format.process_in(noise.x), expected))
    assert 1.7 < found[0] / found[1] < 2.3 and found[1] < 0.05
    noise, sigmas, beside = invert(model, positive, latent, sigmas, 6).result
    assert distance(restore(model, positive, noise, sigmas, beside), latent["samples"]) < 1e-5


@pytest.mark.parametrize("family", ["Qwen-Image", "Wan"])
def test_latents_with_frames_go_through_the_exact_pair_and_come_back(family):
    """Images of one frame each, and for a model of video several frames; one frame may come without its axis."""
    model, positive = families.build(family)
    sigmas = schedule(model, "simple", 8)
    latent = families.draw_latent(model, count=2)
    if family == "Wan":
        latent["samples"] = latent["samples"].repeat(1, 1, 3, 1, 1)
    inverted = SDCDDIMInvert.execute(model, positive, latent, 1, 1.0, 1.0, sigmas=sigmas, method="exact pair").result
    assert inverted[2]["samples"].shape == latent["samples"].shape
    regenerated, _ = noise_to_image(model, positive, inverted[2], inverted[0], sigmas)
    assert distance(regenerated["samples"], latent["samples"]) < 1e-5
    if family == "Qwen-Image":
        flat = {"samples": latent["samples"][:, :, 0]}
        again = invert(model, positive, flat, sigmas).result
        assert torch.equal(again[0].x, invert(model, positive, latent, sigmas).result[0].x)


def test_lora_patches_act_and_are_undone(family):
    model, positive = family
    key = next(
        key for key in model.model.state_dict() if key.endswith(".weight") and model.model.state_dict()[key].ndim == 2
    )
    weight = model.model.state_dict()[key]
    patched = model.clone()
    up, down = torch.randn(weight.shape[0], 2) * 0.2, torch.randn(2, weight.shape[1]) * 0.2
    lora = {"lora_key.lora_up.weight": up, "lora_key.lora_down.weight": down}
    assert patched.add_patches(comfy.lora.load_lora(lora, {"lora_key": key}), 1.0)
    sigmas, latent = schedule(model, "simple", 8), families.draw_latent(model)
    plain = invert(model, positive, latent, sigmas).result[0].x
    changed = invert(patched, positive, latent, sigmas).result[0].x
    assert distance(changed, plain) > 1e-5
    paper, refined = errors(patched, positive, latent, sigmas)
    assert refined < 0.3 * paper
    assert torch.equal(invert(model, positive, latent, sigmas).result[0].x, plain)


def test_wrapper_that_caches_by_falling_sigma_is_given_every_call(model, prompt, latent):
    """DeepCache and its like count steps, and begin anew where sigma has risen: never a stale answer on the way up."""
    reused, last = [], {}

    def wrapper(apply_model, options):
        sigma = options["timestep"].max().item()
        fresh = not last or sigma > last["sigma"] or last["used"] >= 2
        reused.append(not fresh)
        if fresh:
            last.update(output=apply_model(options["input"], options["timestep"], **options["c"]), used=0)
        last.update(sigma=sigma, used=last["used"] + 1)
        return last["output"]

    plain = invert(model, prompt(""), latent, schedule(model, "simple", 6)).result[2]["samples"]
    model.set_model_unet_function_wrapper(wrapper)
    cached = invert(model, prompt(""), latent, schedule(model, "simple", 6))
    assert not any(reused) and len(reused) == 6
    assert torch.equal(cached.result[2]["samples"], plain)
    restore(model, prompt(""), *cached.result)
    assert any(reused)


def test_hook_keyframes_are_refused_on_the_way_up(model, prompt, latent):
    hooks = CreateHookModelAsLora().create_hook(
        "sdc-random-taesd.ckpt" if "sdc-random-taesd.ckpt" in listed() else "sdc-random.ckpt", 0.5, 0.0
    )[0]
    keyframes = CreateHookKeyframe().create_hook_keyframe(1.0, 0.0)[0]
    steady = SetHookKeyframes().set_hook_keyframes(hooks, keyframes)[0]
    changing = SetHookKeyframes().set_hook_keyframes(
        hooks, CreateHookKeyframe().create_hook_keyframe(0.0, 0.5, prev_hook_kf=keyframes)[0]
    )[0]
    sigmas = schedule(model, "simple", 3)
    hooked = [[words, {**options, "hooks": steady}] for words, options in prompt("")]
    assert torch.isfinite(invert(model, hooked, latent, sigmas).result[0].x).all()
    hooked = [[words, {**options, "hooks": changing}] for words, options in prompt("")]
    with pytest.raises(ValueError, match="hook keyframes"):
        invert(model, hooked, latent, sigmas)


def listed():
    import folder_paths

    return folder_paths.get_filename_list("checkpoints")
