"""The report about models of one's own, with the tiny models and with random ones of SD 1.5's shape."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from sdc_pack.nodes.tiny import install

from benchmarks import report
from benchmarks.harness import blind, command
from dev import random_models

MODELS = Path(os.environ["SDC_MODELS"])
SHARED = Path(os.environ["SDC_SHARED"])


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Run the bench on one image of 64x64 with these models; returns the folder."""
    monkeypatch.setattr(report, "STRENGTHS", (0.1, 0.3))
    monkeypatch.setattr(report, "CANNY_STRENGTHS", (0.0, 1.0))
    monkeypatch.setattr(report, "PAPER", report.Setting(5, 1.0, 0.3))
    monkeypatch.setattr(report, "USABLE_BASELINES", ["JPEG", "WebP"])
    (tmp_path / "in").mkdir()
    Image.fromarray(skimage.data.astronaut()[60:124, 180:244]).save(tmp_path / "in" / "peppers.png")
    settings = {"comfyui": os.environ["SDC_COMFYUI"], "models": MODELS, "shared": SHARED}
    folder = tmp_path / "report"

    def run(*more):
        arguments = ["report", "--images", str(tmp_path / "in"), "--output", str(folder), "--steps", "10"]
        assert command.main([*arguments, *more], settings) == 0
        return folder

    return run


def test_page_figures_images_and_blind_sheet_are_written(make):
    folder = make()
    page = (folder / "report.html").read_text(encoding="utf-8")
    found = json.loads((folder / "tables.json").read_text(encoding="utf-8"))
    tables = {table["title"]: table for table in found["tables"]}
    assert list(tables)[:2] == ["Table 1", "Ablation"] and all(f"<h2>{title}</h2>" in page for title in tables)
    rows = [row[0].removeprefix("peppers, ") for row in tables["Table 1"]["rows"]]
    best = "with inversion, best found"
    assert rows == ["JPEG", "WebP", "without inversion", "with inversion", best, "autoencoder alone"]
    assert tables["Table 1"]["rows"][0][1:4] == ["0.482", "0.644", "3.4"]  # as the paper prints them
    files = re.findall(r'src="([^"]+)"', page)
    assert len(files) == 6 and all((folder / file).is_file() for file in files)
    assert "Checkpoint sdc-tiny.safetensors" in page and "weights " in page
    # The best is the best of the grid, and what is kept serves a second run.
    grid = next(table for title, table in tables.items() if title.endswith("over strength and Canny strength"))
    rows = json.loads((folder / "report.json").read_text(encoding="utf-8"))["rows"]
    key = "lpips" if grid["title"].startswith("LPIPS") else "haarpsi"
    on_grid = [row for row in rows if row["key"].get("steps") == 10]
    chosen = (min if key == "lpips" else max)(on_grid, key=lambda row: row["value"][key])["key"]
    assert {name: chosen[name] for name in found["best"]} == found["best"]
    make()
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["rows"] == rows


def test_models_may_be_files_anywhere(make, tmp_path):
    """Random ones of SD 1.5's shape, under names that no list of ComfyUI has."""
    files = []
    for kind, folder in (("checkpoint", "checkpoints"), ("controlnet", "controlnet")):
        file = MODELS / folder / random_models.NAMES[kind]
        copy = tmp_path / f"mine-{kind}{file.suffix}"
        copy.symlink_to(file)
        files += [f"--{kind}", str(copy)]
    folder = make(*files)
    about = json.loads((folder / "tables.json").read_text(encoding="utf-8"))["about"]
    assert re.search(
        r"Checkpoint mine-checkpoint\.\w+, ControlNet mine-controlnet\.\w+ \(weights [0-9a-f]{12}\)", about[0]
    )
    assert install.NAMES["checkpoint"] not in about[0]


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
