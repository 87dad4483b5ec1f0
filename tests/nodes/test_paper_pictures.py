"""The two pictures of the paper's Table 1, where they are at hand: size and quality of the paper preset."""

import os
from pathlib import Path

import nodes as comfy_nodes
import numpy as np
import pytest
import torch
from PIL import Image
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from skimage.metrics import structural_similarity

SHARED = Path(os.environ["SDC_SHARED"])


@pytest.mark.skipif(not (SHARED / "images" / "paper").is_dir(), reason="no images/paper under SDC_SHARED")
@pytest.mark.parametrize(("name", "least_ssim"), [("peppers", 0.57), ("tiffany", 0.67)])
def test_paper_preset_keeps_size_and_similarity(vae, name, least_ssim):
    original = np.asarray(Image.open(SHARED / "images" / "paper" / f"{name}.png").convert("RGB"))
    image = torch.from_numpy(original.astype(np.float32) / 255)[None]
    latent = comfy_nodes.VAEEncode().encode(vae, image)[0]
    _, decoded, size, _ = SDCLatentQuantize.execute(
        latent, "paper", 64, "floyd-steinberg", 1.0, 0, "SD1.x", image=image
    ).result
    picture = comfy_nodes.VAEDecode().decode(vae, decoded)[0][0]
    restored = (picture.clamp(0, 1) * 255).round().byte().numpy()
    assert size <= 3400
    assert structural_similarity(original, restored, channel_axis=2, data_range=255) >= least_ssim
