"""Load SDC and its list of files."""

import hashlib
import re

import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from PIL import Image
from sdc_pack.nodes.comparison import metrics
from sdc_pack.nodes.files.listing import list_files, load_listed
from sdc_pack.nodes.files.samples import list_samples
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.previews.thumbnail import draw_thumbnail

from .node_steps import quantize, save, saved_path


def test_save_and_load_are_bit_exact(latent):
    images, decoded, *_ = quantize(latent)
    output = save(images[:1])
    with open(saved_path(output), "rb") as file:
        assert file.read() == images[0].data
    loaded, sdc, prompt, width, height = SDCLoad.execute("images/test_00001_.sdc [output]").result[:5]
    assert torch.equal(loaded["samples"], decoded["samples"][:1])
    assert torch.equal(output.result[1]["samples"], decoded["samples"][:1])
    assert sdc == images[:1] and (prompt, width, height) == ("", 96, 64)


def test_list_holds_input_subfolders_and_output(latent, comfyui_folders):
    assert list_files() == []
    data = quantize(latent)[0][0].data
    for name in ("input/b.sdc", "input/deep/er/a.SDC", "input/not.png", "output/saved.sdc"):
        path = comfyui_folders / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert list_files() == ["b.sdc", "deep/er/a.SDC", "saved.sdc [output]"]
    assert all(SDCLoad.validate_inputs(name) is True for name in list_files())
    assert SDCLoad.execute("deep/er/a.SDC").result[1][0].data == data


def test_the_sample_is_offered_after_the_users_own_files(comfyui_folders):
    """And it opens at once, with a thumbnail of its own; nothing else of the pack's folder can be reached."""
    (sample,) = list_samples()
    assert sample.startswith("sample: ") and SDCLoad.define_schema().inputs[0].options == [sample]
    (comfyui_folders / "input" / "own.sdc").write_bytes(codec.encode([torch.zeros(4, 1, 1).numpy()], "custom")[0].data)
    assert SDCLoad.define_schema().inputs[0].options == ["own.sdc", sample]
    assert SDCLoad.validate_inputs(sample) is True
    latent, (image,), prompt, width, height = SDCLoad.execute(sample).result[:5]
    assert (width, height) == (600, 400) and latent["samples"].shape == (1, 4, 50, 75)
    assert "espresso" in prompt and image.num_bytes < 3200
    assert SDCLoad.fingerprint_inputs(sample) == hashlib.sha256(image.data).hexdigest()
    for name in ("sample: ../listing.py", "sample: README.md", "sample: gone.sdc"):
        assert "is not in ComfyUI's" in SDCLoad.validate_inputs(name) or "outside" in SDCLoad.validate_inputs(name)


def test_the_sample_shows_its_photograph():
    """As scikit-image has it: coffee, by Rachel Michetti, CC0."""
    import skimage.data

    shown = np.asarray(draw_thumbnail(load_listed(list_samples()[0]).images[0]))
    true = Image.fromarray(skimage.data.coffee()).resize(shown.shape[1::-1], Image.Resampling.LANCZOS)
    assert metrics.psnr(np.asarray(true), shown) > 20


def test_nothing_chosen_invites_and_missing_files_explain_themselves():
    assert "Drop one on Load SDC" in SDCLoad.validate_inputs("")
    for name in ("gone.sdc", "gone.sdc [output]", "../../etc/passwd"):
        assert name in SDCLoad.validate_inputs(name)
        with pytest.raises((ValueError, OSError), match=re.escape(name)):
            SDCLoad.execute(name)
    for name in ("gone.sdc", "../../etc/passwd", "nul\0.sdc", ""):
        assert isinstance(SDCLoad.validate_inputs(name), str)
        # Not even in ComfyUI's eyes, for which the same object is unchanged: so the node runs and tells.
        assert [SDCLoad.fingerprint_inputs(name)] != [SDCLoad.fingerprint_inputs(name)]


def test_folders_are_refused(comfyui_folders):
    (comfyui_folders / "input" / "folder.sdc").mkdir()
    assert "is a folder" in SDCLoad.validate_inputs("folder.sdc")
    with pytest.raises(ValueError, match="folder.sdc"):
        SDCLoad.execute("folder.sdc")


def test_a_file_too_large_to_be_one_is_not_read(comfyui_folders):
    with open(comfyui_folders / "input" / "film.sdc", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="film.sdc: there are more than 33554432 bytes"):
        SDCLoad.execute("film.sdc")
    assert [SDCLoad.fingerprint_inputs("film.sdc")] != [SDCLoad.fingerprint_inputs("film.sdc")]


def test_changed_file_runs_again(latent, comfyui_folders):
    images = quantize(latent)[0]
    path = comfyui_folders / "input" / "a.sdc"
    path.write_bytes(images[0].data)
    before = SDCLoad.fingerprint_inputs("a.sdc")
    assert before == hashlib.sha256(images[0].data).hexdigest() == SDCLoad.fingerprint_inputs("a.sdc")
    path.write_bytes(images[1].data)
    assert SDCLoad.fingerprint_inputs("a.sdc") != before


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda data: data[:-1], "incomplete"),
        (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], "damaged"),
        (lambda data: b"StarCalc" + data, "not an SDC file"),
        (lambda data: b"", "0 bytes"),
    ],
)
def test_damaged_file_is_named(latent, comfyui_folders, damage, error):
    (comfyui_folders / "input" / "bad.sdc").write_bytes(damage(quantize(latent)[0][0].data))
    with pytest.raises(ValueError, match=f"bad.sdc: .*{error}") as raised:
        SDCLoad.execute("bad.sdc")
    assert raised.type is ValueError  # ComfyUI shows the name of a class that is not Python's own, with all its modules


def test_a_small_file_that_claims_a_huge_image_is_refused_before_it_is_decoded(comfyui_folders, monkeypatch):
    """52 bytes for 16384x16384: VAE Decode would pay for them."""
    claims = codec.encode([torch.zeros(4, 1, 1).numpy()], "custom", width=16384, height=16384)[0]
    (comfyui_folders / "input" / "bomb.sdc").write_bytes(claims.data)
    assert claims.num_bytes == 52
    with pytest.raises(ValueError, match="bomb.sdc.*268435456 pixels.*max_megapixels"):
        SDCLoad.execute("bomb.sdc")
    assert SDCLoad.execute("bomb.sdc", max_megapixels=269).result[3] == 16384
    (comfyui_folders / "input" / "large.sdc").write_bytes(
        codec.encode([torch.zeros(4, 1, 1).numpy()], "custom", width=7000, height=5000)[0].data
    )
    assert SDCLoad.execute("large.sdc").result[3:5] == (7000, 5000)
