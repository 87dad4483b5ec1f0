"""Latents of every kind through a real ComfyUI: quantized, saved, loaded, the same again, and decoded by their VAE."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import sdc_pack.codec as codec
import torch
from comfy.cli_args import args
from safetensors.numpy import load, save_file

args.cpu = not torch.cuda.is_available()  # before ComfyUI looks for a device

from dev import families  # noqa: E402
from dev.client import ComfyError  # noqa: E402

SHARED = Path(os.environ["SDC_SHARED"])
TINY = SHARED / "models" / "vae_approx"
WAN = SHARED / "latents" / "wan_16x40x64.safetensors"


@pytest.fixture(scope="module")
def vaes(server):
    """Tiny autoencoders where ComfyUI looks for them, and random ones of video."""
    approximate, full = (server.base / "models" / kind for kind in ("vae_approx", "vae"))
    for folder in (approximate, full):
        folder.mkdir(exist_ok=True)
    for name in ("taef1", "taef2"):
        for path in TINY.glob(f"{name}_*.safetensors"):
            shutil.copy(path, approximate)
    for name, path in (
        ("Wan21", full / "wan.safetensors"), ("LTXV", full / "ltxv.safetensors"),
        ("HunyuanVideo", approximate / "taehv.safetensors"),
    ):  # fmt: skip
        weights, metadata = families.vae_weights(name)
        safetensors.torch.save_file({key: tensor.contiguous() for key, tensor in weights.items()}, path, metadata)


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def quantize(latent, vae: str, **settings) -> dict:
    """A prompt that saves a file of the LATENT at `latent`, with the LATENT that the quantizing node gives beside."""
    defaults = {"preset": "best", "colors": 64, "dither": "none", "dither_strength": 1.0, "seed": 0}
    defaults["bits_per_pixel"] = 0.5  # enough for the smallest image
    return {
        "vae": node("VAELoader", vae_name=vae),
        "quantize": node(
            "SDCLatentQuantize", latent=latent, vae=["vae", 0], **defaults | {"latent_format": "auto"} | settings
        ),
        "save": node("SDCSave", sdc=["quantize", 0], filename_prefix="SDC/walk", embed="none"),
        "seen": node("SaveLatent", samples=["quantize", 1], filename_prefix="walk_seen"),
    }


def open_file(file: dict, vae: str) -> dict:
    return {
        "vae": node("VAELoader", vae_name=vae),
        "load": node("SDCLoad", file=f"{file['subfolder']}/{file['filename']} [output]", vae=["vae", 0]),
        "again": node("SaveLatent", samples=["load", 0], filename_prefix="walk_again"),
        "decode": node("VAEDecode", samples=["load", 0], vae=["vae", 0]),
        "preview": node("PreviewImage", images=["decode", 0]),
    }


def saved_latent(server, outputs: dict, key: str) -> np.ndarray:
    return load(server.client.view(outputs[key]["latents"][0]))["latent_tensor"]


def draw(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def real_wan() -> np.ndarray:
    """16 frames of a clip: a corner, which a small VAE decodes in no time."""
    (tensor,) = safetensors.torch.load_file(WAN).values()
    return tensor[..., :4, :4].float().numpy()


@pytest.mark.skipif(not TINY.is_dir() or not WAN.is_file(), reason="no models/vae_approx or latents under SDC_SHARED")
def test_a_latent_of_each_kind_goes_through_comfyui_and_comes_back(server, image, vaes):
    """Images and video: latent format, VAE, preset, what to quantize, and how many images it is in the end."""
    photograph, size = server.client.upload(image), {"width": 96, "height": 64, "crop": "center"}
    for latent_format, vae, preset, samples, images in (
        ("Flux", "taef1", "best", None, 1),
        ("Flux2", "taef2", "fine", None, 1),
        ("Wan21", "wan.safetensors", "best", None, 1),  # as Qwen-Image has it
        ("Wan21", "wan.safetensors", "fine", None, 1),
        ("Wan21", "wan.safetensors", "archive", real_wan(), 61),
        ("LTXV", "ltxv.safetensors", "archive", draw((1, 128, 2, 2, 3)), 9),
        ("HunyuanVideo", "taehv.safetensors", "archive", draw((1, 16, 2, 6, 8)), 5),
    ):
        settings = {"latent_format": latent_format} if latent_format == "LTXV" else {}
        if samples is None:
            prompt = quantize(["encode", 0], vae) | {
                "image": node("LoadImage", image=photograph),
                "scale": node("ImageScale", image=["image", 0], upscale_method="area", **size),
                "encode": node("VAEEncode", pixels=["scale", 0], vae=["vae", 0]),
            }
        else:
            save_file({"latent_tensor": samples, "latent_format_version_0": np.zeros(0, np.float32)},
                      server.base / "input" / "walk.latent")  # fmt: skip
            prompt = quantize(["video", 0], vae, **settings) | {"video": node("LoadLatent", latent="walk.latent")}
            with pytest.raises(ComfyError, match=f"{samples.shape[2]} frames, .* only archive .*; choose archive"):
                server.client.run(prompt)
        prompt["quantize"]["inputs"]["preset"] = preset
        outputs = server.client.run(prompt)
        (file,) = outputs["save"]["files"]
        stored = codec.load(server.client.view(file))
        back = server.client.run(open_file(file, vae))
        seen, again = saved_latent(server, outputs, "seen"), saved_latent(server, back, "again")
        assert np.array_equal(seen, again), latent_format
        known = codec.by_name(latent_format)
        frames = [] if known.dimensions == 2 else [1] if samples is None else [samples.shape[2]]
        assert seen.shape[:-2] == (1, known.channels, *frames)
        if preset == "best":  # for every VAE
            assert stored.latent_format == "SD1.x"
        else:
            assert stored.latent_format == latent_format and np.array_equal(again[0], codec.decode(stored))
        assert len(back["preview"]["images"]) == images
