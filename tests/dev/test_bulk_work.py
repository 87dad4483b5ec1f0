"""What one worker of `run.py bulk` does, in this process and without Ray, on good and on bad images."""

import json
import sys
from pathlib import Path

import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from comfy.cli_args import args
from PIL import Image, PngImagePlugin

args.cpu = not torch.cuda.is_available()  # before ComfyUI looks for a device

from dev.bulk import driver, engine  # noqa: E402
from dev.bulk.work import Work  # noqa: E402
from dev.environment import SetupError  # noqa: E402

GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "best.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["1", 1]}},
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "model": ["1", 0], "positive": ["2", 0]}},
    "4": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["1", 2]}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}},
}


@pytest.fixture
def worker(models):
    def start(command, source, output, **others):
        return Work(
            {
                "command": command, "source": str(source), "output": str(output), "cpu": args.cpu, "cores": 1,
                "checkpoint": str(models / "checkpoints" / "sdc-tiny.safetensors"), "vae": None, "shards": False,
                "controlnet": str(models / "controlnet" / "sdc-tiny-canny.safetensors"), "preset": "clean", "bpp": None,
                "latent_format": "auto", "keep_prompts": True, **others,
            }
        )  # fmt: skip

    return start


def test_a_worker_compresses_and_brings_back_and_a_bad_image_costs_itself_alone(worker, tmp_path):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(GRAPH))
    Image.fromarray(skimage.data.astronaut()[:64, :90]).save(images / "face.png", pnginfo=info)
    Image.fromarray(skimage.data.camera()[:64, :64]).save(images / "gray.jpg")
    (images / "bad.png").write_bytes(b"no image")

    compress = worker("compress", images, out)
    done = compress.do("face.png", "sub/face.sdc")
    face = codec.load_file(out / "sub" / "face.sdc")
    assert (face.width, face.height, face.latent_format) == (90, 64, "SD1.x") and face.vae is not None
    assert face.metadata == {"prompt": "a cat", "seed": 7, "model": "best.safetensors", "vae": "best.safetensors"}
    assert done["bytes"] == face.size and done["bpp"] == round(face.bits_per_pixel, 4) and "error" not in done
    assert "error" not in compress.do("gray.jpg", "gray.sdc")
    assert codec.load_file(out / "gray.sdc").metadata == {}
    assert "UnidentifiedImageError" in compress.do("bad.png", "bad.sdc")["error"]
    assert not (out / "bad.sdc").exists()
    # Given once more, as after a worker that was killed before it could say so, nothing is done again.
    again = compress.do("face.png", "sub/face.sdc")
    assert {**again, "seconds": 0} == {**done, "seconds": 0}
    (out / "other.sdc").write_bytes(b"of somebody")
    assert "other.sdc is there already and is no result" in compress.do("gray.jpg", "other.sdc")["error"]
    assert (out / "other.sdc").read_bytes() == b"of somebody"

    (out / "cut.sdc").write_bytes(face.data[:-9])
    for command in ("decompress", "regenerate"):
        back = worker(command, out, tmp_path / command)
        assert back.do("sub/face.sdc", "face.png")["bytes"] == face.size
        assert Image.open(tmp_path / command / "face.png").size == (90, 64)
        assert "SdcTruncatedError" in back.do("cut.sdc", "cut.png")["error"]
    # For shards the file itself is handed on.
    shard = worker("compress", images, tmp_path / "shards", shards=True).do("face.png", "face.sdc")
    assert shard["data"] == face.data and not (tmp_path / "shards").exists()


def test_what_ends_the_work_inside_a_cluster_is_told_outside(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    elsewhere = driver.Driver(str(tmp_path), [])
    assert f"has no folder {tmp_path}" in elsewhere.next_row()["stopped"] and elsewhere.next_row() is None

    def ending(jobs):
        yield from jobs
        raise SetupError("The workers cannot start")

    monkeypatch.setattr(engine, "work_through", ending)
    here = driver.Driver(str(Path(engine.__file__).parents[2]), [{"target": "a.sdc"}])
    assert [here.next_row() for _ in range(3)] == [{"target": "a.sdc"}, {"stopped": "The workers cannot start"}, None]
