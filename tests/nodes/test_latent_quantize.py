"""SD Latent Quantize."""

import re

import comfy.cli_args
import comfy.model_management
import comfy.utils
import nodes as comfy_nodes
import pytest
import sdc_pack.codec as codec
import torch
from comfy.nested_tensor import NestedTensor
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.load_sdc import SDCLoad

from .node_steps import quantize, save


def test_paper_preset_of_a_image(vae):
    """A 512x512 image through VAE Encode: within 3400 bytes, and what is previewed is what the bytes hold."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 512), torch.linspace(0, 9, 512), indexing="ij")
    image = torch.stack([x.sin(), y.cos(), (x * y).sin()], -1)[None] * 0.5 + 0.5
    latent = comfy_nodes.VAEEncode().encode(vae, image)[0]
    (encoded,), decoded, size, bits_per_pixel = quantize(latent, image=image)
    assert size == len(encoded.data) <= 3400
    assert bits_per_pixel == pytest.approx(8 * size / 512**2)
    assert torch.equal(decoded["samples"][0], torch.from_numpy(codec.decode(codec.load(encoded.data))))
    assert ((decoded["samples"] - latent["samples"]).norm() / latent["samples"].norm()) < 0.5


def test_node_shows_size_and_colors(latent):
    output = quantize(latent, preset="custom")
    assert output.ui["text"] == [f"{encoded.num_bytes} bytes · {encoded.colors} colors" for encoded in output.result[0]]


def test_custom_preset_uses_its_settings(latent):
    (encoded, _), *_ = quantize(latent, preset="custom", colors=8)
    assert encoded.colors == 8
    assert encoded.data == codec.encode([latent["samples"][0].numpy()], "custom", colors=8, dither="none")[0].data
    (paper, _), *_ = quantize(latent, colors=8)
    assert paper.data == codec.encode([latent["samples"][0].numpy()], "paper")[0].data


def test_batch_gives_one_file_and_palette_a_image(latent):
    three = {"samples": torch.cat([latent["samples"], latent["samples"][:1]]), "batch_index": [2, 5, 7]}
    encoded_images, decoded, size, bits_per_pixel = quantize(three)
    assert len(encoded_images) == 3 and size == sum(len(encoded.data) for encoded in encoded_images)
    assert bits_per_pixel == pytest.approx(8 * size / (3 * 96 * 64))
    assert encoded_images[0] == encoded_images[2] != encoded_images[1]
    assert decoded["batch_index"] == [2, 5, 7]
    output = save(encoded_images)
    assert [result["filename"] for result in output.ui["files"]] == [f"test_0000{i}_.sdc" for i in (1, 2, 3)]
    assert torch.equal(output.result[1]["samples"], decoded["samples"])


@pytest.mark.parametrize(("width", "height"), [(513, 300), (64, 2048), (8, 15)])
def test_odd_sizes_keep_their_true_size(vae, width, height):
    image = torch.rand(1, height, width, 3)
    latent = comfy_nodes.VAEEncode().encode(vae, image)[0]
    (encoded,), *_ = quantize(latent, image=image)
    assert (encoded.width, encoded.height) == (width, height)
    (trimmed,), *_ = quantize(latent)
    assert (trimmed.width, trimmed.height) == (width // 8 * 8, height // 8 * 8)


def test_image_of_another_image_is_refused(latent):
    with pytest.raises(ValueError, match="image is 512x512.*96x64"):
        quantize(latent, image=torch.zeros(1, 512, 512, 3))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(1, 4, 2, 8, 8), "4 channels and 2 frames, but SD1.x"),
        (NestedTensor((torch.zeros(1, 4, 2, 8, 8), torch.zeros(1, 8, 40))), "nested.*Separate AV Latent"),
        (torch.zeros(1, 64, 8), "audio"),
        (torch.zeros(1, 16, 8, 8), "16"),
        (torch.full((1, 4, 8, 8), float("nan")), "(?i)nan|finite"),
    ],
)
def test_latents_that_are_no_image_are_refused(samples, message):
    with pytest.raises(ValueError, match=message):
        quantize({"samples": samples})


@pytest.mark.parametrize("preset", codec.PRESETS)
@pytest.mark.parametrize("latent_format", ["Wan21", "unknown"])
def test_a_latent_of_one_frame_keeps_its_five_axes(preset, latent_format):
    """From Quantize through a saved file and Load SDC; in all else it is the image that it would be with four."""
    samples = torch.randn(2, 16, 1, 8, 12, generator=torch.Generator().manual_seed(7))
    images, decoded, *_ = quantize({"samples": samples}, preset=preset, latent_format=latent_format)
    flat = quantize({"samples": samples[:, :, 0]}, preset=preset, latent_format="unknown").result[1]
    assert torch.equal(decoded["samples"], flat["samples"].unsqueeze(2))
    assert decoded.get("latent_format", "unknown") == latent_format
    result = save(images, batch="one file").ui["files"][0]
    loaded, read, *_ = SDCLoad.execute(f"{result['subfolder']}/{result['filename']} [output]").result
    assert torch.equal(loaded["samples"], decoded["samples"]) and [image.frames for image in read] == [1, 1]


@pytest.mark.parametrize(
    "settings", [{}, {"shared_palette": True}, {"preset": "best", "quality": 80}], ids=["own", "shared", "learned"]
)
def test_a_batch_shows_progress_and_can_be_canceled(latent, monkeypatch, settings):
    told = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, node_id=None: told.append((value, total))
    )
    three = {"samples": latent["samples"].repeat(2, 1, 1, 1)[:3]}
    quantize(three, **settings)
    assert told[0] == (1, 3) and told[-1] == (3, 3)  # ComfyUI leaves some out when they come fast
    told.clear()

    def cancel(*values, node_id=None):
        told.append(values)
        comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", cancel)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        quantize(three, **settings)
    assert len(told) == 1


def test_a_noise_mask_is_not_stored_and_told(latent):
    output = quantize({**latent, "noise_mask": torch.ones(2, 64, 96)})
    assert "mask" in output.ui["text"][-1] and "noise_mask" not in output.result[1]
    assert not [line for line in quantize(latent).ui["text"] if "mask" in line]


@pytest.mark.parametrize(
    ("preset", "settings"),
    [("paper", {}), ("clean", {"dither": "none"}), ("fine", {"colors": 256, "dither": "none"})],
)
def test_presets_of_a_palette(latent, preset, settings):
    (encoded, _), *_ = quantize(latent, preset=preset, colors=64, dither="floyd-steinberg")
    assert encoded.data == codec.encode([latent["samples"][0].numpy()], "custom", **settings)[0].data


def test_what_a_preset_does_not_go_by_is_told(latent):
    def notes(**changes):
        given = {"colors": 64, "dither": "floyd-steinberg", **changes}
        return quantize(latent, **given).ui["text"][2:]

    assert notes() == notes(preset="custom", colors=8, dither="none", dither_strength=0.5) == []
    (note,) = notes(preset="paper", colors=16)
    assert note == "\u26a0 Not used by the preset paper: colors. Choose custom to use it."
    (note,) = notes(preset="clean", max_bytes=900, mask=torch.ones(1, 64, 96))
    assert "max_bytes, mask. Choose best" in note
    (note,) = notes(preset="custom", quality=9, dither_strength=0.5)
    assert note == "\u26a0 Not used by the preset custom: quality. Choose best to use it."
    (note,) = notes(preset="fine", max_bytes=900, latent_format="SDXL")
    assert note == "\u26a0 Not used by the preset fine: max_bytes. Choose best to use it."
    (note,) = notes(preset="best", quality=50, max_bytes=900)
    assert "together with quality: max_bytes" in note


def test_the_rate_that_a_tiny_image_is_told_to_ask_for_can_be_asked_for():
    (rate,) = (each for each in SDCLatentQuantize.GET_SCHEMA().inputs if each.id == "bits_per_pixel")
    tiny = {"samples": torch.ones(1, 4, 1, 1)}
    quantize(tiny, preset="best")  # at the size that the node starts with
    with pytest.raises(ValueError, match="use [0-9.]+ or more") as refused:
        quantize(tiny, preset="best", bits_per_pixel=0.005)
    least = float(re.search("use ([0-9.]+) or more", str(refused.value))[1])
    assert 0.005 < least < rate.max
    assert quantize(tiny, preset="best", bits_per_pixel=least).result[3] * 8 * 8 <= least * 128 * 128


def test_the_schema_says_which_settings_belong_to_which_preset():
    """The page grays the others by it."""
    inputs = SDCLatentQuantize.GET_NODE_INFO_V1()["input"]
    known = {name: options for section in inputs.values() for name, options in section.items()}
    preset = known["preset"][1]
    served = preset["sdc_settings"]
    assert list(served) == preset["options"] and preset["default"] == "best"
    names = {name for settings in served.values() for name in settings}
    assert names <= known.keys()
    assert known.keys() - names == {"latent", "preset", "latent_format", "image", "vae"}  # all presets go by these


def test_what_vae_encode_cuts_off_and_large_images_are_told(vae, latent):
    image = torch.rand(1, 70, 99, 3)
    kept = comfy_nodes.VAEEncode().encode(vae, image)[0]
    assert "VAE Encode kept 96x64 of 99x70." in quantize(kept, image=image, preset="custom").ui["text"][1]
    large = {"samples": torch.zeros(1, 4, 200, 160) + torch.arange(160)}
    assert "2 megapixels" in quantize(large, preset="custom").ui["text"][1]
