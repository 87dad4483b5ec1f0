"""Each bench once, on an image so small that it takes seconds; and the arithmetic on rows made by hand."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
from PIL import Image, ImageDraw, PngImagePlugin
from sdc_pack.codec.autoencoder import refinement
from sdc_pack.nodes.tiny import install

from benchmarks import folders, inversion, rate, recognition, report, speed, table1
from benchmarks.harness import blind, command, measurements, regenerator, stored
from benchmarks.harness.regenerator import Setting
from dev import random_models

SHARED, MODELS = Path(os.environ["SDC_SHARED"]), Path(os.environ["SDC_MODELS"])
needs_taesd = pytest.mark.skipif(
    not (SHARED / "models" / "vae_approx").is_dir(), reason="no models/vae_approx under SDC_SHARED"
)


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """Run a bench on one image of 64x64; returns its tables by title, each a dict of rows."""
    for module in (stored, report):
        monkeypatch.setattr(module, "USABLE_BASELINES", ["JPEG", "WebP"])
    chunks = PngImagePlugin.PngInfo()
    graph = {"1": {"class_type": "KSampler", "inputs": {"seed": 7, "positive": ["2", 0], "steps": 20}}}
    graph["2"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse at dusk"}}
    graph["3"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
    chunks.add_text("prompt", json.dumps(graph))
    chunks.add_text("workflow", json.dumps({"nodes": [], "links": []}))
    (tmp_path / "in").mkdir()
    Image.fromarray(skimage.data.astronaut()[60:124, 180:244]).save(tmp_path / "in" / "peppers.png", pnginfo=chunks)
    settings = {"comfyui": Path(os.environ["SDC_COMFYUI"]), "shared": SHARED}

    def run(name, *more):
        kept = tmp_path / f"{name}.json"
        arguments = ["--output", str(tmp_path)] if name == "report" else ["--json", str(kept)]
        assert command.main([name, "--images", str(tmp_path / "in"), *arguments, *more], settings) == 0
        found, printed = json.loads(kept.read_text(encoding="utf-8")), capsys.readouterr().out
        assert found["bench"] == name and found["commit"] == measurements.commit()
        assert found["versions"]["numpy"] == np.__version__
        assert all(f"### {table['title']}" in printed for table in found["tables"])
        return {table["title"]: {row[0]: row[1:] for row in table["rows"]} for table in found["tables"]}

    return run


@needs_taesd
def test_generations_start_alike_and_lose_only_where_something_is_lost(bench, tmp_path):
    # More latents than a palette has colors: fewer are stored as they are.
    Image.fromarray(skimage.data.astronaut()[:192, 120:312]).save(tmp_path / "in" / "peppers.png")
    tables = bench("generations", "--rounds", "1", "3")
    rows, looks = tables["Generation loss, PSNR"], tables["Generation loss, LPIPS"]
    assert tables.keys() == {"Generation loss, PSNR", "Generation loss, LPIPS"} and len(rows) == 9
    for preset in ("best", "fine", "clean", "paper"):
        pixels, latent = (rows[f"{preset}, from {source}"] for source in ("pixels", "the latent"))
        assert pixels[0] == latent[0]
        # By LPIPS: the decoder was trained on what files give back, and may have the higher PSNR with one in between.
        assert float(looks[f"{preset}, from pixels"][0]) > float(looks["the autoencoder alone"][0])
    assert float(rows["clean, from pixels"][1]) < float(rows["clean, from pixels"][0])
    assert abs(float(rows["clean, from the latent"][1]) - float(rows["clean, from the latent"][0])) < 0.1


@needs_taesd
def test_table1_has_the_papers_rows_and_ours(bench, monkeypatch):
    monkeypatch.setattr(table1, "PAPER_SETTING", Setting(5, 1.0, 0.3))
    rows = bench("table1")["Table 1"]
    for name, figures in table1.PRINTED["peppers"].items():
        assert rows[f"peppers, {name}"][:3] == [f"{figure:g}" for figure in figures]
    decoded, regenerated, papers = (
        rows[f"peppers, {name}"][3:]
        for name in ("without inversion", "with inversion", "with inversion, paper's settings")
    )
    assert decoded[0] == regenerated[0] == papers[0] and len({decoded[1], regenerated[1], papers[1]}) == 3
    assert rows["peppers, autoencoder alone"][3] == "-"


@needs_taesd
def test_quality_measures_before_and_after(bench):
    tables = bench("quality", "--settings", "20:0.1:1", "0:0.35:1")
    alone, table, others = tables.values()
    assert 0 < float(alone[install.NAMES["checkpoint"]][-2]) < 1
    assert len(table) == len(others) == 4 * 3
    assert [table[f"paper: {how}"][1] for how in (
        "decoded", "20 steps, strength 0.1, canny strength 1", "once at sigma 0.35, canny strength 1"
    )] == ["0", "4", "1"]  # fmt: skip
    assert 0 < int(table["best, 3200 bytes: decoded"][0]) <= 3200


@needs_taesd
def test_rate_measures_every_setting_and_draws_them(bench, tmp_path):
    rows = bench("rate", "--plot", str(tmp_path / "rate.svg"))["All settings"]
    assert {stored.PAPER_LABEL, *rate.PALETTES, f"{rate.BEST}, 8000 bytes at most", "WebP, quality 30"} <= set(rows)
    assert "<svg" in (tmp_path / "rate.svg").read_text()


@needs_taesd
def test_latent_formats_compare_the_presets_with_the_autoencoder(bench, tmp_path):
    Image.fromarray(skimage.data.astronaut()[:128, 160:288]).save(tmp_path / "larger.png")
    larger = "--images", str(tmp_path / "larger.png")
    rows = bench("latent_formats", "--latent-formats", "Flux", *larger)["Latent formats"]
    alone, best, clean, fine, again, with_vae, avif = rows.values()
    assert list(rows)[0] == "Flux, taef1 alone" and list(rows)[-1] == "Flux, AVIF of as many bytes"
    assert alone[0] == "-" and int(best[0]) < int(clean[0]) <= int(fine[0])
    assert float(clean[1]) < float(alone[1])
    assert again[0] == with_vae[0] and float(best[1]) < float(again[1]) < float(with_vae[1])
    assert int(avif[0]) > 0


def test_sizes_of_metadata_are_those_of_the_sections(bench):
    rows = bench("metadata")["Bytes of metadata"]
    plain = codec.load((Path(__file__).parents[1] / "fixtures" / "v1_smallest.sdc").read_bytes())
    stored = {"prompt": "a lighthouse at dusk", "seed": 7, "steps": 20}
    letters, settings, workflow, whole, _ = rows["peppers"]
    assert int(letters) == 20 and int(workflow) == len(json.dumps({"nodes": [], "links": []}))
    assert int(settings) == codec.with_metadata(plain, stored).num_bytes - plain.num_bytes
    assert (
        int(whole) == codec.with_metadata(plain, {"workflow": {"nodes": [], "links": []}}).num_bytes - plain.num_bytes
    )


def test_inversion_measures_its_parts(bench, monkeypatch):
    monkeypatch.setattr(inversion, "STEPS", (4,))
    monkeypatch.setattr(inversion, "METHODS", ("DDIM, refine 0", "exact pair", "Unsampler"))
    monkeypatch.setattr(inversion, "REFINES", (0, 4))
    noise, modes = bench("inversion", "--parts", "analytic", "modes").values()
    assert 0 < float(noise["SD3, exact pair"][0]) < float(noise["SD3, DDIM, refine 0"][0]) < 1
    assert all(float(refined) < float(plain) for plain, refined in modes.values())


@needs_taesd
def test_speed_times_codecs_and_nodes(bench, monkeypatch):
    small = {
        "TILE": 64,
        "SIDES": (64,),
        "NODES_SIDE": 128,
        "STEPS": 1,
        "REPEATS": 1,
        "MAX_SIDE_OF_VAE": 0,
        "PAPER_BYTES": 400,
    }
    for name, value in {**small, "BASELINES": {"WebP": 64}}.items():
        monkeypatch.setattr(speed, name, value)
    seconds, nodes = bench("speed").values()
    assert list(seconds) == [f"{what}, 64x64" for what in ("WebP", *speed.presets(64))]
    assert len(nodes) == 5 and all(float(row[0]) >= 0 < float(row[2]) for row in nodes.values())


def test_folders_are_opened_and_the_codec_is_timed_for_bulk_work(bench, monkeypatch):
    monkeypatch.setattr(folders, "WORKERS", ())  # tests/bulk has a run of it, and reads its pace
    monkeypatch.setattr(folders, "REPEATS", 1)
    opened = bench("folders", "--files", "3")["3 files opened"]
    assert list(opened) == ["Load SDC Folder", "Load SDC, file by file", "the codec alone, all kept"]
    assert all(float(seconds) > 0 for seconds, *_ in opened.values())


def test_the_share_of_the_codec_is_that_of_a_worker():
    known = "folder", "each", "alone", "folder_memory", "latents"
    rows = [
        {"key": {"what": "open", "files": 2, "size": 512, "threads": 1}, "value": dict.fromkeys(known, 1.0)},
        {"key": {"what": "bulk", "workers": 1}, "value": {"pace": 2.0}},
        {"key": {"what": "bulk", "workers": 2}, "value": {"pace": 3.9}},
        {"key": {"what": "codec"}, "value": {"seconds": 0.02}},
    ]
    assert folders.report(rows)[1].rows == [["1", "2.00", "1.00", "4.0 %"], ["2", "3.90", "1.95", "3.9 %"]]


@needs_taesd
def test_effort_sets_both_side_by_side(bench, monkeypatch):
    monkeypatch.setattr(refinement, "STEPS", 2)
    rows, others = bench("effort", "--sizes", "200").values()
    both = [f"{name}, 200 bytes{how}" for name in ("fast", "thorough") for how in ("", ", decoded by TAESD")]
    assert list(rows) == list(others) == both
    assert all(100 < float(row[0]) <= 200 for row in rows.values())
    assert float(rows[both[2]][1]) > float(rows[both[0]][1])  # seconds
    assert rows[both[0]][-1] == "" and rows[both[2]][-1] in "01"


def test_recognition_tells_what_is_left_of_faces_and_lettering(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "BASELINES", ("WebP", "HEIC"))
    Image.fromarray(skimage.data.astronaut()[0:256, 100:356]).save(tmp_path / "face.png")
    sign = Image.new("RGB", (256, 128), "white")
    ImageDraw.Draw(sign).text((16, 32), "COFFEE 1837", "black", recognition.load_font("", 40))
    sign.save(tmp_path / "sign.png")
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "nothing.png")
    given = [str(tmp_path / f"{name}.png") for name in ("face", "sign", "nothing")]
    faces, lettering = bench("recognition", "--sources", "--images", *given).values()
    assert list(faces) == list(lettering) == [
        stored.BOUND_LABEL, "SDC, preset paper", "SDC, preset paper, regenerated", "SDC, preset best",
        "SDC, preset best, regenerated", "WebP", "HEIC",
    ]  # fmt: skip
    assert 0 < float(faces[stored.BOUND_LABEL][2]) < float(faces["HEIC"][2]) < 1
    assert faces[stored.BOUND_LABEL][3:] == ["1", "1"]
    assert 0 < int(faces["SDC, preset best"][0]) <= 800 and 0 < int(lettering["SDC, preset best"][0]) <= 400
    assert lettering[stored.BOUND_LABEL] == ["-", "0", "0.0 %", "-", "-", "0.0 %"]


def test_report_writes_page_figures_and_blind_sheet_about_files_anywhere(bench, tmp_path, monkeypatch):
    """Random models of SD 1.5's shape, under names that no list of ComfyUI has."""
    monkeypatch.setattr(report, "STRENGTHS", (0.1, 0.3))
    monkeypatch.setattr(report, "CANNY_STRENGTHS", (1.0,))
    monkeypatch.setattr(report, "PAPER_SETTING", Setting(3, 1.0, 0.3))
    files = []
    for kind, folder in (("checkpoint", "checkpoints"), ("controlnet", "controlnet")):
        file = MODELS / folder / random_models.NAMES[kind]
        copy = tmp_path / f"mine-{kind}{file.suffix}"
        copy.symlink_to(file)
        files += [f"--{kind}", str(copy)]
    tables = bench("report", "--steps", "10", *files)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert list(tables)[:2] == ["Table 1", "Before and after regeneration"]
    assert all(f"<h2>{title}</h2>" in page for title in tables)
    names = [row.removeprefix("peppers, ") for row in tables["Table 1"]]
    assert names == [
        "JPEG", "WebP", "without inversion", "with inversion", "with inversion, best found", "autoencoder alone"
    ]  # fmt: skip
    assert tables["Table 1"]["peppers, JPEG"][:3] == ["0.482", "0.644", "3.4"]  # as the paper prints them
    shown = re.findall(r'src="([^"]+)"', page)
    assert len(shown) == 6 and all((tmp_path / file).is_file() for file in shown)
    assert re.search(r"Checkpoint mine-checkpoint\.\w+, ControlNet mine-controlnet\.\w+ \(weights [0-9a-f]{12}\)", page)
    (title, grid), *_ = ((t, rows) for t, rows in tables.items() if t.endswith("over strength and Canny strength"))
    best = (min if title.startswith("LPIPS") else max)(grid, key=lambda row: float(grid[row][0]))
    assert f"Best found: 10 steps, {best}, canny strength 1." in page
    rows = (tmp_path / "report.jsonl").read_text()
    assert bench("report", "--steps", "10", *files) == tables
    assert (tmp_path / "report.jsonl").read_text() == rows  # nothing was measured again


def test_order_of_a_blind_pair_is_told_by_the_key_alone(tmp_path):
    white, gray, black = (np.full((8, 8, 3), value, np.uint8) for value in (255, 128, 0))
    orders = set()
    for seed in range(8):
        blind.write_sheet(tmp_path, [(gray, {"regenerated": white, "AVIF": black})], seed)
        key = json.loads((tmp_path / "blind-key.json").read_text())["pair 1"]
        assert sorted(key.values()) == ["AVIF", "regenerated"]
        for letter, name in key.items():
            shown = np.asarray(Image.open(tmp_path / "blind" / f"1-{letter}.png"))
            assert (shown == {"regenerated": 255, "AVIF": 0}[name]).all()
        orders.add(key["A"])
        page = (tmp_path / "blind.html").read_text()
        assert "regenerated" not in page and "AVIF" not in page and "blind-key.json" in page
    assert orders == {"AVIF", "regenerated"}


def test_narrow_networks_regenerate_as_the_padded_ones_do(monkeypatch):
    latent = np.random.default_rng(2).normal(size=(4, 8, 8)).astype(np.float32) * 5
    decoded = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    names = install.NAMES["checkpoint"], install.NAMES["controlnet"]
    once = Setting(0, 0.35, 1.0)
    narrow = regenerator.Regenerator(*names).run(latent, decoded, once)
    monkeypatch.setattr(regenerator, "use_narrow_networks", lambda *_: None)
    padded = regenerator.Regenerator(*names).run(latent, decoded, once)
    assert narrow[1] == padded[1] == 1
    assert np.abs(narrow[0] - latent).max() > 0.1
    np.testing.assert_allclose(narrow[0], padded[0], atol=1e-3)


def rows_of(*images):
    """Rows of bench rate: (PSNR, LPIPS) of the presets and of AVIF, for each image."""
    for number, (ours, theirs) in enumerate(images):
        for label, size, (psnr, lpips) in (
            ("autoencoder alone", None, (30.0, 0.1)),
            (stored.PAPER_LABEL, 3000, ours),
            (stored.CLEAN_LABEL, 2800, ours),
            (rate.AT_PAPER, 2900, (23.0, 0.25)),
            ("AVIF", 2900 + 200 * number, theirs),
        ):
            figures = {"psnr": psnr, "ssim": 0.5, "ms_ssim": None, "lpips": lpips, "bytes": size, "fits": number == 0}
            yield {"key": {"pixels": str(number), "label": label, "vae": "taesd"}, "value": figures}


def test_rate_counts_who_is_better_and_takes_means(monkeypatch):
    monkeypatch.setattr(stored, "USABLE_BASELINES", ["AVIF"])
    equal, wins, _ = rate.report(list(rows_of(((20.0, 0.2), (25.0, 0.3)), ((22.0, 0.4), (21.0, 0.3)))))
    assert equal.rows[1:] == [
        ["SDC, preset paper", "3000", "21.00", "0.500", "-", "0.300", "1"],
        ["SDC, 64 colors, no dither", "2800", "21.00", "0.500", "-", "0.300", "1"],
        ["AVIF", "3000", "23.00", "0.500", "-", "0.300", "1"],
    ]
    assert wins.title == "Wins out of 2 images"
    assert ["AVIF over SDC, preset paper", "1", "0", "-", "1"] in wins.rows
    assert [f"{rate.AT_PAPER} over SDC, preset paper", "2", "0", "-", "1"] in wins.rows


def test_bytes_saved_at_equal_quality():
    """Half the bytes at every quality."""
    before = [{"psnr": 20.0 + number, "bytes": 1000 * 2**number} for number in range(4)]
    after = [{**point, "bytes": point["bytes"] / 2} for point in before]
    assert rate.bd_rate(before, after, "psnr") == pytest.approx(-0.5)
    assert rate.bd_rate(before, [{"psnr": 50.0, "bytes": 1}, {"psnr": 51.0, "bytes": 2}], "psnr") is None


def test_memory_and_seconds_are_those_of_the_call():
    """In a clean process: this one has room that earlier tests have freed."""
    script = (
        "import json, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from benchmarks.harness import timing\n"
        "start = time.perf_counter()\n"
        "figures = timing.both_ways(lambda: sum(bytearray(50_000_000)), lambda _: time.sleep(0.05))\n"
        "print(json.dumps({**figures, 'all': time.perf_counter() - start}))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(measurements.REPO)], check=True, capture_output=True)
    figures = json.loads(done.stdout)
    assert 45e6 < figures["encode_memory"] < 60e6 and figures["decode_memory"] < 5e6
    assert 0.05 <= figures["decode_seconds"] < figures["all"]


def test_a_bench_is_loaded_before_comfyui_is_set_up():
    """ComfyUI looks for a graphics card where its modules are first imported, before it has been told of the CPU."""
    script = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]; import inside;"
        "[inside.load_package(name, Path(sys.argv[1], folder)) for name, folder in"
        " {'dev': 'dev', 'sdc_pack': '.', 'benchmarks': 'benchmarks'}.items()];"
        "import benchmarks; [benchmarks.load_bench(name) for name in benchmarks.list_benches()];"
        "print('comfy.model_management' in sys.modules)"
    )
    places = str(measurements.REPO), str(measurements.REPO / "dev"), os.environ["SDC_COMFYUI"]
    done = subprocess.run([sys.executable, "-c", script, *places], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_mosaic_repeats_its_tiles():
    tiles = [np.full((4, 4, 1), value) for value in (1, 2, 3)]
    assert speed.mosaic(tiles, 8)[::4, ::4, 0].tolist() == [[1, 2], [3, 1]]
    assert speed.mosaic(tiles, 2).shape == (2, 2, 1)
