"""The benches on images so small that they take seconds, and their arithmetic on rows made by hand."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
from PIL import Image, PngImagePlugin
from sdc_pack.nodes.tiny import install

from benchmarks import families, inversion, quality, rate, results, speed, table1, tune
from benchmarks.harness import command, regenerator, timing
from benchmarks.harness.regenerator import BEST
from benchmarks.harness.results import Results
from dev.environment import SetupError
from dev.tables import Table

SHARED = Path(os.environ["SDC_SHARED"])
needs_taesd = pytest.mark.skipif(
    not (SHARED / "models" / "vae_approx").is_dir(), reason="no models/vae_approx under SDC_SHARED"
)


@pytest.fixture
def bench(tmp_path):
    """Run a bench on one image of 64x64 and return the rows of its JSON file."""
    settings = {"comfyui": os.environ["SDC_COMFYUI"], "models": os.environ["SDC_MODELS"], "shared": SHARED}
    Image.fromarray(skimage.data.astronaut()[60:124, 180:244]).save(tmp_path / "peppers.png")

    def run(name, *more):
        path = tmp_path / f"{name}.json"
        assert (
            command.main([name, "--images", str(tmp_path / "peppers.png"), "--json", str(path), *more], settings) == 0
        )
        return json.loads(path.read_text())["rows"]

    return run


@needs_taesd
def test_table1_prints_the_papers_rows_beside_ours(bench, capsys):
    rows = bench("table1")
    printed = capsys.readouterr().out
    for name, figures in table1.PRINTED["peppers"].items():
        (line,) = (line for line in printed.splitlines() if line.startswith(f"peppers, {name}  "))
        assert line.removeprefix(f"peppers, {name}").split()[:3] == [f"{figure:g}" for figure in figures]
    by_label = {table1.label(row["key"]): row["value"] for row in rows}
    assert str(by_label["without inversion"]["bytes"]) in printed
    assert by_label["with inversion"]["bytes"] == by_label["without inversion"]["bytes"]
    assert by_label["with inversion"]["psnr"] != by_label["with inversion, paper's settings"]["psnr"]
    assert f"with inversion by sdc-tiny.safetensors and sdc-tiny-canny.safetensors, {BEST}" in printed
    assert "autoencoder taesd" in printed and "not comparable" in printed
    assert bench("table1") == rows


@needs_taesd
def test_quality_measures_before_and_after(bench, tmp_path, capsys):
    settings = ["--settings", "20:0.1:1", "0:0.35:1", "--plot", str(tmp_path / "quality.svg")]
    rows = bench("quality", *settings, "--gallery", str(tmp_path / "shown"))
    alone, table, ablation, others = quality.report(rows)
    assert alone.rows[0][0] == install.NAMES["checkpoint"] and 0 < float(alone.rows[0][-2]) < 1
    printed = capsys.readouterr().out
    assert alone.text() in printed and table.text() in printed
    assert [(line[0], line[2]) for line in table.rows[:3]] == [
        ("paper: decoded", "0"),
        ("paper: 20 steps, strength 0.1, canny strength 1", "4"),
        ("paper: once at sigma 0.35, canny strength 1", "1"),
    ]
    assert len(table.rows) == 3 * 3
    palettes = [row["value"]["psnr"] for row in rows[1:] if "colors" in row["key"]]
    assert len(set(palettes)) == 3  # with 64 latents the presets with palettes are the same
    learned = [row for row in rows[1:] if row["key"].get("size") == 3200]
    assert len(learned) == 3 and all(0 < row["value"]["bytes"] <= 3200 for row in learned)
    assert [line[0] for line in ablation.rows[:2]] == [
        "paper: decoded", "paper: the ControlNet alone, one call without inversion"
    ]  # fmt: skip
    assert len(ablation.rows) == 3 * 2  # of the parts, only that setting was asked for
    assert len(others.rows) == 3 * 3 and "GMSD" in others.header and others.text() in printed
    assert len(list((tmp_path / "shown").glob("peppers, paper, *.png"))) == 3
    assert "<svg" in (tmp_path / "quality.svg").read_text()
    assert bench("quality", *settings) == rows  # taken from the file


@needs_taesd
def test_a_setting_is_chosen_by_lpips_among_quick_ones_that_keep_the_ssim(bench, capsys):
    rows = bench("tune", "--settings", "13:0.15:1", "0:0.35:0.5", "20:0.15:1")
    (table,) = tune.report(rows)
    assert table.text() in capsys.readouterr().out
    assert [line[1] for line in table.rows[:4]] == ["0", "4", "1", "6"]

    def values(calls, ssim, lpips):
        return [{"calls": calls, "ssim": ssim, "lpips": lpips, "bytes": 1}]

    found = {
        ("paper", "decoded"): values(0, 0.5, 0.3),
        ("paper", "blurred"): values(4, 0.4, 0.1),
        ("paper", "slow"): values(6, 0.6, 0.1),
        ("paper", "good"): values(4, 0.5, 0.2),
        ("paper", "worse"): values(1, 0.9, 0.4),
    }
    assert tune.choose(found, "paper") == "good"
    assert tune.choose({("paper", "decoded"): values(0, 0.5, 0.3)}, "paper") is None


def test_narrow_networks_regenerate_as_the_padded_ones_do(monkeypatch):
    latent = np.random.default_rng(2).normal(size=(4, 16, 16)).astype(np.float32) * 5
    decoded = np.random.default_rng(3).integers(0, 256, (128, 128, 3), np.uint8)
    names = install.NAMES["checkpoint"], install.NAMES["controlnet"]
    narrow = regenerator.Regenerator(*names).run(latent, decoded, BEST)
    monkeypatch.setattr(regenerator, "use_narrow_networks", lambda *_: None)
    padded = regenerator.Regenerator(*names).run(latent, decoded, BEST)
    assert narrow[1] == padded[1] == 4
    assert np.abs(narrow[0] - latent).max() > 0.1
    np.testing.assert_allclose(narrow[0], padded[0], atol=1e-3)


@needs_taesd
def test_rate_measures_every_setting_and_draws_them(bench, tmp_path, capsys):
    rows = bench("rate", "--plot", str(tmp_path / "rate.svg"))
    (equal, everything) = rate.report(rows)
    printed = capsys.readouterr().out
    assert equal.text() in printed and everything.text() in printed
    assert {f"SDC, no dither, {colors} colors" for colors in rate.PALETTES["no dither"]} <= {
        r[0] for r in everything.rows
    }
    assert "<svg" in (tmp_path / "rate.svg").read_text()


@needs_taesd
def test_families_set_the_presets_beside_the_autoencoder_and_tell_of_metadata(tmp_path, capsys):
    settings = {"comfyui": os.environ["SDC_COMFYUI"], "models": os.environ["SDC_MODELS"], "shared": SHARED}
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("prompt", json.dumps({"1": {"class_type": "SaveImage", "inputs": {}}}))
    chunks.add_text("workflow", json.dumps({"nodes": [], "links": []}))
    Image.fromarray(skimage.data.astronaut()[:128, 160:288]).save(tmp_path / "made.png", pnginfo=chunks)
    kept = tmp_path / "families.json"
    asked = ["families", "--images", str(tmp_path), "--json", str(kept), "--families", "Flux"]
    assert command.main(asked, settings) == 0
    quality, carried = families.report(json.loads(kept.read_text())["rows"])
    printed = capsys.readouterr().out
    assert quality.text() in printed and carried.text() in printed and carried.rows[0][0] == "made"
    alone, best, clean, fine = quality.rows
    assert [row[0] for row in quality.rows] == ["Flux, taef1 alone", "Flux, best", "Flux, clean", "Flux, fine"]
    assert alone[1] == "-" and 0 < int(best[1]) <= 0.095 * 128 * 128 / 8 < int(fine[1])
    psnr = [float(row[2]) for row in (clean, fine, alone)]
    assert psnr == sorted(psnr)


def rows_of(*images):
    """Rows of a rate file: (PSNR, LPIPS) of the preset and of AVIF at its bytes, for each image."""
    for number, (ours, theirs) in enumerate(images):
        image = {"image": f"p{number}", "pixels": str(number)}
        for key, size, (psnr, lpips) in (
            ({"row": "autoencoder", "vae": "taesd"}, None, (30.0, 0.1)),
            ({"row": "SDC", "vae": "taesd", **codec.PRESETS["paper"].fixed}, 3000, ours),
            ({"row": "SDC", "vae": "taesd", "colors": 64, **rate.DITHERS["no dither"]}, 2800, ours),
            ({"row": "AVIF", "quality": 60}, 9000, (99.0, 0.0)),
            ({"row": "AVIF", "size": 3000}, 2900 + 200 * number, theirs),
        ):
            figures = {"psnr": psnr, "ssim": 0.5, "ms_ssim": None, "lpips": lpips, "bytes": size, "fits": number == 0}
            yield {"key": {**image, **key}, "value": figures}


def test_rate_counts_who_is_better_and_takes_means():
    table, _ = rate.report(list(rows_of(((20.0, 0.2), (25.0, 0.3)), ((22.0, 0.4), (21.0, 0.3)))))
    assert "Images of 2 on which AVIF is better than the preset paper: PSNR 1, SSIM 0, LPIPS 1." in table.notes
    assert table.rows == [
        ["SDC, preset paper", "3000", "21.00", "0.500", "-", "0.300", "0"],
        ["SDC, 64 colors, no dither", "2800", "21.00", "0.500", "-", "0.300", "0"],
        ["AVIF", "3000", "23.00", "0.500", "-", "0.300", "1"],
    ]


def test_growth_is_the_exponent():
    assert timing.growth([1, 10, 100], [3, 30, 300]) == pytest.approx(1)
    assert timing.growth([1, 10, 100], [5, 500, 50_000]) == pytest.approx(2)


def test_memory_and_seconds_are_those_of_the_call():
    """In a clean process: this one has room that earlier tests have freed."""
    script = (
        "import json, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from benchmarks.harness import timing\n"
        "print(json.dumps(timing.both_ways(lambda: sum(bytearray(50_000_000)), lambda _: time.sleep(0.05))))"
    )
    command = [sys.executable, "-c", script, str(results.REPO)]
    figures = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert 45e6 < figures["encode_memory"] < 60e6 and figures["decode_memory"] < 5e6
    assert 0.05 <= figures["decode_seconds"] < 5


def test_codecs_are_measured_in_a_process_of_their_own():
    latent = np.random.default_rng(5).normal(size=(4, 16, 16)).astype(np.float32)
    figures = speed.measure_alone("SDC", latent)
    assert figures["bytes"] == codec.encode([latent], "paper")[0].size
    assert figures["encode_seconds"] > 0 and figures["decode_seconds"] > 0
    assert speed.measure_alone("WebP", np.zeros((64, 64, 3), np.uint8), 20)["bytes"] < 200


@needs_taesd
def test_speed_times_codecs_and_nodes(bench, monkeypatch, capsys):
    small = {"TILE": 64, "SIDES": (64,), "NODES_SIDE": 128, "LARGEST_FOR_VAE": 0, "PAPER_BYTES": 400}
    for name, value in small.items():
        monkeypatch.setattr(speed, name, value)
    monkeypatch.setattr(speed, "BASELINES", {"WebP": 64})  # AVIF at its slowest takes longer than all the rest
    rows = bench("speed")
    assert [row["key"]["what"] for row in rows] == ["WebP", *timing.PRESETS, "nodes"]
    figures = rows[-1]["value"]
    assert len(figures) == 5 and all(f["seconds"] > 0 < f["stock_seconds"] for f in figures.values())
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*figures, "WebP, 64x64", "SDC best by size, 64x64"))


def test_mosaic_repeats_its_tiles():
    tiles = [np.full((4, 4, 1), value) for value in (1, 2, 3)]
    assert speed.mosaic(tiles, 8)[::4, ::4, 0].tolist() == [[1, 2], [3, 1]]
    assert speed.mosaic(tiles, 2).shape == (2, 2, 1)


def test_chapters_and_their_figures_come_from_the_files(tmp_path):
    rows = [{**row, "commit": "0123456789ab"} for row in rows_of(((20.0, 0.2), (25.0, 0.3)))]
    (tmp_path / "results").mkdir()
    path, made_by = tmp_path / "kodak.json", {"code": "abc", "numpy": "2.4.6"}
    content = {"bench": "rate", "settings": {"vae": "taesd"}, "made_by": made_by, "rows": rows}
    path.write_text(json.dumps(content))
    text, figures = results.chapter(path, tmp_path)
    assert text.startswith("## Kodak") and "| SDC, preset paper | 3000 | 20.00 |" in text
    assert "Measured at commit 0123456789ab with numpy 2.4.6." in text and "abc" not in text
    assert "![kodak](results/kodak.svg)" in text and (tmp_path / "results" / "kodak.svg").exists()
    assert "* Commit 0123456789ab; vae taesd; p0, whole." in text
    assert figures["bench"] == "rate" and figures["settings"] == {"vae": "taesd"} and figures["images"] == 1
    equal = json.loads(results.to_json(figures))["tables"]["At the bytes of the preset paper, image by image"]
    assert equal["header"][:3] == ["bytes", "PSNR", "SSIM"]
    assert equal["rows"]["SDC, preset paper"] == [3000, 20.0, 0.5, None, 0.2, 0]
    path.write_text(json.dumps({"bench": "../evil", "made_by": {}, "rows": []}))
    with pytest.raises(SetupError, match="which is not there"):
        results.chapter(path, tmp_path)


def test_docs_and_figures_are_written_from_every_file_and_what_was_there(tmp_path, monkeypatch):
    shown = Table(
        "Figures of the gallery", ["", "bytes"], [["faces, AVIF", "3000 (its smallest)"], ["faces, SDC", "3100"]]
    )
    monkeypatch.setattr(results, "gallery", lambda options: ("## What is lost\n", shown))
    rows = [{**row, "commit": "0123456789ab"} for row in rows_of(((20.0, 0.2), (25.0, 0.3)))]
    content = {"bench": "rate", "settings": {}, "made_by": {}, "rows": rows}
    for name in ("kodak", "generated"):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    docs = tmp_path / "docs"
    results.run(argparse.Namespace(folder=tmp_path, docs=docs, mark=False), Results(None, "results"))
    text = (docs / "results.md").read_text(encoding="utf-8")
    chapters = ["# Results", "## Kodak", "## Images made with ComfyUI", "## What is lost"]
    assert sorted(chapters, key=text.index) == chapters
    figures = json.loads((docs / "results" / "figures.json").read_text(encoding="utf-8"))
    assert list(figures) == ["kodak", "generated", "gallery"] and figures["kodak"]["commits"] == ["0123456789ab"]
    assert figures["gallery"]["tables"]["Figures of the gallery"]["rows"] == {"faces, SDC": [3100]}
    # A chapter whose file is gone stays, and its order with it.
    (tmp_path / "kodak.json").unlink()
    results.run(argparse.Namespace(folder=tmp_path, docs=docs, mark=False), Results(None, "results"))
    assert (docs / "results.md").read_text(encoding="utf-8") == text
    assert json.loads((docs / "results" / "figures.json").read_text(encoding="utf-8")) == figures


def test_numbers_are_read_from_the_cells():
    assert [results.to_number(cell) for cell in ("3286", "4104+", "-16.2 %", "1.1e-01", "-", "", "1e-1 (10+9)")] == [
        3286, 4104, -16.2, 0.11, None, None, None,
    ]  # fmt: skip


def test_inversion_measures_and_draws_its_parts(bench, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(inversion, "STEPS", (4,))
    monkeypatch.setattr(inversion, "STRENGTHS", (0.0, 0.1))
    rows = bench("inversion", "--parts", "pairs", "strength", "--plot", str(tmp_path / "inversion.svg"))
    pairs, palette, strength = inversion.report(rows)
    printed = capsys.readouterr().out
    assert all(table.text() in printed for table in (pairs, palette, strength))
    round_trips = {line[0]: float(line[1].split()[-1]) for line in pairs.rows}
    assert round_trips["euler (DDIM), mixture"] > 0.01 and round_trips["O-BELM, mixture"] < 1e-9
    assert strength.rows[0][2] == "0.000" and float(strength.rows[1][2]) > 0
    assert "<svg" in (tmp_path / "inversion.svg").read_text()
