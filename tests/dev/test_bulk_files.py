"""What `run.py bulk` finds to do, and its manifest; and one worker alone, without Ray, on good and bad pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sdc_pack.codec as codec
import skimage.data
from PIL import Image

from dev.bulk.files import Manifest, find_jobs, read_manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pictures(tmp_path):
    """Two pictures and one that is none, in folders."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    Image.fromarray(skimage.data.astronaut()[:96, :130]).save(folder / "face.png")
    Image.fromarray(skimage.data.camera()[:64, :64]).save(folder / "sub" / "grey.jpg")
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    (folder / "notes.txt").write_text("nothing")
    return folder


def names(jobs):
    return [(Path(job["source"]).name, Path(job["target"]).name) for job in jobs]


def test_what_is_there_is_not_done_again(pictures, tmp_path):
    output = tmp_path / "out"
    jobs, refused, done = find_jobs("compress", pictures, output)
    assert names(jobs) == [("bad.png", "bad.sdc"), ("face.png", "face.sdc"), ("grey.jpg", "grey.sdc")]
    assert (refused, done) == ([], 0) and Path(jobs[2]["target"]) == output / "sub" / "grey.sdc"
    output.mkdir()
    (output / "face.sdc").touch()
    (output / "bad.sdc.part").touch()  # half written: does not count
    jobs, refused, done = find_jobs("compress", pictures, output)
    assert names(jobs) == [("bad.png", "bad.sdc"), ("grey.jpg", "grey.sdc")] and done == 1
    assert find_jobs("decompress", pictures, output) == ([], [], 0)


def test_two_pictures_never_share_a_file(pictures, tmp_path):
    (pictures / "face.jpg").write_bytes((pictures / "sub" / "grey.jpg").read_bytes())
    jobs, (refused,), _ = find_jobs("compress", pictures, tmp_path / "out")
    assert ("face.jpg", "face.sdc") in names(jobs) and len(jobs) == 3
    assert refused["source"].endswith("face.png") and "face.jpg beside it" in refused["error"]


def test_a_manifest_goes_on_after_a_line_that_was_cut_short(tmp_path):
    with Manifest(tmp_path) as manifest:
        manifest.add({"source": "été.png", "bytes": 5})
    with manifest.path.open("ab") as file:
        file.write(b'{"source": "b.p')
    with Manifest(tmp_path) as manifest:
        manifest.add({"source": "c.png"})
    assert [row["source"] for row in read_manifest(tmp_path)] == ["été.png", "c.png"]


def work(command, jobs):
    """Rows of a worker in a process of its own, as Ray would start it: with the folder dev on the path."""
    settings = {
        "command": command, "preset": "best", "bpp": 0.2, "cpu": True, "models": [os.environ["SDC_MODELS"]],
        "latent_format": "SD1.x", "comfyui": os.environ["SDC_COMFYUI"], "repository": str(ROOT),
        "checkpoint": "sdc-tiny.safetensors", "vae": None, "controlnet": "sdc-tiny-canny.safetensors",
    }  # fmt: skip
    script = (
        "import json, sys, importlib.util as u; settings, jobs = json.loads(sys.argv[1]);"
        f"spec = u.spec_from_file_location('worker', {str(ROOT / 'dev' / 'bulk' / 'worker.py')!r});"
        "module = u.module_from_spec(spec); spec.loader.exec_module(module); worker = module.Worker(settings);"
        "batch = {key: [job[key] for job in jobs] for key in ('source', 'target')};"
        "print(json.dumps([worker(batch), worker(batch)]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "dev")}
    command = [sys.executable, "-c", script, json.dumps([settings, jobs])]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_worker_compresses_and_brings_back_and_a_bad_picture_costs_itself_alone(pictures, tmp_path):
    jobs, *_ = find_jobs("compress", pictures, tmp_path / "out")
    first, again = work("compress", jobs)
    assert [bool(error) for error in first["error"]] == [True, False, False]
    assert (
        first["error"][0].startswith(("OSError: ", "UnidentifiedImageError: "))
        and not (tmp_path / "out" / "bad.sdc").exists()
    )
    face = codec.load_file(tmp_path / "out" / "face.sdc")
    assert (face.width, face.height, face.coder) == (130, 96, "learned")
    assert first["bytes"][1] == face.size and first["bpp"][1] == face.bits_per_pixel <= 0.2
    # A second worker that is given the same again says so as if it had done it, and changes nothing.
    assert again["error"] == first["error"] and again["bytes"] == first["bytes"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["face.sdc", "grey.sdc"]

    (tmp_path / "out" / "damaged.sdc").write_bytes(face.data[:-9])
    for command in ("decompress", "regenerate"):
        jobs, *_ = find_jobs(command, tmp_path / "out", tmp_path / command)
        rows, _ = work(command, jobs)
        assert [bool(error) for error in rows["error"]] == [True, False, False]  # damaged, face, sub/grey
        assert "SdcTruncatedError" in rows["error"][0]
        assert Image.open(tmp_path / command / "face.png").size == (130, 96)
        assert Image.open(tmp_path / command / "sub" / "grey.png").size == (64, 64)
