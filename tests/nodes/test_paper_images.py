"""Size and quality of the paper preset: on photographs of scikit-image, and on the two images of the paper's Table 1
where they are at hand."""

import os
from pathlib import Path

import nodes as comfy_nodes
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from skimage.metrics import structural_similarity

SHARED = Path(os.environ["SDC_SHARED"])


def quantize(latent: dict, image: torch.Tensor) -> tuple[dict, int]:
    """(LATENT that the file decodes to, bytes of the file)."""
    return SDCLatentQuantize.execute(
        latent, "paper", 64, "floyd-steinberg", 1.0, 0, "SD1.x", image=image
    ).result[1:3]  # fmt: skip


def similarity(original, restored) -> float:
    return structural_similarity(original, restored, channel_axis=2, data_range=255)


@pytest.mark.parametrize(
    ("name", "least_ssim"), [("astronaut", 0.64), ("retina", 0.91), ("stereo_motorcycle", 0.55)]
)  # fmt: skip
def test_paper_preset_with_the_small_autoencoder(name, least_ssim):
    photograph = getattr(skimage.data, name)()
    photograph = photograph[0] if isinstance(photograph, tuple) else photograph
    top, left = ((side - 512) // 2 if side > 512 else 0 for side in photograph.shape[:2])
    original = photograph[top : top + 512, left : left + 512]
    original = original[: len(original) // 8 * 8]
    latent = {"samples": torch.from_numpy(tiny_vae.encode_pixels(original))[None]}
    decoded, size = quantize(latent, torch.from_numpy(original / np.float32(255))[None])
    assert size <= 3400
    assert similarity(original, tiny_vae.decode_latent(decoded["samples"][0].numpy())) >= least_ssim


@pytest.mark.skipif(not (SHARED / "images" / "paper").is_dir(), reason="no images/paper under SDC_SHARED")
@pytest.mark.parametrize(("name", "least_ssim"), [("peppers", 0.57), ("tiffany", 0.67)])
def test_paper_preset_keeps_size_and_similarity(vae, name, least_ssim):
    original = np.asarray(Image.open(SHARED / "images" / "paper" / f"{name}.png").convert("RGB"))
    image = torch.from_numpy(original.astype(np.float32) / 255)[None]
    latent = comfy_nodes.VAEEncode().encode(vae, image)[0]
    decoded, size = quantize(latent, image)
    shown = comfy_nodes.VAEDecode().decode(vae, decoded)[0][0]
    restored = (shown.clamp(0, 1) * 255).round().byte().numpy()
    assert size <= 3400
    assert similarity(original, restored) >= least_ssim
