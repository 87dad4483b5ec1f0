"""The templates of SDXL, SD3, Flux, Z-Image and Qwen-Image, node by node as they are wired, with small models.

A random network is built like the model, and the family's tiny autoencoder stands for its VAE, or a random one.
ControlNets of these families cannot be made small, so none is wired; a real server runs the templates with what is
built like SD 1.5.
"""

import json
import os
from pathlib import Path

import folder_paths
import nodes as comfy_nodes
import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.regenerate import SDCRegenerate
from sdc_pack.nodes.save_sdc import SDCSave

from benchmarks.harness.comfy import call
from dev import families

ROOT = Path(__file__).parents[2]
VAE_APPROX = Path(os.environ["SDC_SHARED"]) / "models" / "vae_approx"


def run(prompt: dict, given: dict) -> dict[str, tuple]:
    """What every node gives, by its title; `given` answers for a class: inputs to outputs."""
    found: dict[str, tuple] = {}

    def outputs(node_id: str) -> tuple:
        if node_id not in found:
            node = prompt[node_id]
            inputs = {name: value for name, value in node["inputs"].items() if not isinstance(value, list)}
            wires = {name: value for name, value in node["inputs"].items() if isinstance(value, list)}
            inputs |= {name: outputs(source)[slot] for name, (source, slot) in wires.items()}
            found[node_id] = given[node["class_type"]](**inputs)
        return found[node_id]

    return {node["_meta"]["title"]: outputs(node_id) for node_id, node in prompt.items()}


@pytest.mark.skipif(not VAE_APPROX.is_dir(), reason="no models/vae_approx under SDC_SHARED")
@pytest.mark.parametrize(
    ("name", "family", "autoencoder", "latent_format"),
    [
        ("SDC with SDXL", "SDXL", "taesdxl", "SD1.x"),
        ("SDC with SD3", "SD3", "taesd3", "SD1.x"),
        ("SDC with Flux", "Flux", "taef1", "SD1.x"),
        ("SDC with Z-Image", "Z-Image", "taef1", "Flux"),
        ("SDC with Z-Image", "Flux2", "taef2", "Flux2"),
        ("SDC with Qwen-Image", "Qwen-Image", None, "SD1.x"),
        ("SDC with Qwen-Image", "Qwen-Image", None, "Wan21"),
    ],
)
def test_a_template_runs_with_small_models_of_its_family(name, family, autoencoder, latent_format, comfyui_folders):
    """By preset best, which makes files of SD1.x of all, or by one that stores the latent of the model."""
    prompt = json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))
    folder_paths.add_model_folder_path("vae_approx", str(VAE_APPROX))
    model, words = families.build(family)
    vae = comfy_nodes.VAELoader().load_vae(autoencoder)[0] if autoencoder else families.build_vae("Wan21")
    preset = "best" if latent_format == "SD1.x" else "fine"
    pixels = skimage.data.astronaut()[:128, 160:288]  # the small SD3 has no places for more
    original = torch.from_numpy(pixels).float()[None] / 255

    found = run(
        prompt,
        {
            "CheckpointLoaderSimple": lambda ckpt_name: (model, None, vae),
            "ControlNetLoader": lambda control_net_name: (None,),
            "UNETLoader": lambda unet_name, weight_dtype: (model,),
            "CLIPLoader": lambda clip_name, type, device: (None,),
            "VAELoader": lambda vae_name: (vae,),
            "LoadImage": lambda image: (original, None),
            "SDCScaleDown": lambda image, **settings: (image,),
            "VAEEncode": comfy_nodes.VAEEncode().encode,
            "SDCLatentQuantize": lambda **inputs: call(SDCLatentQuantize, **inputs | {"preset": preset}),
            "SDCSave": lambda **inputs: call(SDCSave, **inputs),
            "CLIPTextEncode": lambda clip, text: (words,),
            "SDCRegenerate": lambda **inputs: call(SDCRegenerate, **inputs | {"steps": 4}),
            "PreviewImage": lambda images: (images,),
            "SaveImage": lambda images, filename_prefix: (images,),
        },
    )
    (file,) = comfyui_folders.rglob("*.sdc")
    stored = codec.load(file.read_bytes())
    assert stored.latent_format == latent_format and (stored.vae is None) == (preset == "best")
    assert (stored.frames, stored.width, stored.height) == (1 if latent_format == "Wan21" else None, 128, 128)
    assert (stored.num_bytes <= 0.095 * 128 * 128 / 8) == (preset == "best")
    held, painted = found["What the file holds"][0], found["Regenerated"][0]
    assert held.shape == painted.shape == original.shape and torch.isfinite(painted).all()
    assert autoencoder is None or (held - original).abs().mean() < 0.2
    assert not torch.equal(held, painted)
