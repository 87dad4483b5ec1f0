import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from skimage import data

from dev import environment, random_models
from dev.client import ComfyError
from dev.environment import SetupError
from dev.server import Server

REPO = Path(environment.__file__).parents[1]


@pytest.fixture(scope="session")
def names(models):
    return random_models.build(models)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'a "photo".png' if os.name != "nt" else tmp_path / "a photo.png"
    Image.fromarray(data.astronaut()[:256, 128:384]).save(path)
    return path


def view(server, outputs, node_id) -> np.ndarray:
    (file,) = outputs[node_id]["images"]
    path = server.base / file["type"] / file["subfolder"] / file["filename"]
    return np.asarray(Image.open(path).convert("RGB"), np.float32)


def sampling(names, image, control_strength):
    """Stock nodes only: two steps of the random model, with and without its ControlNet."""
    return {
        "model": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": names["checkpoint"]}},
        "control": {"class_type": "ControlNetLoader", "inputs": {"control_net_name": names["controlnet"]}},
        "image": {"class_type": "LoadImage", "inputs": {"image": image}},
        "text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": "a long prompt " * 60}},
        "empty": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": ""}},
        "held": {
            "class_type": "ControlNetApplyAdvanced",
            "inputs": {"positive": ["text", 0], "negative": ["empty", 0], "control_net": ["control", 0],
                       "image": ["image", 0], "strength": control_strength, "start_percent": 0.0, "end_percent": 1.0},
        },
        "latent": {"class_type": "VAEEncode", "inputs": {"pixels": ["image", 0], "vae": ["model", 2]}},
        "sample": {
            "class_type": "KSampler",
            "inputs": {"model": ["model", 0], "seed": 0, "steps": 2, "cfg": 1.0, "sampler_name": "euler",
                       "scheduler": "normal", "positive": ["held", 0], "negative": ["held", 1],
                       "latent_image": ["latent", 0], "denoise": 0.5},
        },
        "decoded": {"class_type": "VAEDecode", "inputs": {"samples": ["sample", 0], "vae": ["model", 2]}},
        "shown": {"class_type": "PreviewImage", "inputs": {"images": ["decoded", 0]}},
        "again": {"class_type": "VAEDecode", "inputs": {"samples": ["latent", 0], "vae": ["model", 2]}},
        "saved": {"class_type": "SaveImage", "inputs": {"images": ["again", 0], "filename_prefix": "folder/x"}},
    }  # fmt: skip


def test_random_models_go_through_stock_loaders_and_the_controlnet_acts(server, names, photo):
    image = server.client.upload(photo)
    log_before = server.log.stat().st_size
    without = server.client.run(sampling(names, image, 0.0))
    with_control = server.client.run(sampling(names, image, 0.3))
    first, second = view(server, without, "shown"), view(server, with_control, "shown")
    # Values that are not numbers would come out as one flat black.
    assert first.std() > 5 and second.std() > 5
    assert np.abs(first - second).mean() > 1
    log = server.log.read_bytes()[log_before:].decode(errors="replace")
    assert not re.search("(unet|clip) missing|missing (vae|controlnet) keys|invalid value", log, re.IGNORECASE)


def test_autoencoder_of_the_random_checkpoint_is_a_trained_one(server, names, photo):
    outputs = server.client.run(sampling(names, server.client.upload(photo), 0.0))
    original = np.asarray(Image.open(photo), np.float32)
    assert 10 * np.log10(255**2 / np.mean((view(server, outputs, "saved") - original) ** 2)) > 22
    (file,) = outputs["saved"]["images"]
    assert server.client.view(file) == (server.output / "folder" / file["filename"]).read_bytes()


def test_refused_prompt_names_node_and_reason(server):
    prompt = {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "none.ckpt"}},
              "2": {"class_type": "VAEDecode", "inputs": {"vae": ["1", 2]}},
              "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}}  # fmt: skip
    with pytest.raises(ComfyError, match=r"(?s)CheckpointLoaderSimple.*none\.ckpt"):
        server.client.queue(prompt)


def test_failing_node_is_named_with_its_exception(server, names, photo):
    prompt = sampling(names, server.client.upload(photo), 0.0)
    (server.base / "input" / "broken.png").write_bytes(b"not an image")
    prompt["image"]["inputs"]["image"] = "broken.png"
    with pytest.raises(ComfyError, match="LoadImage"):
        server.client.run(prompt)


def test_random_models_are_the_same_every_time():
    first, second = random_models.controlnet(), random_models.controlnet()
    assert first.keys() == second.keys() and all((first[key] == second[key]).all() for key in first)


def test_server_that_cannot_start_shows_its_log(comfyui, tmp_path):
    with pytest.raises(SetupError, match="(?s)ended while starting.*--no-such-option"):
        with Server(comfyui, Path(sys.executable), base=tmp_path, cpu=True, arguments=["--no-such-option"]):
            pass


def runs_comfyui(process: psutil.Process) -> bool:
    try:
        return any(argument.endswith("main.py") for argument in process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return False


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without telling them")
def test_terminated_demo_leaves_no_process(comfyui, photo, tmp_path):
    command = [sys.executable, REPO / "run.py", "--comfyui", comfyui, "--python", sys.executable, "demo", photo]
    with subprocess.Popen([*command, "--output", tmp_path], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("Starting ComfyUI"):
                break
        main = psutil.Process(process.pid)
        while not any(runs_comfyui(child) for child in main.children(recursive=True)):
            assert process.poll() is None
            time.sleep(0.05)
        family = main.children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait() != 0
        process.stdout.read()
    assert not any(child.is_running() for child in family)
