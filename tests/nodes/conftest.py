import functools
import os
from pathlib import Path

import pytest
import torch
from comfy.cli_args import args

args.cpu = not torch.cuda.is_available()  # before ComfyUI looks for a device

import folder_paths  # noqa: E402
import nodes  # noqa: E402

from dev import families  # noqa: E402

torch.set_num_threads(1)  # these latents are tiny: a second thread would only wait, long on a busy machine

MODELS = Path(os.environ["SDC_MODELS"])
for kind in ("checkpoints", "controlnet"):
    folder_paths.add_model_folder_path(kind, str(MODELS / kind), is_default=True)


@pytest.fixture(autouse=True)
def inference_mode():
    """ComfyUI executes nodes in it."""
    with torch.inference_mode():
        yield


@pytest.fixture(autouse=True)
def comfyui_folders(tmp_path):
    """Input, output and temp folders of this test alone."""
    for kind in ("input", "output", "temp"):
        (tmp_path / kind).mkdir()
    folder_paths.set_input_directory(str(tmp_path / "input"))
    folder_paths.set_output_directory(str(tmp_path / "output"))
    folder_paths.set_temp_directory(str(tmp_path / "temp"))
    return tmp_path


@pytest.fixture(scope="session")
def checkpoint():
    """(MODEL, CLIP, VAE) of the random checkpoint, through ComfyUI's own loader."""
    name = min(path.name for path in (MODELS / "checkpoints").glob("sdc-random*.ckpt"))
    return nodes.CheckpointLoaderSimple().load_checkpoint(name)


@pytest.fixture
def model(checkpoint):
    return checkpoint[0].clone()


@pytest.fixture(scope="session")
def small():
    """A MODEL as the random one in a fifth of its channels, for what asks a model hundreds of times."""
    with torch.inference_mode():
        return families.build("SD1.x", context=768)[0]


@pytest.fixture(scope="session")
def small_control_net():
    """For `small`."""
    with torch.inference_mode():
        return families.build_control_net(context=768)


@pytest.fixture
def vae(checkpoint):
    return checkpoint[2]


@pytest.fixture(scope="session")
def control_net():
    return nodes.ControlNetLoader().load_controlnet("sdc-random-canny.safetensors")[0]


@pytest.fixture(scope="session")
def prompt(checkpoint):
    """Encode words into CONDITIONING, the same ones once: it takes as long as several calls of the model."""

    @functools.cache
    @torch.inference_mode()
    def encode(text):
        return nodes.CLIPTextEncode().encode(checkpoint[1], text)[0]

    return lambda text: [[tensor, dict(options)] for tensor, options in encode(text)]


@pytest.fixture
def latent():
    """A LATENT of two images as SD1.x gives them: 96x64 pixels, unscaled, about unit variance once scaled."""
    return {"samples": torch.randn(2, 4, 8, 12, generator=torch.Generator().manual_seed(7)) / 0.18215}


@pytest.fixture
def count_calls():
    """Count the UNet's calls of a model, through ComfyUI's own wrapper."""

    def count(model):
        calls = []

        def wrapper(apply_model, options):
            calls.append(options["timestep"].clone())
            return apply_model(options["input"], options["timestep"], **options["c"])

        model.set_model_unet_function_wrapper(wrapper)
        return calls

    return count
