import copy
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from dev import demo
from dev.environment import SetupError

REPO = Path(demo.__file__).parents[1]
TINY = {"checkpoint": "tiny.safetensors", "controlnet": "tiny-canny.safetensors"}
OBJECT_INFO = {
    "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [["real.ckpt", "tiny.safetensors"]]}}},
    "ControlNetLoader": {"input": {"required": {"control_net_name": ["COMBO", {"options": ["real.pth"]}]}}},
}


@pytest.fixture
def prompt():
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "missing.ckpt"}},
        "3": {"class_type": "ControlNetLoader", "inputs": {"control_net_name": "real.pth"}},
        "4": {"class_type": "SDCLatentQuantize", "inputs": {"latent": ["1", 0], "colors": 64}},
        "5": {"class_type": "SDCDDIMInvert", "inputs": {"model": ["2", 0], "latent": ["4", 1], "steps": 50}},
        "6": {"class_type": "SDCRegenerateCanny", "inputs": {"control_net": ["3", 0], "latent": ["5", 2]}},
        "7": {"class_type": "VAEDecode", "inputs": {"vae": ["2", 2], "samples": ["6", 0]}},
        "8": {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "image"}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["6", 1]}},
        "10": {"class_type": "VAEDecode", "inputs": {"vae": ["2", 2], "samples": ["4", 1]}},
        "11": {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}},
    }


def differences(before, after):
    return {
        (node_id, name): value
        for node_id, node in after.items()
        for name, value in node["inputs"].items()
        if before[node_id]["inputs"][name] != value
    }


def test_only_loader_names_are_swapped_and_all_of_them_told(prompt):
    before = copy.deepcopy(prompt)
    lines = demo.swap(prompt, OBJECT_INFO, "photo.png", {}, TINY, None)
    assert differences(before, prompt) == {
        ("1", "image"): "photo.png",
        ("2", "ckpt_name"): "tiny.safetensors",
        ("3", "control_net_name"): "tiny-canny.safetensors",
    }
    assert len(lines) == 3 and "missing.ckpt -> tiny.safetensors" in lines[1]


def test_steps_are_swapped_when_asked(prompt):
    before = copy.deepcopy(prompt)
    demo.swap(prompt, OBJECT_INFO, "example.png", {}, TINY, 4)
    assert differences(before, prompt)["5", "steps"] == 4


def test_models_of_the_workflow_stay_where_the_server_has_them(prompt):
    prompt["2"]["inputs"]["ckpt_name"] = "real.ckpt"
    assert demo.swap(prompt, OBJECT_INFO, "example.png", {}, TINY, None) == []


def test_given_models_come_before_all_others(prompt):
    given = {"ckpt_name": "mine.ckpt", "control_net_name": "mine.pth"}
    demo.swap(prompt, OBJECT_INFO, "photo.png", given, TINY, None)
    assert prompt["2"]["inputs"]["ckpt_name"] == "mine.ckpt"
    assert prompt["3"]["inputs"]["control_net_name"] == "mine.pth"


def test_results_are_told_apart_by_what_lies_above_them(prompt):
    assert [demo.role(prompt, node_id) for node_id in ("8", "9", "11")] == ["regenerated", "edges", "decoded"]
    assert [demo.stage(prompt, node_id) for node_id in ("7", "10")] == ["decode again", "decode"]


def test_results_are_collected_wherever_a_node_lists_them(prompt):
    outputs = {
        "4": {"text": ["3237 bytes"]},
        "5": {"files": [{"filename": "a.sdc", "subfolder": "SDC", "type": "output"}]},
        "8": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}], "animated": [False]},
    }
    files = demo.collect(prompt, outputs)
    assert {name: file["filename"] for name, file in files.items()} == {"sdc": "a.sdc", "regenerated": "a.png"}


def test_unreadable_image_is_refused(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    with pytest.raises(SetupError, match="broken.png cannot be read"):
        demo.find_images([path], tmp_path)


def test_images_of_one_name_get_results_of_their_own(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b" / "a.png"]
    paths[1].parent.mkdir()
    for path in paths:
        Image.new("RGB", (64, 64)).save(path)
    assert list(demo.find_images(paths, tmp_path)) == ["a", "a-2"]


def test_default_image_needs_no_network(tmp_path):
    (path,) = demo.find_images([], tmp_path).values()
    assert Image.open(path).size == (512, 512)


def as_png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_figures_are_those_of_the_part_that_was_stored():
    pixels = np.random.default_rng(0).integers(0, 256, (75, 70, 3), dtype=np.uint8)
    compared = demo.beside(pixels, {"decoded": as_png(pixels[1:73, 3:67])}, 3142)
    figures = demo.figures(compared.entries[0])
    assert figures == {"ssim": pytest.approx(1.0), "psnr": None} and compared.entries[0].size == 3142
    json.dumps(figures, allow_nan=False)


def test_result_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match="must have one size"):
        demo.beside(np.zeros((64, 64, 3), np.uint8), {"decoded": as_png(np.zeros((72, 64, 3), np.uint8))}, 1)


def test_tables_show_every_image():
    figures = {"ssim": 0.5, "psnr": None}
    row = {"image": "a", "bytes": 3142, "bpp": 0.1, "decoded": figures, "regenerated": figures}
    row["seconds"] = {"load": 1.5}
    text = "".join(table.text() for table in demo.tables([row]))
    assert "3142" in text and "inf" in text and "1.5" in text


def test_api_format_is_taken_with_the_graph_beside_it_and_a_graph_is_refused(tmp_path):
    workflows = REPO / "workflows"
    graph = workflows / "sdc_demo_tiny.json"
    prompt, found = demo.load_prompt(workflows / "api" / graph.name)
    assert prompt and all(node["class_type"] for node in prompt.values())
    assert found == json.loads(graph.read_text(encoding="utf-8"))
    alone = tmp_path / "mine.json"
    alone.write_text(json.dumps(prompt))
    assert demo.load_prompt(alone) == (prompt, None)
    with pytest.raises(SetupError, match=r"sdc_demo_tiny\.json is not in API format\. .*Export \(API\)"):
        demo.load_prompt(graph)
    alone.write_text("nothing of the kind")
    with pytest.raises(SetupError, match=r"mine\.json cannot be read"):
        demo.load_prompt(alone)


def test_demo_leaves_every_file_and_the_figures(tmp_path):
    """The whole command as a person gives it, short: a real server, the shipped workflow with the tiny models."""
    photo = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 100:364]).save(photo)
    output, figures = tmp_path / "out", tmp_path / "new" / "figures.json"
    # The small models learned to mend what a palette does; what the learned codec leaves they do not make better.
    prompt, _ = demo.load_prompt(REPO / "workflows" / "api" / "sdc_demo_tiny.json")
    for node in prompt.values():
        if node["class_type"] == "SDCLatentQuantize":
            node["inputs"]["preset"] = "paper"
        if node["class_type"] == "ImageScaleToTotalPixels":
            node["inputs"]["megapixels"] = 0.07
    workflow = tmp_path / "paper.json"
    workflow.write_text(json.dumps(prompt), encoding="utf-8")
    command = [sys.executable, REPO / "run.py", "demo", photo, "--output", output, "--json", figures]
    command += ["--workflow", workflow]
    own = ["--comfyui", os.environ["SDC_COMFYUI"], "--python", sys.executable]
    done = subprocess.run([*command, *own], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    images = [f"photo_{role}.png" for role in ("decoded", "regenerated", "side_by_side")]
    assert sorted(path.name for path in output.iterdir()) == sorted(["photo.sdc", *images])
    assert [Image.open(output / name).size for name in images[:2]] == [(272, 272)] * 2  # 0.07 megapixels
    (row,) = json.loads(figures.read_text(encoding="utf-8"))
    assert row["bytes"] == (output / "photo.sdc").stat().st_size
    assert 0.3 < row["decoded"]["ssim"] <= 1 and row["seconds"]["regenerate"] > 0
    assert "photo" in done.stdout and str(row["bytes"]) in done.stdout
    assert row["regenerated"]["ssim"] > row["decoded"]["ssim"]
    assert "swapped LoadImage" in done.stdout and "small ones that come with the pack" in done.stdout
