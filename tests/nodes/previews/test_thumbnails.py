"""The JPEG that Save SDC writes beside a file, so that ComfyUI's assets view and queue show an image."""

import folder_paths
import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
from comfy_execution.jobs import get_outputs_summary
from PIL import Image
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.comparison import metrics
from sdc_pack.nodes.previews import thumbnail
from sdc_pack.nodes.save_sdc import SDCSave


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.asarray(Image.fromarray(skimage.data.coffee()).resize((192, 128), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def encoded(photograph) -> codec.EncodedImage:
    return codec.encode([tiny_vae.encode_pixels(photograph)], "custom", colors=256, dither="none")[0]


def save(images, **optional):
    clone = SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}})
    return clone.execute(images, "SDC/cup", "none", **optional).ui


def test_the_image_stands_for_the_job_and_the_file_is_listed_too(encoded, photograph, comfyui_folders):
    shown = save([encoded, encoded], thumbnail=True)
    assert shown["images"] == [
        {"filename": f"cup_0000{number}_.jpg", "subfolder": "SDC", "type": "output"} for number in (1, 2)
    ]
    assert [file["filename"] for file in shown["files"]] == ["cup_00001_.sdc", "cup_00002_.sdc"]
    _, preview = get_outputs_summary({"7": shown})  # ComfyUI's own choice, for its queue and assets view
    assert preview == {**shown["images"][0], "nodeId": "7", "mediaType": "images"}
    with Image.open(comfyui_folders / "output" / "SDC" / "cup_00001_.jpg") as image:
        assert image.format == "JPEG" and metrics.psnr(photograph, np.asarray(image)) > 20


def test_who_does_not_ask_gets_none(encoded, comfyui_folders):
    assert "images" not in save([encoded])
    assert "images" not in save([encoded], thumbnail=False)
    assert not list((comfyui_folders / "output" / "SDC").glob("*.jpg"))
    inputs = SDCSave.GET_NODE_INFO_V1()["input"]["optional"]
    assert inputs["thumbnail"][1]["default"] is True  # on a node that is added now


def test_a_file_of_the_same_name_stays(encoded, comfyui_folders):
    (comfyui_folders / "output" / "SDC").mkdir()
    other = comfyui_folders / "output" / "SDC" / "cup_00001_.jpg"
    other.write_bytes(b"mine")
    shown = save([encoded], thumbnail=True)
    assert other.read_bytes() == b"mine"
    assert len(shown.get("images", [])) == len(list(other.parent.glob("*.jpg"))) - 1
    assert len(shown["files"]) == 1


def test_a_image_that_cannot_be_shown_is_saved_all_the_same(encoded, comfyui_folders, monkeypatch):
    monkeypatch.setattr(thumbnail, "MAX_PIXELS", 1000)
    shown = save([encoded], thumbnail=True)
    assert "images" not in shown and len(shown["files"]) == 1
    assert codec.load_file(folder_paths.get_output_directory() + "/SDC/cup_00001_.sdc") == encoded
