import copy
import itertools
import json
import os
import re
import subprocess
import sys

import pytest
import skimage.data
from PIL import Image

from dev import demo
from dev.environment import REPO, SetupError


@pytest.mark.parametrize("name", ["SDC Remove Artifacts", "SDC Full Pipeline"])
def test_only_names_of_files_and_steps_are_swapped_and_every_result_is_known(name):
    prompt = demo.with_previews(json.loads((REPO / "workflows" / "api" / f"{name}.json").read_text("utf-8")))
    before = copy.deepcopy(prompt)
    wanted = {"image": "photo.png", "ckpt_name": "mine.ckpt", "control_net_name": "mine.pth", "steps": 4}
    lines = demo.swap(prompt, wanted)
    changed = {
        (node["class_type"], key): value
        for node_id, node in prompt.items()
        for key, value in node["inputs"].items()
        if before[node_id]["inputs"][key] != value
    }
    expected = {("LoadImage", "image"): "photo.png"}
    if name == "SDC Remove Artifacts":
        expected |= {("SDCRegenerate", "steps"): 4}
    else:
        expected |= {("CheckpointLoaderSimple", "ckpt_name"): "mine.ckpt", ("SDCDDIMInvert", "steps"): 4}
        expected |= {("ControlNetLoader", "control_net_name"): "mine.pth"}
    assert changed == expected and len(lines) == len(expected)

    shown = ("PreviewImage", "SaveImage", "SDCSave")
    outputs = {
        node_id: {"images": [{"filename": f"{node_id}.png"}], "files": [{"filename": f"{node_id}.sdc"}], "text": ["x"]}
        for node_id, node in prompt.items()
        if node["class_type"] in shown
    }
    files = demo.collect(prompt, outputs)
    assert {"sdc", "original", "decoded", "regenerated"} <= files.keys() and len(files) == len(outputs)
    assert files["sdc"]["filename"].endswith(".sdc") and files["decoded"]["filename"].endswith(".png")


def test_the_summary_says_where_regeneration_helps_and_where_it_does_not():
    before = {"paper, decoded": 0.3, "best, decoded": 0.1}
    after = [
        {"paper, regenerated": 0.2, "best, regenerated": 0.12},
        {"paper, regenerated": 0.31, "best, regenerated": 0.1},
    ]
    paper, best = demo.effects([before | each for each in after], "LPIPS", lower=True)
    assert paper.startswith("paper, regenerated: nearer to the original than decoded (LPIPS 0.300 decoded, 0.255 ")
    assert paper.endswith("nearer for 1 of 2).") and "keep the decoded image" in best
    paper, best = demo.effects([before | each for each in after], "HaarPSI", lower=False)
    assert "farther" in paper and "nearer to the original than decoded" in best
    same = {"paper, regenerated": 0.299, "best, regenerated": 0.101}
    alike = demo.effects([before | same], "LPIPS", lower=True)
    assert alike[0].endswith("as near to the original as decoded (LPIPS 0.300 decoded, 0.299 regenerated).")
    assert "as near to the original" in alike[1]


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


def test_demo_leaves_every_file_and_the_figures(tmp_path):
    """The whole command as a person gives it, with few steps and pixels: real server, shipped workflow, tiny models."""
    photo = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 100:364]).save(photo)
    output = tmp_path / "out"
    own = ["--comfyui", os.environ["SDC_COMFYUI"], "--python", sys.executable]
    command = [
        sys.executable,
        REPO / "run.py",
        *own,
        "demo",
        photo,
        "--output",
        output,
        "--steps",
        "4",
        "--megapixels",
        "0.06",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    files = [f"photo_{preset}.sdc" for preset in demo.PRESETS]
    images = [f"photo_{preset}_{role}.png" for preset in demo.PRESETS for role in ("decoded", "regenerated")]
    assert sorted(path.name for path in output.iterdir()) == sorted([*files, *images, "photo_side_by_side.png"])
    assert len({Image.open(output / name).size for name in images}) == 1
    perceived = {}
    for preset, role in itertools.product(demo.PRESETS, ("decoded", "regenerated")):
        (row,) = re.findall(rf"photo, {preset}, {role} +(\d+) +[\d.]+ +([\d.]+) +([\d.]+) .* ([\d.]+)\n", done.stdout)
        assert int(row[0]) == (output / f"photo_{preset}.sdc").stat().st_size
        assert 15 < float(row[1]) < 60 and 0.3 < float(row[2]) <= 1
        perceived[preset, role] = float(row[3])
    assert perceived["paper", "decoded"] < perceived["best", "decoded"] < 1
    assert "photo, JPEG" in done.stdout
    assert "paper, regenerated: " in done.stdout
    assert re.search(r"^best, regenerated: (as near|nearer)", done.stdout, re.MULTILINE)  # where a palette would gain
    assert "swapped LoadImage" in done.stdout and "small ones that come with the pack" in done.stdout
