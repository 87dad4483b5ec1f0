"""The shared parts of the benches, and one whole bench."""

import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

import benchmarks
from benchmarks.harness import command, results
from dev import images
from dev.environment import SetupError


@pytest.fixture
def settings(tmp_path):
    return {"comfyui": tmp_path, "models": tmp_path, "shared": tmp_path}


def test_every_bench_says_what_it_measures_and_takes_the_common_options(settings, capsys):
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
        ("empty", "no pic"),
    ):
        with pytest.raises(SetupError, match=message):
            images.load_crops([tmp_path / path])


def test_figures_are_measured_once(tmp_path):
    path, calls = tmp_path / "deep" / "f.json", []

    def measure():
        calls.append(1)
        return {"bytes": 3142, "psnr": None}

    first = results.Results(path, "rate")
    assert first.get({"image": "a", "colors": 64}, measure) == {"bytes": 3142, "psnr": None}
    first.save()
    again = results.Results(path, "rate")
    assert again.get({"colors": 64, "image": "a"}, measure) == {"bytes": 3142, "psnr": None}
    assert len(calls) == 1
    again.get({"image": "b", "colors": 64}, measure)
    again.save()
    assert len(calls) == 2
    third = results.Results(path, "rate")
    third.get({"image": "b", "colors": 64}, measure)
    third.save()
    assert len(calls) == 2
    stored = json.loads(path.read_text())
    assert [[row["key"]["image"] for row in stored[part]] for part in ("rows", "earlier")] == [["b"], ["a"]]
    assert [file.name for file in path.parent.iterdir()] == ["f.json"]
    assert {row["commit"] for row in stored["rows"]} == {results.commit()}


def test_the_code_that_measured_is_all_of_the_pack(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "REPO", tmp_path)
    (tmp_path / "nodes" / "deep").mkdir(parents=True)
    (tmp_path / "nodes" / "deep" / "a.py").write_text("one")
    before = results.made_by()["code"]
    (tmp_path / "nodes" / "deep" / "a.py").write_text("two")
    assert results.made_by()["code"] != before


def test_the_commit_is_told_with_what_differs_from_it(tmp_path, monkeypatch):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    monkeypatch.setattr(results, "REPO", tmp_path / "none")
    assert results.commit() == "unknown"
    monkeypatch.setattr(results, "REPO", tmp_path)
    (tmp_path / "a.py").write_text("one")
    for arguments in (["init"], ["add", "."], ["commit", "-m", "one"], ["tag", "v1"]):
        git(*arguments)
    clean = results.commit()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (tmp_path / "a.py").write_text("two")
    assert results.commit() == f"{clean}-dirty"


def test_figures_of_other_code_are_measured_anew(tmp_path, capsys):
    path = tmp_path / "f.json"
    row = {"key": {"image": "a"}, "value": {"bytes": 1}}
    path.write_text(json.dumps({"bench": "rate", "made_by": {"code": "older"}, "rows": [row], "earlier": []}))
    assert results.Results(path, "rate", keep=True).get(row["key"], lambda: {"bytes": 2}) == {"bytes": 1}
    assert results.Results(path, "rate").get(row["key"], lambda: {"bytes": 2}) == {"bytes": 2}
    assert "measured anew" in capsys.readouterr().out


@pytest.mark.parametrize("content", ['{"bench": "speed", "made_by": {}, "rows": []}', "{}", "[]", "precious notes"])
def test_a_file_of_something_else_is_not_overwritten(tmp_path, content):
    path = tmp_path / "f.json"
    path.write_text(content)
    with pytest.raises(SetupError, match="holds no figures of the bench rate"):
        results.Results(path, "rate")
    assert path.read_text() == content
