"""Regenerate with Canny against the same graph wired from stock nodes."""

import itertools

import comfy.samplers
import cv2
import numpy as np
import pytest
import skimage.data
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider, RandomNoise, SamplerCustomAdvanced
from nodes import ControlNetApplyAdvanced
from sdc_pack.nodes.ddim_invert import SDCDDIMInvert
from sdc_pack.nodes.images import opencv
from sdc_pack.nodes.images.sizes import trim_to_latent
from sdc_pack.nodes.regenerate_canny import SDCRegenerateCanny
from sdc_pack.nodes.regeneration import canny
from sdc_pack.nodes.regeneration.edges import canny_edges
from sdc_pack.nodes.regeneration.noise_to_image import part_of_schedule

from dev import families


@pytest.fixture
def image():
    """Two images of 96x64: a bright square on dark, and a disc."""
    images = np.full((2, 64, 96, 3), 0.1, np.float32)
    images[0, 16:48, 24:72] = 0.9
    cv2.circle(images[1], (48, 32), 20, (0.9, 0.9, 0.9), -1)
    return torch.from_numpy(images)


@pytest.fixture
def inverted(model, prompt, latent):
    return SDCDDIMInvert.execute(model, prompt("a cat"), latent, 3, 1.0, 1.0).result


def regenerate(model, positive, control_net, image, inverted, **changes):
    noise, sigmas, latent = inverted
    settings = {
        "latent": latent,
        "noise": noise,
        "sigmas": sigmas,
        "canny_strength": 0.3,
        "low_threshold": 100,
        "high_threshold": 200,
        "start_percent": 0.0,
        "end_percent": 1.0,
        "cfg": 1.0,
        **changes,
    }
    return SDCRegenerateCanny.execute(model, positive, image, control_net=control_net, **settings)


def test_equals_the_stock_graph(model, prompt, control_net, image, inverted):
    noise, sigmas, latent = inverted
    ours, edges = regenerate(model, prompt("a cat"), control_net, image, inverted, canny_strength=0.7)
    positive, _ = ControlNetApplyAdvanced().apply_controlnet(
        prompt("a cat"), prompt(""), control_net, edges, 0.7, 0.0, 1.0
    )
    guider = BasicGuider.execute(model, positive).result[0]
    euler = comfy.samplers.sampler_object("euler")
    stock = SamplerCustomAdvanced.execute(noise, guider, euler, sigmas, latent).result[0]
    assert torch.equal(ours["samples"], stock["samples"])


def test_guidance_equals_stock_cfg(model, prompt, control_net, image, inverted):
    noise, sigmas, latent = inverted
    words = {"negative": prompt("blurred"), "cfg": 4.0}
    output = regenerate(model, prompt("a cat"), control_net, image, inverted, **words)
    positive, negative = ControlNetApplyAdvanced().apply_controlnet(
        prompt("a cat"), prompt("blurred"), control_net, output.result[1], 0.3, 0.0, 1.0
    )
    guider = CFGGuider.execute(model, positive, negative, 4.0).result[0]
    euler = comfy.samplers.sampler_object("euler")
    stock = SamplerCustomAdvanced.execute(noise, guider, euler, sigmas, latent).result[0]
    assert torch.equal(output.result[0]["samples"], stock["samples"])
    assert "4" in output.ui["text"][0] and "1" in output.ui["text"][0]  # the inversion was at w = 1: it warns


def test_no_warning_when_guidance_agrees(model, prompt, control_net, image, inverted):
    assert regenerate(model, prompt("a cat"), control_net, image, inverted).ui["text"] == []


def test_guidance_without_negative_is_refused(model, prompt, control_net, image, inverted):
    with pytest.raises(ValueError, match="connect negative"):
        regenerate(model, prompt("a cat"), control_net, image, inverted, cfg=2.0)


def test_edges_reach_the_control_net(model, prompt, control_net, image, inverted):
    """Other edges, another image; at strength 0, and outside its percent range, the edges do not matter."""
    flipped = image.roll(20, dims=2)
    for canny_strength, end_percent, differs in ((0.5, 1.0, True), (0.0, 1.0, False), (0.5, 0.0, False)):
        settings = {"canny_strength": canny_strength, "end_percent": end_percent}
        one = regenerate(model, prompt(""), control_net, image, inverted, **settings).result[0]["samples"]
        other = regenerate(model, prompt(""), control_net, flipped, inverted, **settings).result[0]["samples"]
        assert torch.equal(one, other) != differs


def test_the_range_of_the_edges_counts_on_the_way_that_is_gone(model, prompt, control_net, image, latent):
    """Half of the way of a low strength is half of its steps, which lie at the end of the whole schedule."""
    way = SDCDDIMInvert.execute(model, prompt(""), latent, 10, 1.0, 0.2).result
    found = [
        regenerate(model, prompt(""), control_net, image, way, canny_strength=1.0, start_percent=start, end_percent=end)
        for start, end in ((0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (0.0, 1.0))
    ]
    for one, other in itertools.combinations([output.result[0]["samples"] for output in found], 2):
        assert not torch.equal(one, other)


@pytest.mark.parametrize("family", ["SD1.x", "Flux"])
def test_a_part_of_the_way_is_found_on_the_whole_schedule(family):
    model, _ = families.build(family)
    sampling = model.get_model_object("model_sampling")
    sigmas = torch.tensor([float(sampling.percent_to_sigma(0.6)), 0.01, 0.0])
    found = [part_of_schedule(model, sigmas, part) for part in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx([0.0, 0.7, 0.8, 1.0], abs=1e-5)


def test_each_image_of_a_batch_keeps_its_own_edges(model, prompt, control_net, image, latent):
    together = SDCDDIMInvert.execute(model, prompt(""), latent, 2, 1.0, 1.0).result
    both = regenerate(model, prompt(""), control_net, image, together).result[0]["samples"]
    for i in (0, 1):
        single = SDCDDIMInvert.execute(model, prompt(""), {"samples": latent["samples"][i : i + 1]}, 2, 1.0, 1.0).result
        alone = regenerate(model, prompt(""), control_net, image[i : i + 1], single).result[0]["samples"]
        assert ((both[i : i + 1] - alone).norm() / alone.norm()) < 1e-4


def test_one_unet_call_a_step(model, prompt, control_net, image, inverted, count_calls):
    calls = count_calls(model)
    regenerate(model, prompt(""), control_net, image, inverted)
    assert len(calls) == len(inverted[1]) - 1


def test_strength_zero_of_the_inversion_gives_the_latent_back(model, prompt, control_net, image, latent):
    unchanged = SDCDDIMInvert.execute(model, prompt(""), latent, 5, 1.0, 0.0).result
    output = regenerate(model, prompt(""), control_net, image, unchanged)
    assert torch.equal(output.result[0]["samples"], latent["samples"])


def test_stock_noise_is_accepted(model, prompt, control_net, image, inverted):
    random = RandomNoise.execute(5).result[0]
    output = regenerate(model, prompt(""), control_net, image, inverted, noise=random)
    assert torch.isfinite(output.result[0]["samples"]).all()


def test_edges_are_opencvs(image):
    edges = canny_edges(image, 100, 200)
    assert edges.shape == image.shape and edges.dtype == torch.float32
    for frame, found in zip(image, edges, strict=True):
        gray = cv2.cvtColor((frame * 255).round().byte().numpy(), cv2.COLOR_RGB2GRAY)
        expected = torch.from_numpy(cv2.Canny(gray, 100, 200)) / 255
        assert expected.any() and torch.equal(found, expected.unsqueeze(-1).repeat(1, 1, 3))


def test_alpha_channel_is_ignored(image):
    with_alpha = torch.cat([image, torch.zeros(*image.shape[:3], 1)], dim=-1)
    assert torch.equal(canny_edges(with_alpha, 100, 200), canny_edges(image, 100, 200))


def test_thresholds_the_wrong_way_round_are_refused(image):
    with pytest.raises(ValueError, match=r"low_threshold \(201\)"):
        canny_edges(image, 201, 200)


@pytest.mark.parametrize(("width", "height"), [(513, 300), (64, 2048), (519, 511), (512, 512)])
def test_image_is_trimmed_exactly_as_vae_encode_does(vae, width, height):
    image = torch.rand(1, height, width, 3)
    samples = torch.zeros(1, 4, height // 8, width // 8)
    assert torch.equal(trim_to_latent(image, samples, 8), vae.vae_encode_crop_pixels(image))


def test_larger_image_of_the_same_shape_is_left_to_comfyui():
    assert trim_to_latent(torch.zeros(1, 512, 1024, 3), torch.zeros(1, 4, 32, 64), 8).shape == (1, 512, 1024, 3)


@pytest.mark.parametrize("size", [(512, 256), (7, 7)])
def test_image_of_another_shape_is_refused(size):
    with pytest.raises(ValueError, match=f"image is {size[1]}x{size[0]}.*512x512"):
        trim_to_latent(torch.zeros(1, *size, 3), torch.zeros(1, 4, 64, 64), 8)


def test_without_opencv_the_edges_are_the_same(image, monkeypatch):
    """To the pixel: every gray, sizes down to one pixel, noise, smooth and flat images, all kinds of thresholds."""
    random = np.random.default_rng(1)
    sizes = (1, 1), (1, 9), (9, 1), (2, 2), (5, 7), (64, 48), (33, 127), (150, 211)
    images = [random.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    images += [random.integers(0, 4, (40, 57), dtype=np.uint8) * 60]
    images += [cv2.GaussianBlur(images[-2], (0, 0), sigma) for sigma in (1, 2, 5)]
    images += [np.tile((np.arange(200) // 3).astype(np.uint8), (50, 1)), skimage.data.camera()[::2, ::2]]
    limits = [
        (low, high) for low in (0, 1, 33.5, 100, 200, 1000) for high in (0, 2, 60.3, 100, 400, 2040) if low <= high
    ]
    colors = np.stack(np.meshgrid(*[np.arange(start, 256, 5) for start in (0, 1, 2)]), -1).astype(np.uint8)[0:51]
    colors = colors.reshape(51, -1, 3)
    expected = [cv2.Canny(image, *limit) > 0 for image in images for limit in limits], canny_edges(image, None, None)
    monkeypatch.setattr(opencv, "cv2", None)
    found = [canny.find_edges(image, *limit) for image in images for limit in limits]
    assert all(map(np.array_equal, expected[0], found)) and sum(map(np.sum, found)) > 100_000
    assert np.array_equal(canny.to_gray(colors), cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY))
    assert torch.equal(canny_edges(image, None, None), expected[1])


def test_auto_thresholds_follow_the_median_of_each_image(image):
    auto = canny_edges(image, None, None)
    for frame, found in zip(image, auto, strict=True):
        gray = cv2.cvtColor((frame * 255).round().byte().numpy(), cv2.COLOR_RGB2GRAY)
        median = max(np.median(gray), 45)
        expected = torch.from_numpy(cv2.Canny(gray, 0.67 * median, 1.33 * median)) / 255
        assert torch.equal(found[..., 0], expected)


def test_auto_thresholds_see_no_grain_in_the_dark():
    grain = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1)) * 0.02
    assert not canny_edges(grain, None, None).any() and canny_edges(grain, 1, 2).any()


def test_auto_thresholds_reach_the_control_net(model, prompt, control_net, image, inverted):
    output = regenerate(model, prompt(""), control_net, image, inverted, thresholds="auto", low_threshold=999)
    assert torch.equal(output.result[1], canny_edges(image, None, None))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_own_edges_are_used_instead(model, prompt, control_net, image, inverted, channels):
    own = torch.zeros(2, 64, 96, channels)
    own[:, 30:34] = 1
    output = regenerate(model, prompt(""), control_net, image, inverted, edge_image=own)
    assert torch.equal(output.result[1], own[..., :1].expand(-1, -1, -1, 3))
    found = regenerate(model, prompt(""), control_net, image, inverted)
    assert not torch.equal(output.result[0]["samples"], found.result[0]["samples"])


def test_own_edges_of_another_shape_are_refused(model, prompt, control_net, image, inverted):
    with pytest.raises(ValueError, match="edge_image is 64x64"):
        regenerate(model, prompt(""), control_net, image, inverted, edge_image=torch.zeros(1, 64, 64, 3))


def test_edges_are_previewed(model, prompt, control_net, image, inverted, comfyui_folders):
    shown = regenerate(model, prompt(""), control_net, image, inverted).ui
    assert len(shown["images"]) == 2
    assert all((comfyui_folders / "temp" / entry["filename"]).is_file() for entry in shown["images"])


@pytest.mark.parametrize("size", [(64, 96), (67, 103), (71, 97)])
def test_hint_is_the_latents_crop_for_odd_sizes(model, prompt, control_net, vae, inverted, size, monkeypatch):
    """What reaches the ControlNet's network are the edges of exactly the pixels that VAE Encode kept."""
    image = torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(2)).round()
    hints = []
    forward = control_net.control_model.forward

    def spy(*args, **kwargs):
        hints.append(kwargs["hint"].clone())
        return forward(*args, **kwargs)

    monkeypatch.setattr(control_net.control_model, "forward", spy)
    regenerate(model, prompt(""), control_net, image, inverted, canny_strength=0.5)
    expected = canny_edges(vae.vae_encode_crop_pixels(image), 100, 200)
    assert torch.equal(hints[0].float().cpu().movedim(1, -1), expected)


def test_canny_strength_zero_is_bit_exactly_no_control_net(model, prompt, control_net, image, inverted):
    noise, sigmas, latent = inverted
    guided = regenerate(model, prompt(""), control_net, image, inverted, canny_strength=0.0).result[0]["samples"]
    without = regenerate(model, prompt(""), None, image, inverted).result[0]["samples"]
    guider = BasicGuider.execute(model, prompt("")).result[0]
    euler = comfy.samplers.sampler_object("euler")
    plain = SamplerCustomAdvanced.execute(noise, guider, euler, sigmas, latent).result[0]["samples"]
    assert torch.equal(guided, plain) and torch.equal(without, plain)


def test_exact_pair_regenerates_here_and_edges_may_pull(model, prompt, control_net, image, latent):
    exact = SDCDDIMInvert.execute(model, prompt(""), latent, 6, 1.0, 1.0, method="exact pair").result
    back = regenerate(model, prompt(""), control_net, image, exact, canny_strength=0.0).result[0]["samples"]
    assert ((back - latent["samples"]).norm() / back.norm()) < 1e-6
    pulled = regenerate(model, prompt(""), control_net, image, exact, canny_strength=1.0).result[0]["samples"]
    assert torch.isfinite(pulled).all() and not torch.equal(pulled, back)
    with pytest.raises(ValueError, match="cfg was 1"):
        regenerate(model, prompt(""), control_net, image, exact, cfg=3.0, negative=prompt(""))


def test_sigmas_that_start_at_another_level_are_told(model, prompt, control_net, image, inverted):
    noise, sigmas, latent = inverted
    clone = SDCRegenerateCanny.PREPARE_CLASS_CLONE({})
    assert clone is not None
    same = regenerate(model, prompt("a cat"), control_net, image, inverted)
    assert same.ui["text"] == []
    other = regenerate(model, prompt("a cat"), control_net, image, (noise, sigmas[1:], latent))
    (note,) = other.ui["text"]
    assert f"{float(sigmas[0]):.3g}" in note and f"{float(sigmas[1]):.3g}" in note


def test_a_noise_mask_is_ignored_and_told(model, prompt, control_net, image, inverted):
    noise, sigmas, latent = inverted
    expected = regenerate(model, prompt("a cat"), control_net, image, inverted).result[0]["samples"]
    masked = {**latent, "noise_mask": torch.zeros(2, 64, 96)}
    output = regenerate(model, prompt("a cat"), control_net, image, (noise, sigmas, masked))
    assert torch.equal(output.result[0]["samples"], expected) and "mask" in output.ui["text"][0]
