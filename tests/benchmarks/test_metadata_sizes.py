"""`run.py bench metadata` on an image that carries its graph, and on one that does not."""

import json
import os
from pathlib import Path

import sdc_pack.codec as codec
from PIL import Image, PngImagePlugin

from benchmarks.harness import command

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def test_sizes_are_those_of_the_sections(tmp_path, capsys):
    settings = {"comfyui": os.environ["SDC_COMFYUI"], "models": os.environ["SDC_MODELS"], "shared": tmp_path}
    graph = {"1": {"class_type": "KSampler", "inputs": {"seed": 7, "positive": ["2", 0], "steps": 20}}}
    graph["2"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse at dusk"}}
    graph["3"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
    workflow = (WORKFLOWS / "sdc_compress.json").read_text("utf-8")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("prompt", json.dumps(graph))
    chunks.add_text("workflow", workflow)
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    assert command.main(["metadata", "--images", str(tmp_path)], settings) == 1
    assert "holds a prompt and a workflow" in capsys.readouterr().err
    Image.new("RGB", (8, 8)).save(tmp_path / "made.png", pnginfo=chunks)
    kept = tmp_path / "figures.json"
    assert command.main(["metadata", "--images", str(tmp_path), "--json", str(kept)], settings) == 0
    (row,) = json.loads(kept.read_text())["rows"]
    value = row["value"]
    plain = codec.load((WORKFLOWS.parent / "tests" / "fixtures" / "v1_smallest.sdc").read_bytes())
    described = {"prompt": "a lighthouse at dusk", "seed": 7, "steps": 20}
    assert value["settings"] == codec.with_metadata(plain, described).size - plain.size
    assert value["whole"] == codec.with_metadata(plain, {"workflow": json.loads(workflow)}).size - plain.size
    assert value["letters"] == 20 and value["workflow"] == len(workflow.encode())
    assert value["settings"] < value["settings, zstd"] and value["whole"] < value["whole, zstd"]
    assert "made  " in capsys.readouterr().out
