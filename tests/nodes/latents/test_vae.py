"""The fingerprint of ComfyUI's VAE, and what is said where another one is connected."""

import copy
import math
import os
from pathlib import Path

import folder_paths
import nodes as comfy_nodes
import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.decode import SDCDecode
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.latents.vae import fingerprint_of, vae_notes
from sdc_pack.nodes.load_sdc import SDCLoad

from dev import families

VAE_APPROX = Path(os.environ["SDC_SHARED"]) / "models" / "vae_approx"


def other(vae, change):
    """A VAE with changed weights."""
    made = copy.copy(vae)
    made.first_stage_model = change(copy.deepcopy(vae.first_stage_model))
    return made


def tuned(model):
    generator = torch.Generator().manual_seed(0)
    for weights in model.parameters():
        weights.data += 0.1 * weights.abs().mean() * torch.randn(weights.shape, generator=generator).to(weights)
    return model


@pytest.fixture
def image():
    return codec.encode(
        [np.random.default_rng(0).normal(size=(4, 8, 12)).astype(np.float32)], "custom", metadata={"vae": "a.pt"}
    )[0]


def test_types_of_number_make_no_difference_and_weights_do(vae):
    made = fingerprint_of(vae)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert codec.same_vae(made, fingerprint_of(other(vae, lambda model, dtype=dtype: model.to(dtype))))
    assert not codec.same_vae(made, fingerprint_of(other(vae, tuned)))


def test_load_warns_of_another_vae_and_names_both(vae, image, tmp_path):
    different = other(vae, tuned)
    codec.save_file(codec.with_vae(image, fingerprint_of(vae)), tmp_path / "input" / "marked.sdc")
    codec.save_file(image, tmp_path / "input" / "plain.sdc")
    quiet = SDCLoad.execute("marked.sdc").ui["text"]
    assert SDCLoad.execute("marked.sdc", vae=vae).ui["text"] == quiet
    *before, warning = SDCLoad.execute("marked.sdc", vae=different).ui["text"]
    assert before == quiet
    for said in ("a.pt", fingerprint_of(vae).hex(), fingerprint_of(different).hex(), "SD1.x"):
        assert said in warning
    assert SDCLoad.execute("plain.sdc", vae=different).ui["text"] == SDCLoad.execute("plain.sdc").ui["text"]


@pytest.mark.parametrize("preset", ["best", "clean"])
def test_quantize_stores_which_vae_it_was_within_the_size_asked_for(vae, preset):
    samples = torch.randn((1, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    arguments = {"samples": samples}, preset, 64, "floyd-steinberg", 1.0, 0, "SD1.x"
    ((plain,), *_) = SDCLatentQuantize.execute(*arguments, max_bytes=400).result
    ((marked,), *_) = SDCLatentQuantize.execute(*arguments, max_bytes=400, vae=FamilyKnown(vae)).result
    assert plain.vae is None and codec.same_vae(marked.vae, fingerprint_of(vae))
    assert marked.num_bytes <= 400 if preset == "best" else marked.num_bytes == plain.num_bytes + 12


class FamilyKnown:
    """The random checkpoint's VAE has no chart of colors that shows its family: this one does not say so either."""

    latent_dim = 3  # ComfyUI's mark of a VAE for videos: its family is not asked for

    def __init__(self, vae):
        self.first_stage_model, self.latent_channels = vae.first_stage_model, vae.latent_channels


def test_a_batch_says_it_once(vae, image):
    marked = codec.with_vae(image, fingerprint_of(vae))
    assert len(vae_notes([image, marked, marked], other(vae, tuned))) == 1
    assert vae_notes([image, marked], vae) == vae_notes([], vae) == []


def photograph(size=(136, 128)) -> np.ndarray:
    height, width = size
    return skimage.data.astronaut()[60 : 60 + height, 160 : 160 + width]


def psnr(one, other) -> float:
    return -10 * math.log10((one.float() - other.float()).square().mean().item())


@pytest.mark.skipif(not VAE_APPROX.is_dir(), reason="no models/vae_approx under SDC_SHARED")
@pytest.mark.parametrize("name", ["taesdxl", "taesd3", "taef1", "taef2"])
@pytest.mark.parametrize("preset", ["best", "custom"])
def test_any_vae_opens_a_file_of_sd1(name, preset, tmp_path):
    folder_paths.add_model_folder_path("vae_approx", str(VAE_APPROX))
    vae = comfy_nodes.VAELoader().load_vae(name)[0]
    original = torch.from_numpy(photograph()).float()[None] / 255
    settings = {"quality": 90} if preset == "best" else {"colors": 256, "dither": "none"}
    (image,) = codec.encode([tiny_vae.encode_pixels(photograph())], preset, **settings)
    codec.save_file(image, tmp_path / "input" / "a.sdc")
    own = SDCDecode.execute([image]).result[0]
    assert psnr(own, original) > 20
    loaded = SDCLoad.execute("a.sdc", vae=vae)
    latent, opened = loaded.result[:2]
    assert latent["samples"].shape[1] == vae.latent_channels and opened[0].metadata == image.metadata
    seen = comfy_nodes.VAEDecode().decode(vae, latent)[0]
    top = (own.shape[1] - seen.shape[1]) // 2  # VAE Encode takes the middle
    assert psnr(seen, own[:, top : top + seen.shape[1]]) > 20
    assert any("for SD1.x" in line and " VAE" in line for line in loaded.ui["text"])
    assert SDCDecode.execute([image], vae).result[0].shape == original.shape


def test_what_no_other_vae_can_open_names_the_one_that_can():
    latent = np.random.default_rng(0).normal(size=(16, 8, 8)).astype(np.float32)
    (image,) = codec.encode([latent], "custom", latent_format="SD3")
    with pytest.raises(ValueError, match="only a SD3 VAE can decode"):
        SDCDecode.execute([image])


@pytest.mark.skipif(not VAE_APPROX.is_dir(), reason="no models/vae_approx under SDC_SHARED")
@pytest.mark.parametrize("name", ["taef1", "taef2"])
def test_best_stores_the_latent_of_any_vae_as_one_of_sd1(name):
    folder_paths.add_model_folder_path("vae_approx", str(VAE_APPROX))
    vae = comfy_nodes.VAELoader().load_vae(name)[0]
    original = torch.from_numpy(np.stack([photograph((128, 144)), photograph((128, 144))[:, ::-1]])).float() / 255
    latent = {**comfy_nodes.VAEEncode().encode(vae, original)[0], "batch_index": [3, 5]}

    def quantize(preset="best", **more):
        arguments = latent, preset, 64, "none", 1.0, 0, "auto"
        return SDCLatentQuantize.execute(*arguments, quality=90, vae=vae, **more)

    images, decoded, *_ = quantize().result
    assert [image.latent_format for image in images] == ["SD1.x"] * 2 and images[0].vae is None
    assert (images[0].width, images[0].height) == (144, 128)
    assert decoded["samples"].shape == latent["samples"].shape and decoded["batch_index"] == [3, 5]
    shown, own = comfy_nodes.VAEDecode().decode(vae, decoded)[0], SDCDecode.execute(images).result[0]
    assert psnr(own, original) > 20 and psnr(shown, own) > 20
    # The original size is that of the image that VAE Encode cropped.
    larger = torch.nn.functional.pad(original, (0, 0, 0, 3, 0, 2))
    assert quantize(image=larger).result[0][0].width == 147
    # Without the VAE, or by another preset, it is the latent itself that is stored.
    assert quantize("custom").result[0][0].latent_format == {"taef1": "Flux", "taef2": "Flux2"}[name]


def test_images_of_a_batch_remain_images_to_a_vae_of_video():
    """VAE Encode makes the frames of one video of a batch."""
    vae = families.build_vae("Wan21")
    latent = {"samples": torch.cat([vae.encode(torch.rand(1, 64, 48, 3)) for _ in range(3)])}
    images, decoded, *_ = SDCLatentQuantize.execute(
        latent, "best", 64, "none", 1.0, 0, "auto", quality=50, vae=vae
    ).result
    assert [image.latent_format for image in images] == ["SD1.x"] * 3
    assert decoded["samples"].shape == latent["samples"].shape == (3, 16, 1, 8, 6)
