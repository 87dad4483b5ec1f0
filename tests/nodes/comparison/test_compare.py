"""SDC Compare: what it measures, shows and writes."""

import csv
import inspect
import io
import re

import comfy.model_management
import folder_paths
import numpy as np
import psutil
import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from sdc_pack.nodes.compare import SDCCompare
from sdc_pack.nodes.comparison import baseline_process, baselines, metrics, sheet, table
from sdc_pack.nodes.comparison.entries import Comparison, Entry

NO_BASELINES = {"jpeg": False, "webp": False, "avif": False, "jpeg_xl": False}


@pytest.fixture
def original():
    """Two images, (2, 192, 200, 3)."""
    pixels = skimage.data.astronaut()
    return torch.from_numpy(np.stack([pixels[:192, 120:320], pixels[200:392, 120:320]]).astype(np.float32) / 255)


@pytest.fixture
def sdcs():
    random = np.random.default_rng(4)
    return [codec.encode([random.normal(size=(4, 24, 25))], "custom", colors=colors)[0] for colors in (16, 64)]


def compare(original, **inputs):
    schema = SDCCompare.define_schema()
    defaults = {each.id: each.default for each in schema.inputs if getattr(each, "default", None) is not None}
    return SDCCompare.execute(original, **{**defaults, **NO_BASELINES, **inputs})


def noisy(image, strength):
    return (image + strength * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)


def rows(output) -> list[dict]:
    (file,) = output.ui["files"]
    path = f"{folder_paths.get_output_directory()}/{file['subfolder']}/{file['filename']}"
    with open(path, encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def test_figures_are_those_of_the_images(original, sdcs):
    first = original[:1]
    output = compare(first, image_1=noisy(first, 0.1), sdc_1=sdcs[:1], image_2=first, name_2="the same")
    worse, same = rows(output)
    assert (worse["name"], worse["bytes"]) == ("without inversion", str(sdcs[0].num_bytes))
    assert float(worse["bits_per_pixel"]) == pytest.approx(8 * sdcs[0].num_bytes / (192 * 200))
    assert float(worse["psnr"]) == metrics.psnr(first[0], noisy(first, 0.1)[0])
    assert float(worse["ms_ssim"]) == metrics.ms_ssim(first[0], noisy(first, 0.1)[0])
    assert (same["name"], same["bytes"], same["psnr"], same["ssim"]) == ("the same", "", "inf", "1.0")
    comparison, table = output.result
    assert f"| without inversion | {sdcs[0].num_bytes} |" in table and "| the same | – | – | ∞ | 1.000 |" in table
    assert comparison.shape[0] == 1 and comparison.shape[3] == 3
    assert comparison.dtype == torch.float32 and 0 <= comparison.min() and comparison.max() <= 1


def test_baselines_take_at_most_the_bytes_of_the_file(original):
    sdc = [codec.encode([np.random.default_rng(4).normal(size=(4, 64, 64))], "custom", colors=256)[0]]
    output = compare(original[:1], image_2=noisy(original[:1], 0.1), sdc_2=sdc, jpeg=True, webp=True)
    ours, jpeg, webp = rows(output)
    assert (jpeg["name"], webp["name"]) == ("JPEG", "WebP")
    for baseline in (jpeg, webp):
        assert 0.85 * sdc[0].num_bytes < int(baseline["bytes"]) <= sdc[0].num_bytes
        expected = baselines.encode_baseline_to_size(
            baseline["name"], metrics.to_pixels(original[0]), sdc[0].num_bytes
        ).pixels()
        assert float(baseline["psnr"]) == metrics.psnr(original[0], expected)
    assert [int(row["bytes"]) <= 2000 for row in rows(compare(original[:1], baseline_bytes=2000, jpeg=True))] == [True]


def test_a_baseline_that_needs_more_is_marked(original):
    output = compare(original[:1], baseline_bytes=100, jpeg=True)
    assert int(rows(output)[0]["bytes"]) > 100
    assert "(its smallest)" in output.result[1]


def test_without_a_size_baselines_are_left_out_and_it_says_so(original):
    output = compare(original[:1], image_1=original[:1], jpeg=True)
    assert [row["name"] for row in rows(output)] == ["without inversion"]
    assert output.ui["text"][0] == "without inversion: PSNR \u221e, SSIM 1.000"
    assert "connect an SDC" in "".join(output.ui["text"]) and "connect an SDC" in output.result[1]


def test_missing_baseline_is_told(original, monkeypatch):
    monkeypatch.setattr("PIL.features.check", lambda feature: feature != "avif")
    output = compare(original[:1], image_1=original[:1], baseline_bytes=3000, avif=True)
    assert [row["name"] for row in rows(output)] == ["without inversion"]
    assert "AVIF needs Pillow" in "".join(output.ui["text"])


def test_every_image_of_a_batch_is_compared(original, sdcs):
    output = compare(original, image_1=noisy(original, 0.1), sdc_1=sdcs, image_2=original[:1], jpeg=True)
    assert [row["image"] for row in rows(output)] == ["1"] * 3 + ["2"] * 3
    assert [row["bytes"] for row in rows(output) if row["name"] == "without inversion"] == [
        str(s.num_bytes) for s in sdcs
    ]
    assert output.result[0].shape[0] == 2
    assert output.result[1].count("**Image") == 2
    one = compare(original[:1], image_1=noisy(original, 0.1))
    assert [row["image"] for row in rows(one)] == ["1", "2"]


def test_original_is_trimmed_as_vae_encode_trims(original):
    """What VAE Encode and Decode leave of 200x192 with 7 more columns and 5 more rows."""
    larger = torch.rand(1, 192 + 5, 200 + 7, 3)
    larger[:, 2 : 2 + 192, 3 : 3 + 200] = original[:1]
    (row,) = rows(compare(larger, image_1=original[:1]))
    assert row["psnr"] == "inf"


def test_gray_and_transparent_images_are_taken(original):
    gray = original[:1].mean(3, keepdim=True)
    transparent = torch.cat([original[:1], torch.rand(1, 192, 200, 1)], 3)
    first, second = rows(compare(original[:1], image_1=gray, image_2=transparent))
    assert float(first["psnr"]) < 30 and second["psnr"] == "inf"


def test_bfloat16_is_taken(original):
    """As nodes that work in the dtype of a model give it."""
    coarse = noisy(original[:1], 0.1).bfloat16()
    first, second = rows(compare(original[:1].bfloat16(), image_1=coarse, image_2=coarse.float()))
    assert first["psnr"] == second["psnr"] and 15 < float(first["psnr"]) < 25


def test_a_baseline_that_refuses_the_image_is_left_out_and_says_so():
    strip = torch.zeros(1, 2, 16384, 3)  # one more than WebP has
    output = compare(strip, image_1=strip, baseline_bytes=6000, jpeg=True, webp=True)
    assert [row["name"] for row in rows(output)] == ["without inversion", "JPEG"]
    (note,) = [line for line in output.ui["text"] if "WebP" in line]
    assert "Left out: WebP cannot encode 16384x2" in note and note in output.result[1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "connect an image to image_1"),
        ({"image_1": torch.zeros(1, 96, 100, 3)}, "original 200x192, image_1 100x96"),
        ({"image_3": torch.zeros(3, 192, 200, 3)}, "original has 2 images and another input 3"),
        ({"image_1": torch.zeros(1, 192, 200, 3), "sdc_1": [None] * 3}, "sdc_1 has 3 files.* 2 images"),
        ({"image_1": torch.zeros(1, 192, 200, 3), "filename_prefix": "../x"}, "filename_prefix leads outside"),
    ],
)
def test_what_cannot_be_compared_is_refused(original, inputs, message):
    with pytest.raises(ValueError, match=message):
        compare(original, **inputs)


def test_names_stay_in_their_cell(original):
    table = compare(original[:1], image_1=original[:1], name_1="a | b\n<b>c</b>").result[1]
    assert r"| a \| b <b>c</b> |" in table
    assert rows(compare(original[:1], image_1=original[:1], name_1=""))[0]["name"] == "image 1"


def test_lpips_is_measured_when_its_weights_are_there(original, monkeypatch, tmp_path):
    monkeypatch.setattr(folder_paths, "get_folder_paths", lambda kind: [str(tmp_path)])
    output = compare(original[:1], image_1=original[:1])
    assert rows(output)[0]["lpips"] == "" and str(tmp_path) in output.result[1]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_cancel_is_heard_before_every_encoding(original, monkeypatch, number):
    """And before any image is measured. Each of some ten encodings may take as long as all that is around them."""
    made, encode = [], baselines._encode

    def cancel(*arguments):
        made.append(encode(*arguments))
        comfy.model_management.interrupt_current_processing(len(made) == number)
        return made[-1]

    monkeypatch.setattr(baselines, "_encode", cancel)
    comfy.model_management.interrupt_current_processing(number == 0)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        compare(original[:1], image_1=original[:1], baseline_bytes=3000, jpeg=True)
    assert len(made) == number


def test_cancel_ends_an_encoder_in_the_middle():
    """AVIF at its best and an image of which it has for minutes; after the third look nothing of it is left."""
    looks, before = [], set(psutil.Process().children())

    def check():
        looks.append(set(psutil.Process().children()) - before)
        if len(looks) == 3:
            raise comfy.model_management.InterruptProcessingException

    noise = np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), np.uint8)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        baseline_process.search("AVIF", noise, 100_000, check)
    assert len(looks[-1]) == 1 and not set(psutil.Process().children()) - before


@pytest.mark.parametrize("name", ["AVIF", "JPEG XL"])
def test_a_search_apart_finds_the_same_and_names_what_is_refused(name, original):
    if reason := baselines.missing(name):
        pytest.skip(reason)
    pixels = metrics.to_pixels(original[0])[:32, :32]
    apart, here = (
        find(name, pixels, 450, lambda: None) for find in (baseline_process.search, baselines.encode_baseline_to_size)
    )
    assert (apart.data, apart.quality, apart.fits) == (here.data, here.quality, here.fits)


def test_a_codec_that_refuses_a_large_image_is_named_from_apart_too():
    with pytest.raises(baselines.BaselineError, match="WebP cannot encode 256x16384"):
        baseline_process.search("WebP", np.zeros((16384, 256, 3), np.uint8), 700, lambda: None)


def test_zoom_shows_where_images_differ_most(original):
    pixels = metrics.to_pixels(original[0])
    changed = pixels.copy()
    changed[100:140, 60:100] = 255 - changed[100:140, 60:100]
    left, top, side = sheet.most_different([pixels, changed])
    assert side == 48 and 52 <= left <= 60 and 92 <= top <= 100
    assert sheet.most_different([pixels[:8], changed[:8]])[2] == 8


def test_difference_map_is_black_where_nothing_differs():
    black = np.zeros((4, 4, 3), np.uint8)
    gray = black + np.uint8(200)
    assert sheet.difference(black, black).max() < 5
    assert sheet.difference(black, gray).min() > 150


@pytest.mark.parametrize(("shape", "count"), [((8, 8), 1), ((64, 64), 8), ((64, 2048), 1), ((2048, 64), 1)])
def test_images_of_every_shape_are_drawn(shape, count):
    pixels = np.full((*shape, 3), 128, np.uint8)
    figures = {"psnr": float("inf"), "ssim": 1.0, "ms_ssim": None, "lpips": 0.0}
    entries = [Entry("a very long name of an image " * 9, pixels, 3000, figures=figures) for _ in range(count)]
    comparison = Comparison(pixels, entries)
    drawn = sheet.draw_sheet(comparison)
    assert drawn.dtype == np.uint8 and drawn.shape[1] == 12 + (count + 1) * (384 + 12) and drawn.shape[0] < 1400


def test_every_input_of_the_schema_is_an_argument():
    taken = set(inspect.signature(SDCCompare.execute).parameters)
    others = [each.id for each in SDCCompare.define_schema().inputs if each.id not in taken]
    assert all(re.fullmatch("(name|image|sdc)_[1-4]", each) for each in others) and len(others) == 12


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "  =cmd|' /C calc'!A0", "\t=1"])
def test_no_name_is_a_formula_in_a_spreadsheet(name):
    entry = Entry(name, np.zeros((8, 8, 3), np.uint8), 12, figures={"psnr": -1.5})
    rows = list(csv.reader(io.StringIO(table.to_csv([Comparison(entry.pixels, [entry])]).decode("utf-8-sig"))))
    assert rows[1][1] == f"'{name}" and rows[1][4] == "-1.5"
