"""What the benches share: images, measurements kept in files, tables."""

import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

import benchmarks
from benchmarks.harness import command, measurements
from benchmarks.harness.measurements import Measurements
from benchmarks.harness.tables import Table, show
from dev import images
from dev.environment import SetupError


def test_every_bench_says_what_it_measures_and_takes_the_common_options(tmp_path, capsys):
    settings = dict.fromkeys(("comfyui", "models", "shared"), tmp_path)
    benches = benchmarks.list_benches()
    assert "table1" in benches
    for name, line in benches.items():
        assert line.endswith("."), name
        with pytest.raises(SystemExit, match="0"):
            command.main([name, "--help"], settings)
        assert "--images" in capsys.readouterr().out
    assert command.main([], settings) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in benches)
    assert command.main(["rate"], settings) == 1
    assert "--images DIR" in capsys.readouterr().err


def test_images_are_center_crops_of_whole_blocks(tmp_path):
    pixels = np.arange(30 * 45 * 3, dtype=np.uint8).reshape(30, 45, 3)
    for name in ("b.png", "a.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    loaded = images.load_crops([tmp_path], size=16)
    assert list(loaded) == ["a", "b"]
    assert np.array_equal(loaded["a"], pixels[7:23, 14:30])
    assert images.load_crops([tmp_path / "a.png"], size=0)["a"].shape == (24, 40, 3)
    assert images.load_crops([tmp_path / "a.png"], size=512)["a"].shape == (24, 40, 3)


def test_missing_and_broken_images_are_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    (tmp_path / "empty").mkdir()
    for path, message in (
        ("gone.png", "There is no .*gone.png"),
        ("broken.png", "broken.png cannot"),
        ("empty", "no image"),
    ):
        with pytest.raises(SetupError, match=message):
            images.load_crops([tmp_path / path])


def measure_twice(path, *keys, bench="rate"):
    """How often something was measured, and the measurements."""
    calls, found = [], Measurements(path, bench)
    for key in keys:
        assert found.get(key, lambda: calls.append(1) or {"bytes": 3142, "psnr": None})["bytes"] == 3142
    return len(calls), found


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    path, a, b = tmp_path / "deep" / "f.json", {"image": "a", "colors": 64}, {"image": "b"}
    assert measure_twice(path, a, a, b)[0] == 2
    with path.with_suffix(".jsonl").open("a") as file:
        file.write('{"key": {"image": "c"}, "val')  # cut off
    count, found = measure_twice(path, {"colors": 64, "image": "a"}, {"image": "c"})
    assert count == 1 and [row["key"]["image"] for row in found.rows] == ["a", "c"]
    assert measure_twice(path, a, b, {"image": "c"})[0] == 0


def test_figures_of_other_code_or_of_something_else_are_not_touched(tmp_path, monkeypatch):
    path, key = tmp_path / "f.json", {"image": "a"}
    measure_twice(path, key)
    with pytest.raises(SetupError, match="delete them or name another file"):
        measure_twice(path, key, bench="speed")
    monkeypatch.setattr(measurements, "code_digest", lambda: "other")
    with pytest.raises(SetupError, match="other code"):
        measure_twice(path, key)
    for content in ('{"bench": "speed"}', "{}", "[]", "precious notes"):
        other = tmp_path / "g.json"
        other.write_text(content)
        with pytest.raises(SetupError, match="delete them or name another file"):
            Measurements(other, "rate")
        assert other.read_text() == content


def test_tables_are_markdown_and_json(tmp_path):
    table = Table("Title", ["", "bytes"], [["a", "3142"], ["longer", "-"]], ["A note."])
    assert table.text() == (
        "### Title\n\n* A note.\n\n|        | bytes |\n| ------ | ----: |\n| a      |  3142 |\n| longer |     - |"
    )
    _, found = measure_twice(tmp_path / "f.json", {"pixels": "1"}, {"pixels": "2"})
    found.save([table])
    text = (tmp_path / "f.json").read_text()
    content = json.loads(text)
    assert content["images"] == 2 and content["tables"][0]["rows"] == table.rows
    assert '[ "a", "3142" ],\n' in text  # a row on one line


def test_a_cell_shows_what_is_missing_and_no_negative_zero():
    assert [show(value, ".1f") for value in (None, -0.04, -0.06, 2.5)] == ["-", "0.0", "-0.1", "2.5"]


def test_the_code_that_measured_is_all_of_the_pack(tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "REPO", tmp_path)
    (tmp_path / "nodes" / "deep").mkdir(parents=True)
    (tmp_path / "nodes" / "deep" / "a.py").write_text("one")
    before = measurements.code_digest()
    (tmp_path / "nodes" / "deep" / "a.py").write_text("two")
    assert measurements.code_digest() != before


def test_the_commit_says_whether_files_differ_from_it(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    monkeypatch.setattr(measurements, "REPO", tmp_path / "none")
    assert measurements.commit() == "unknown"
    monkeypatch.setattr(measurements, "REPO", tmp_path)
    (tmp_path / "a.py").write_text("one")
    for arguments in (["init"], ["add", "."], ["commit", "-m", "one"], ["tag", "v1"]):
        git(*arguments)
    clean = measurements.commit()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "a.py").write_text("two")
    assert measurements.commit() == f"{clean}-dirty"
