"""Several images in one file, through the nodes."""

import re

import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from sdc_pack.nodes.contact_sheet import SDCContactSheet, spread_names
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.load_sdc_folder import SDCLoadFolder
from sdc_pack.nodes.save_sdc import SDCSave


def quantize(latent, preset="paper", **changes):
    settings = {"colors": 64, "dither": "floyd-steinberg", "dither_strength": 1.0, "seed": 0}
    return SDCLatentQuantize.execute(latent, preset, latent_format="SD1.x", **{**settings, **changes})


def save(sdc, prefix="SDC/film", batch="one file", **optional):
    return SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}}).execute(sdc, prefix, "none", batch=batch, **optional)


@pytest.fixture
def film(latent):
    """A LATENT of six images that are alike."""
    noise = torch.randn(6, 4, 8, 12, generator=torch.Generator().manual_seed(1))
    return {"samples": latent["samples"][:1] + noise}


def test_a_batch_comes_back_from_one_file(film, comfyui_folders):
    sdc, decoded, *_ = quantize(film).result
    image = torch.rand(6, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    output = save(sdc, prompt="a fox runs", image=image, thumbnail=True)
    (file,) = output.ui["files"]
    data = (comfyui_folders / "output" / "SDC" / file["filename"]).read_bytes()
    assert len(output.ui["images"]) == 1 and len(list(comfyui_folders.rglob("*.sdc"))) == 1
    line = output.ui["text"][0]
    assert line.startswith("film_00001_.sdc: 6 images in ") and re.search(r"x smaller than PNGs of [\d.]+ kB$", line)
    assert torch.equal(output.result[1]["samples"], decoded["samples"])
    loaded = SDCLoad.execute("SDC/film_00001_.sdc [output]")
    latent, images, prompt, width, height = loaded.result[:5]
    assert torch.equal(latent["samples"], decoded["samples"]) and images == output.result[0]
    assert (prompt, width, height) == ("a fox runs", 96, 64) and codec.load_all(data) == images
    assert loaded.ui["text"][0] == f"6 images, 96x64, {len(data) / 1000:.1f} kB"
    assert "64 colors" in loaded.ui["text"][1] and "prompt included" in loaded.ui["text"][2]


def test_a_file_each_is_the_default_and_one_image_is_an_ordinary_file(film, comfyui_folders):
    sdc = quantize(film)[0]
    assert len(save(sdc, batch="one file per image").ui["files"]) == 6
    options = {each.id: each for each in SDCSave.define_schema().inputs}
    assert list(options)[-1] == "batch" and options["batch"].default == "one file per image"
    clone = SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
    assert len(clone.execute(sdc, "SDC/old", "none").ui["files"]) == 6
    (file,) = save(sdc[:1], prefix="SDC/one").ui["files"]
    assert (comfyui_folders / "output" / "SDC" / file["filename"]).read_bytes() == sdc[0].data


def test_shared_palette_makes_the_one_file_smaller(film):
    own, shared = quantize(film)[0], quantize(film, shared_palette=True)[0]
    assert len({encoded.stored.values.tobytes() for encoded in shared}) == 1
    assert len(codec.join_images(shared)) < len(codec.join_images(own)) - 1000
    assert list(each.id for each in SDCLatentQuantize.define_schema().inputs)[-3:] == [
        "shared_palette", "precision", "effort"
    ]  # fmt: skip
    assert not [line for line in quantize(film, shared_palette=True).ui["text"] if "Not used" in line]


def test_the_preset_best_says_that_it_has_no_palette(film):
    text = quantize(film, preset="best", quality=50, shared_palette=True).ui["text"]
    assert [line for line in text if "Not used by the preset best: shared_palette. Choose fine" in line]


def test_images_of_different_sizes_say_what_to_do(film, comfyui_folders):
    sdc = quantize(film)[0]
    other = quantize({"samples": film["samples"][:1, :, :4]})[0]
    with pytest.raises(ValueError, match="image 7 is .*96x32.*Set batch to 'one file per image'"):
        save([*sdc, *other])
    with pytest.raises(ValueError, match="there are 258 images; one file holds 1 to 255. Set batch"):
        save(sdc * 43)
    assert not list(comfyui_folders.rglob("*.sdc"))


def test_max_megapixels_counts_all_images(film):
    save(quantize(film)[0], prefix="film")
    large = [codec.encode([np.zeros((4, 2, 2), np.float32)], "custom", width=4000, height=4000)[0]] * 3
    save(large, prefix="large")
    with pytest.raises(ValueError, match="3 images have 48000000 pixels and 36000000 .*max_megapixels"):
        SDCLoad.execute("large_00001_.sdc [output]")
    assert len(SDCLoad.execute("large_00001_.sdc [output]", max_megapixels=48).result[1]) == 3


def test_a_folder_gives_each_file_as_a_batch(film):
    sdc = quantize(film)[0]
    save(sdc, prefix="SDC/a")
    save(sdc[:2], prefix="SDC/b", batch="one file per image")
    output = SDCLoadFolder.execute("output", "SDC", "*.sdc", "name", 0, 0)
    assert [latent["samples"].shape[0] for latent in output.result[0]] == [6, 1, 1]
    assert [len(images) for images in output.result[1]] == [6, 1, 1]
    assert output.ui["text"][0].startswith("8 images in 3 files, ")
    sheet = SDCContactSheet.execute(output.result[1], [4], [64], output.result[-1])
    assert sheet.ui["text"] == ["8 of 8 images"] and sheet.result[0].shape[2] == 8 + 4 * 72


def test_images_of_a_batch_are_named_by_their_file():
    assert spread_names([1, 2], ["a", "b"]) == ["a", "b 1", "b 2"]
    assert spread_names([1, 1, 1], ["a"]) == ["a"] * 3
    assert spread_names([3], ["a", "b", "c"]) == ["a", "b", "c"]
    assert spread_names([2, 1], [""]) == ["", "", ""]


def test_differing_words_are_told(film):
    sdc = quantize(film)[0]
    described = [codec.with_metadata(encoded, {"prompt": str(number)}) for number, encoded in enumerate(sdc)]
    save(described, prefix="words")
    loaded = SDCLoad.execute("words_00001_.sdc [output]")
    assert loaded.result[2] == "0" and "those of the first are shown" in loaded.ui["text"][-1]
    assert [encoded.metadata["prompt"] for encoded in loaded.result[1]] == list("012345")
