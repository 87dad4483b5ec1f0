"""The fingerprint of ComfyUI's VAE, and what is said where another one is connected."""

import copy

import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.latents.vae import fingerprint_of, vae_notes
from sdc_pack.nodes.load_sdc import SDCLoad


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
