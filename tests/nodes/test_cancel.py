"""Cancel is heard by every node of the pack that takes more than a moment: before it begins, and in the middle."""

import importlib
import shutil
from pathlib import Path

import comfy.model_management
import folder_paths
import numpy as np
import pytest
import sdc_pack.codec as codec
import sdc_pack.nodes as nodes_package
import torch
from comfy.model_management import InterruptProcessingException, interrupt_current_processing
from comfy_api.v0_0_2 import io
from PIL import Image

# What only wraps its inputs up, or works out a list of numbers.
INSTANT = {
    "SDCInversionSigmas", "SDCInversionSampler", "SDCInvertedNoise", "SDCExactSampler", "SDCFileSize", "SDCScaleDown",
}  # fmt: skip
COUNT = 2  # images of a batch, and files of a folder
PASSES = 8  # of the learned codec over an image
# How often each looks up at least: for every image or model, and for every pass over an image that it decodes.
LOOKS = {
    "SDCLatentQuantize": PASSES * COUNT, "SDCSave": PASSES * COUNT, "SDCLoad": PASSES * COUNT,
    "SDCLoadFolder": PASSES * COUNT, "SDCContactSheet": PASSES * COUNT, "SDCDecode": PASSES * COUNT,
    "SDCRegenerate": PASSES * COUNT, "SDCDDIMInvert": 3, "SDCRegenerateCanny": 3, "SDCCompare": COUNT,
    "SDCLoadTinyModels": 2, "SDCLoadImageFolder": COUNT, "SDCCompressFolder": PASSES * COUNT,
}  # fmt: skip


@pytest.fixture(scope="module")
def nodes():
    """Every node of the pack by its id."""
    files = [path for path in Path(nodes_package.__file__).parent.glob("*.py") if path.stem != "__init__"]
    modules = [importlib.import_module(f"{nodes_package.__name__}.{path.stem}") for path in files]
    found = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    return {each.define_schema().node_id: each for each in found if issubclass(each, io.ComfyNode)}


@pytest.fixture(scope="module")
def images():
    latents = np.random.default_rng(2).normal(size=(COUNT, 4, 8, 8)).astype(np.float32)
    return codec.encode(latents, quality=30)


@pytest.fixture
def inputs(images, model, small, vae, control_net, prompt, comfyui_folders):
    """Inputs of each node, by its id: a batch, or a folder of several files."""
    for number, image in enumerate(images):
        (comfyui_folders / "input" / f"{number}.sdc").write_bytes(image.data)
        Image.new("RGB", (16, 8)).save(comfyui_folders / "input" / f"{number}.png")
    (comfyui_folders / "input" / "sequence.sdc").write_bytes(codec.join_images(images))
    pixels = torch.rand(COUNT, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    samples = torch.from_numpy(np.stack([codec.decode(image) for image in images]))
    latent = {"samples": samples, "latent_format": "SD1.x"}
    positive = prompt("a fox")
    # What was loaded and decoded once is at hand: these are new.
    fresh = [codec.load(image.data) for image in images]
    palette = {"colors": 16, "dither": "none", "dither_strength": 1.0, "seed": 0, "latent_format": "auto"}
    return {
        "SDCLatentQuantize": {"latent": latent, "preset": "best", "quality": 30, **palette},
        "SDCSave": {"sdc": fresh, "filename_prefix": "a", "embed": "none", "image": pixels, "thumbnail": True},
        "SDCLoad": {"file": "sequence.sdc"},
        "SDCLoadFolder": {
            "place": "input", "folder": "", "pattern": "?.sdc", "order": "name", "index": 0, "limit": 0,
        },
        "SDCContactSheet": {"sdc": [fresh], "columns": [2], "side": [64]},
        "SDCDecode": {"sdc": fresh, "vae": vae},
        "SDCRegenerate": {"sdc": fresh, "vae": vae, "model": small, "positive": positive, "steps": 20},
        "SDCDDIMInvert": {
            "latent": latent, "steps": 3, "cfg": 1.0, "strength": 1.0, "model": small, "positive": positive,
        },
        "SDCRegenerateCanny": {
            "control_net": control_net, "image": pixels[:1], "latent": {"samples": samples[:1]}, "noise": Noise(),
            "canny_strength": 0.3, "sigmas": torch.tensor([2.0, 1.0]), "model": model, "positive": positive,
            "low_threshold": 100, "high_threshold": 200,
            "start_percent": 0.0, "end_percent": 1.0, "cfg": 1.0,
        },
        "SDCCompare": {
            "original": pixels, "image_1": pixels, "jpeg": False, "webp": False, "avif": False, "jpeg_xl": False,
            "baseline_bytes": 0, "lpips_network": "alex", "filename_prefix": "a",
        },
        "SDCLoadTinyModels": {},
        "SDCCompressFolder": {
            "place": "input", "folder": "", "pattern": "?.png", "output_folder": "a", "preset": "best",
            "bits_per_pixel": 0.5, "megapixels": 0, "embed": "none", "vae": vae,
        },
        "SDCLoadImageFolder": {
            "place": "input", "folder": "", "pattern": "?.png", "order": "name", "index": 0, "limit": 0,
        },
    }  # fmt: skip


class Noise:
    seed = 0

    def generate_noise(self, latent):
        return torch.zeros_like(latent["samples"])


def run(node, inputs):
    clone = node.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
    shutil.rmtree(f"{folder_paths.get_output_directory()}/a", ignore_errors=True)  # what is there is not done again
    return clone.execute(**inputs)


class Looks:
    """Counts how often ComfyUI is asked whether a run was canceled, and cancels it at one of these times."""

    def __init__(self, monkeypatch, cancel_at=None):
        self.count, self.ask = 0, comfy.model_management.throw_exception_if_processing_interrupted

        def asked():
            self.count += 1
            if self.count == cancel_at:
                interrupt_current_processing()
            self.ask()

        monkeypatch.setattr(comfy.model_management, "throw_exception_if_processing_interrupted", asked)


def test_every_node_is_here(nodes, inputs):
    assert nodes.keys() == inputs.keys() | INSTANT and inputs.keys() == LOOKS.keys()


@pytest.mark.parametrize("name", LOOKS)
def test_cancel_ends_the_node_at_its_next_look(name, nodes, inputs, monkeypatch):
    """Pressed before it begins, and in the middle."""
    with monkeypatch.context() as patch:
        looks = Looks(patch)
        run(nodes[name], inputs[name])
    whole = looks.count
    assert whole >= LOOKS[name]
    for at in {1, 1 + whole // 2}:
        with monkeypatch.context() as patch:
            looks = Looks(patch, at)
            with pytest.raises(InterruptProcessingException):
                run(nodes[name], fresh(inputs[name]))
        assert looks.count == at
        assert not comfy.model_management.processing_interrupted()


def fresh(given):
    """The same inputs with images that nobody has decoded yet."""

    def again(value):
        if isinstance(value, codec.EncodedImage):
            return codec.load(value.data)
        return [again(each) for each in value] if isinstance(value, list) else value

    return {name: again(value) for name, value in given.items()}
