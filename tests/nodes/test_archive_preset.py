"""The preset archive in ComfyUI: from a latent to a file and back into the same VAE Decode."""

import os
from pathlib import Path

import comfy.sd
import nodes as comfy_nodes
import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from comfy.ldm.wan.vae import WanVAE
from safetensors.torch import load_file
from sdc_pack.nodes.decode import SDCDecode
from sdc_pack.nodes.load_sdc import SDCLoad

from .node_steps import quantize, save

WAN = Path(os.environ["SDC_SHARED"]) / "latents" / "wan_16x40x64.safetensors"


@pytest.fixture(scope="module")
def wan_vae():
    """ComfyUI's VAE of Wan 2.1 and Qwen-Image, narrow and with random weights."""
    generator = torch.Generator().manual_seed(3)
    network = WanVAE(
        dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
        temperal_downsample=[False, True, True], image_channels=3, conv_out_channels=3, dropout=0.0,
    )  # fmt: skip
    weights = {  # which its classes leave as they are in memory
        name: torch.ones_like(tensor) if "gamma" in name else torch.randn(tensor.shape, generator=generator) * 0.05
        for name, tensor in network.state_dict().items()
    }
    return comfy.sd.VAE(sd=weights)


def through_a_file(latent, **settings):
    """What Load SDC gives of the file that Save SDC writes, and what SD Latent Quantize has shown."""
    output = quantize(latent, preset="archive", **settings)
    images, decoded, *_ = output.result
    saved = save(images, batch="one file")
    result = saved.ui["files"][0]
    loaded, read, *_ = SDCLoad.execute(f"{result['subfolder']}/{result['filename']} [output]").result
    assert read == images and torch.equal(loaded["samples"], decoded["samples"])
    assert torch.equal(saved.result[1]["samples"], decoded["samples"])
    return loaded, read, output


@pytest.mark.skipif(not WAN.is_file(), reason="no latents/wan_16x40x64.safetensors under SDC_SHARED")
@pytest.mark.parametrize("frames", [16, 1])
def test_a_wan_latent_is_decoded_as_before(wan_vae, frames):
    whole = load_file(WAN)["latent_tensor"][:, :, :frames].float()
    latent = {"samples": whole, "batch_index": [4]}
    loaded, (image,), output = through_a_file(latent, latent_format="auto", vae=wan_vae, precision=16)
    assert (image.latent_format, image.frames, loaded["samples"].shape) == ("Wan21", frames, whole.shape)
    assert (loaded["samples"] - whole).abs().max() <= whole.std(correction=0) / 32 * 1.0001
    assert output.result[1]["batch_index"] == [4]
    # 16 frames share most of what they show.
    assert 8 * image.num_bytes / whole.numel() < (2.5 if frames > 1 else 4.5)
    part = {"samples": loaded["samples"][:, :, : min(frames, 3), :8, :8]}
    (shown,) = comfy_nodes.VAEDecode().decode(wan_vae, part)
    (wanted,) = comfy_nodes.VAEDecode().decode(wan_vae, {"samples": whole[:, :, : min(frames, 3), :8, :8]})
    assert shown.shape == wanted.shape == ((9, 64, 64, 3) if frames > 1 else (1, 64, 64, 3))
    assert 0 < (shown - wanted).square().mean() < 0.003 * wanted.var()


def test_decode_sdc_shows_every_frame(wan_vae):
    samples = torch.randn(1, 16, 2, 4, 5, generator=torch.Generator().manual_seed(2))
    _, images, _ = through_a_file({"samples": samples}, latent_format="Wan21")
    assert SDCDecode.execute(images, wan_vae).result[0].shape == (5, 32, 40, 3)
    assert images[0].bits_per_pixel == 8 * images[0].num_bytes / (2 * 32 * 40)


def test_what_is_nobodys_latent_is_stored_as_unknown():
    samples = torch.randn(2, 7, 6, 5, generator=torch.Generator().manual_seed(2))
    loaded, images, output = through_a_file({"samples": samples}, latent_format="auto", precision=64)
    assert "latent_format" not in loaded and (loaded["samples"] - samples).abs().max() < samples.std() / 100
    assert any("does not say which VAE" in line for line in output.ui["text"])
    assert [image.latent_format for image in images] == ["unknown", "unknown"]
    with pytest.raises(ValueError, match="7 channels"):
        quantize({"samples": samples}, preset="fine", latent_format="auto")


def test_masks_and_other_presets_settings_are_told(latent):
    output = quantize({**latent, "noise_mask": torch.ones(2, 64, 96)}, preset="archive", max_bytes=900, colors=64)
    assert "noise_mask" not in output.result[1]
    told = " ".join(output.ui["text"])
    assert "noise mask is not stored" in told and "Not used by the preset archive: max_bytes" in told
    error = np.float32(latent["samples"][0].numpy().std() / 32 / 2)  # by itself, for SD 1.x
    assert f"preset archive · error at most {error:.3g}" in output.ui["text"][0]
    other = quantize(latent, preset="paper", colors=64, dither="floyd-steinberg", precision=4)
    assert other.ui["text"][-1].endswith("precision. Choose archive to use it.")


def test_a_video_by_another_preset_says_what_to_choose():
    with pytest.raises(ValueError, match="2 frames, which only archive can store; choose archive"):
        quantize({"samples": torch.randn(1, 16, 2, 4, 4)}, preset="best", latent_format="Wan21")


def test_every_channel_count_to_256():
    for channels in (1, 3, 128, 256):
        samples = torch.randn(1, channels, 3, 4, generator=torch.Generator().manual_seed(channels))
        loaded, _, _ = through_a_file({"samples": samples}, latent_format="unknown")
        assert (loaded["samples"] - samples).abs().max() <= samples.std(correction=0) / 32 * 1.0001
    with pytest.raises(ValueError, match="1 to 256 channels"):
        quantize({"samples": torch.randn(1, 257, 3, 4)}, preset="archive", latent_format="unknown")
    assert codec.by_name("unknown").channels is None
