"""The fingerprint of ComfyUI's VAE, and what is said where another one is connected."""

import copy

import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.sockets.vae_identity import fingerprint_of, vae_notes


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
def picture():
    return codec.encode(np.random.default_rng(0).normal(size=(4, 8, 12)).astype(np.float32), metadata={"vae": "a.pt"})


def test_types_of_number_make_no_difference_and_weights_do(vae):
    made = fingerprint_of(vae)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert codec.same_vae(made, fingerprint_of(other(vae, lambda model, dtype=dtype: model.to(dtype))))
    assert not codec.same_vae(made, fingerprint_of(other(vae, tuned)))


def test_load_warns_of_another_vae_and_names_both(vae, picture, tmp_path):
    different = other(vae, tuned)
    codec.save_file(codec.with_vae(picture, fingerprint_of(vae)), tmp_path / "input" / "marked.sdc")
    codec.save_file(picture, tmp_path / "input" / "plain.sdc")
    quiet = SDCLoad.execute("marked.sdc").ui["text"]
    assert SDCLoad.execute("marked.sdc", vae=vae).ui["text"] == quiet
    *before, warning = SDCLoad.execute("marked.sdc", vae=different).ui["text"]
    assert before == quiet
    for said in ("a.pt", fingerprint_of(vae).hex(), fingerprint_of(different).hex(), "SD1.x"):
        assert said in warning
    assert SDCLoad.execute("plain.sdc", vae=different).ui["text"] == SDCLoad.execute("plain.sdc").ui["text"]


def test_a_batch_says_it_once(vae, picture):
    marked = codec.with_vae(picture, fingerprint_of(vae))
    assert len(vae_notes([picture, marked, marked], other(vae, tuned))) == 1
    assert vae_notes([picture, marked], vae) == vae_notes([], vae) == []
