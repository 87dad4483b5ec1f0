"""DDIM Invert taken apart: the same engine under SamplerCustomAdvanced and any guider."""

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import (
    DisableNoise,
    DualCFGGuider,
    FlipSigmas,
    SamplerCustomAdvanced,
)
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from nodes import ControlNetApplyAdvanced
from sdc_pack import codec
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.inversion_sampler import SDCInversionSampler
from sdc_pack.nodes.inversion_sigmas import SDCInversionSigmas
from sdc_pack.nodes.inverted_noise import SDCInvertedNoise

from dev import denoisers, families

from .sampling import basic, distance, restore


@pytest.fixture
def model(small):
    return small.clone()


def no_noise():
    return DisableNoise.execute().result[0]


def round_trip(model, guider, latent, refine=0, strength=1.0, steps=10, scheduler="ddim_uniform"):
    """(LATENT that was inverted, restored samples) from the parts alone."""
    rising, falling = SDCInversionSigmas.execute(model, scheduler, steps, strength).result
    sampler = SDCInversionSampler.execute(refine).result[0]
    inverted = SamplerCustomAdvanced.execute(no_noise(), guider, sampler, rising, latent).result[0]
    noise = SDCInvertedNoise.execute(model, inverted, falling).result[0]
    return inverted, restore(guider, noise, falling, latent)


@pytest.mark.parametrize("refine", [0, 2])
def test_parts_equal_ddim_invert(model, prompt, latent, refine):
    guider = basic(model, prompt("a cat"))
    inverted, _ = round_trip(model, guider, latent, refine)
    whole = SDCDDIMInvert.execute(model, prompt("a cat"), latent, 10, 1.0, 1.0, refine=refine).result[2]
    assert torch.equal(inverted["samples"], whole["samples"])


def test_parts_equal_ddim_invert_for_flow():
    model, positive = families.build("Flux")
    latent = families.draw_latent(model)
    guider = basic(model, positive)
    inverted, restored = round_trip(model, guider, latent, refine=5, scheduler="simple")
    assert distance(restored, latent["samples"]) < 1e-4


@pytest.mark.parametrize("kind", ["dual cfg", "perturbed attention", "control net"])
def test_any_guider_inverts_and_returns(model, prompt, latent, small_control_net, kind):
    latent = {"samples": latent["samples"][:1]}
    positive = prompt("a cat")
    if kind == "perturbed attention":
        model = PerturbedAttentionGuidance.execute(model, 2.0).result[0]
    if kind == "control net":
        hint = torch.zeros(1, 64, 96, 3)
        hint[:, 20:30] = 1
        held = ControlNetApplyAdvanced().apply_controlnet(positive, positive, small_control_net, hint, 0.5, 0.0, 1.0)
        positive = held[0]
    guider = basic(model, positive)
    if kind == "dual cfg":
        guider = DualCFGGuider.execute(model, positive, prompt("grass"), prompt(""), 2.0, 1.5, "regular").result[0]
    plain = basic(model.clone(), prompt("a cat"))
    coarse_end, coarse = round_trip(model, guider, latent)
    _, fine = round_trip(model, guider, latent, refine=5)
    assert distance(fine, latent["samples"]) < 0.02 * distance(coarse, latent["samples"])
    if kind != "perturbed attention":  # the inversion itself went under it
        assert distance(coarse_end["samples"], round_trip(model, plain, latent)[0]["samples"]) > 1e-4


def test_stock_flip_sigmas_serves_as_well(model, prompt, latent):
    """It puts 0.0001 in the place of 0."""
    guider = basic(model, prompt(""))
    rising, falling = SDCInversionSigmas.execute(model, "normal", 5, 1.0).result
    sampler = SDCInversionSampler.execute(0).result[0]
    ours, flipped = (
        SamplerCustomAdvanced.execute(no_noise(), guider, sampler, sigmas, latent).result[0]["samples"]
        for sigmas in (rising, FlipSigmas.execute(falling).result[0])
    )
    assert rising[0] == 0 and distance(flipped, ours) < 1e-4


def test_falling_sigmas_are_refused(model, prompt, latent):
    guider = basic(model, prompt(""))
    sampler = SDCInversionSampler.execute(0).result[0]
    _, falling = SDCInversionSigmas.execute(model, "normal", 5, 1.0).result
    with pytest.raises(ValueError, match="these fall"):
        SamplerCustomAdvanced.execute(no_noise(), guider, sampler, falling, latent)


def test_strength_zero_changes_nothing(model, prompt, latent):
    guider = basic(model, prompt(""))
    rising, falling = SDCInversionSigmas.execute(model, "normal", 5, 0.0).result
    sampler = SDCInversionSampler.execute(0).result[0]
    same = SamplerCustomAdvanced.execute(no_noise(), guider, sampler, rising, latent).result[0]
    assert torch.equal(same["samples"], latent["samples"])
    with pytest.raises(ValueError, match="no noise at strength 0"):
        SDCInvertedNoise.execute(model, same, falling)


def test_own_sigmas_are_taken(model):
    own = torch.tensor([7.0, 3.0, 1.0, 0.0])
    rising, falling = SDCInversionSigmas.execute(model, "normal", 5, 0.5, own).result
    assert falling.tolist() == [3.0, 1.0, 0.0] and rising.tolist() == [0.0, 1.0, 3.0]


def test_hooks_find_the_level_that_is_asked(model, prompt, latent):
    """They look the current sigma up in sample_sigmas, where the clean level stands as the smallest sigma."""
    found = []

    def wrapper(apply_model, options):
        listed = options["c"]["transformer_options"]["sample_sigmas"]
        found.append(bool(torch.isclose(listed, options["timestep"][0], rtol=1e-4).any()))
        return apply_model(options["input"], options["timestep"], **options["c"])

    model.set_model_unet_function_wrapper(wrapper)
    guider = basic(model, prompt(""))
    round_trip(model, guider, latent, refine=1, steps=4)
    assert found and all(found)


def compressed(latent, colors=64):
    samples = latent["samples"].numpy()
    space = "SD3" if samples.shape[1] == 16 else "SD1.x"
    images = [codec.encode([x], "custom", colors=colors, latent_format=space)[0] for x in samples]
    return images, {"samples": torch.stack([torch.from_numpy(codec.decode(image)) for image in images])}


@pytest.fixture
def smooth_latent():
    """Something that a palette suits, as it does photographs."""
    noise = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    spectrum = torch.fft.rfft2(noise)
    rows, columns = torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(32)[None]
    spectrum /= (rows**2 + columns**2).sqrt() + 0.03
    samples = torch.fft.irfft2(spectrum)
    return {"samples": samples / samples.std() / 0.18215}


@pytest.mark.parametrize("family", ["SD1.x", "SD3"])
def test_auto_strength_stops_at_the_quantization_error(model, prompt, smooth_latent, family):
    positive = prompt("")
    denoisers.use_gaussian(model)  # what the model answers does not matter here
    if family == "SD3":
        model, positive = families.build("SD3")
        smooth_latent = {"samples": smooth_latent["samples"][..., :16, :16].repeat(1, 4, 1, 1)}
    tops = []
    for colors in (8, 64):
        images, decoded = compressed(smooth_latent, colors)
        output = SDCDDIMInvert.execute(
            model, positive, decoded, 50, 1.0, 1.0, auto_strength=True, sdc=images,
            sigmas=comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 100).cpu(),
        )  # fmt: skip
        latent_format = model.get_model_object("latent_format")
        true = latent_format.process_in(decoded["samples"]) - latent_format.process_in(smooth_latent["samples"])
        top = output.result[1][0].item()
        noise = top / (1 - top) if family == "SD3" else top
        assert 0.5 < noise / true.square().mean().sqrt() < 1.5
        assert any(line.startswith("Strength 0.") for line in output.ui["text"])
        tops.append(top)
    assert tops[1] < tops[0]


def test_auto_strength_needs_the_file(model, prompt, latent):
    with pytest.raises(ValueError, match="connect sdc"):
        SDCDDIMInvert.execute(model, prompt(""), latent, 5, 1.0, 1.0, auto_strength=True)


def test_files_of_different_palettes_in_a_batch_go_apart(model, prompt, smooth_latent):
    first = compressed({"samples": smooth_latent["samples"][:1]}, 4)[1]["samples"]
    second = compressed({"samples": smooth_latent["samples"][1:]}, 128)[1]["samples"]
    both = SDCDDIMInvert.execute(model, prompt(""), {"samples": torch.cat([first, second])}, 3, 1.0, 1.0).result[2]
    for i, item in enumerate((first, second)):
        alone = SDCDDIMInvert.execute(model, prompt(""), {"samples": item}, 3, 1.0, 1.0).result[2]
        assert distance(both["samples"][i : i + 1], alone["samples"]) < 1e-5
