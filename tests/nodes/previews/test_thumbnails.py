"""Thumbnails: what they show, that each is drawn once, and the JPEG that Save SDC writes next to a file."""

import folder_paths
import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
from comfy_execution.jobs import get_outputs_summary
from PIL import Image
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.comparison import metrics
from sdc_pack.nodes.latents.formats import comfy_format
from sdc_pack.nodes.previews import thumbnail
from sdc_pack.nodes.previews.thumbnail import draw_thumbnail, thumbnail_of
from sdc_pack.nodes.save_sdc import SDCSave
from sdc_pack.nodes.sockets.sdc import about_lines


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


def test_who_does_not_ask_gets_none(encoded, comfyui_folders, monkeypatch):
    """Nor is one drawn: the page's own comes through its route."""
    monkeypatch.setattr(thumbnail, "draw_thumbnail", None)
    assert "images" not in save([encoded])
    assert "images" not in save([encoded], thumbnail=False)
    assert not list((comfyui_folders / "output" / "SDC").glob("*.jpg"))
    inputs = SDCSave.GET_NODE_INFO_V1()["input"]["optional"]
    assert inputs["thumbnail"][1]["default"] is False


def test_a_file_of_the_same_name_stays(encoded, comfyui_folders):
    (comfyui_folders / "output" / "SDC").mkdir()
    other = comfyui_folders / "output" / "SDC" / "cup_00001_.jpg"
    other.write_bytes(b"mine")
    shown = save([encoded], thumbnail=True)
    assert other.read_bytes() == b"mine"
    assert len(shown.get("images", [])) == len(list(other.parent.glob("*.jpg"))) - 1
    assert len(shown["files"]) == 1


def test_an_image_that_cannot_be_shown_is_saved_all_the_same(encoded, comfyui_folders, monkeypatch):
    monkeypatch.setattr(thumbnail, "known", {})
    monkeypatch.setattr(thumbnail, "MAX_PIXELS", 1000)
    shown = save([encoded], thumbnail=True)
    assert "images" not in shown and len(shown["files"]) == 1
    assert codec.load_file(folder_paths.get_output_directory() + "/SDC/cup_00001_.sdc") == encoded


def test_save_sdc_and_the_page_share_one_drawing(encoded, comfyui_folders, monkeypatch):
    monkeypatch.setattr(thumbnail, "known", {})
    drawn = thumbnail_of(encoded.data)
    monkeypatch.setattr(thumbnail, "draw_thumbnail", None)  # a second drawing would fail
    save([encoded], thumbnail=True)
    folder = comfyui_folders / "output" / "SDC"
    assert (folder / "cup_00001_.jpg").read_bytes() == drawn
    assert thumbnail_of((folder / "cup_00001_.sdc").read_bytes()) == drawn


def test_old_thumbnails_are_forgotten(monkeypatch):
    monkeypatch.setattr(thumbnail, "known", {})
    monkeypatch.setattr(thumbnail, "MAX_KNOWN", 2)
    files = [random_image(height=1, width=width).data for width in (1, 2, 3)]
    for data in files:
        thumbnail_of(data)
    assert list(thumbnail.known) == [thumbnail.version_of(data) for data in files[1:]]


def random_image(latent_format="SD1.x", height=8, width=12, **metadata):
    channels = codec.by_name(latent_format).channels or 7
    latent = np.random.default_rng(3).normal(size=(channels, height, width)).astype(np.float32)
    return codec.encode([latent], "custom", latent_format=latent_format, metadata=metadata or None)[0]


@pytest.mark.parametrize("latent_format", [*(space.name for space in codec.LATENT_FORMATS), "unknown"])
def test_every_family_has_a_thumbnail_in_the_shape_of_the_image(latent_format):
    image = draw_thumbnail(random_image(latent_format))
    factor = codec.by_name(latent_format).spatial_factor
    assert (image.size, image.mode) == ((min(256, 12 * factor), min(round(256 / 1.5), 8 * factor)), "RGB")
    assert np.asarray(image).std() > 4


def test_only_thumbnails_in_rough_colors_say_so():
    assert not [line for line in about_lines(random_image()) if "rough" in line]
    (line,) = (line for line in about_lines(random_image("Flux")) if "rough" in line)
    assert "Flux" in line


def test_thumbnail_is_as_wide_as_the_image_and_at_most_256():
    assert draw_thumbnail(random_image(height=8, width=64)).size == (256, 32)


@pytest.mark.parametrize(("rows", "columns"), [(171, 258), (341, 522)])
def test_thumbnail_shows_the_photograph(rows, columns):
    """Also for sides that are not multiples of 8, and latents so large that they are averaged."""
    original = np.asarray(Image.fromarray(skimage.data.coffee()).resize((columns, rows), Image.Resampling.LANCZOS))
    (image,) = codec.encode([tiny_vae.encode_pixels(original)], "fine", width=columns, height=rows)
    shown = draw_thumbnail(image)
    expected = Image.fromarray(original).resize(shown.size, Image.Resampling.LANCZOS)
    assert shown.size == (256, round(256 * rows / columns))
    assert metrics.psnr(np.asarray(expected), np.asarray(shown)) > 20


def test_rough_colors_tell_bright_from_dark():
    """Along the direction of the latent that ComfyUI's own table calls brightest."""
    factors = np.asarray(comfy_format("SDXL").latent_rgb_factors)
    direction = factors.sum(1) / 0.13025 / np.square(factors.sum(1)).sum()
    latent = np.zeros((4, 8, 8), np.float32)
    latent[:, :, :4], latent[:, :, 4:] = -direction[:, None, None], direction[:, None, None]
    pixels = np.asarray(draw_thumbnail(codec.encode([latent], "custom", colors=2, latent_format="SDXL")[0]), float)
    assert pixels[:, :24].mean() < 100 < 155 < pixels[:, 40:].mean()


def test_what_takes_longest_to_decode_is_drawn_up_to_a_smaller_size_for_who_only_looks(encoded, monkeypatch):
    monkeypatch.setattr(thumbnail, "known", {})
    monkeypatch.setattr(thumbnail, "MAX_LEARNED_PIXELS", encoded.width * encoded.height - 1)
    (learned,) = codec.encode([codec.decode(encoded)])
    with pytest.raises(codec.SdcLimitError, match="24576 pixels, and previews are drawn up to 24575"):
        thumbnail_of(learned.data)
    assert thumbnail_of(encoded.data) != thumbnail_of(learned.data, learned)


def test_an_image_too_large_to_look_at_is_refused_before_decoding():
    image = codec.encode([np.zeros((4, 513, 513), np.float32)], "custom")[0]
    with pytest.raises(codec.SdcLimitError):
        draw_thumbnail(image)


def test_a_small_decode_is_the_image_made_smaller(photograph):
    latent = tiny_vae.encode_pixels(photograph)
    whole = tiny_vae.decode_latent(latent)
    for scale in (4, 2):
        small = tiny_vae.decode_latent(latent, scale)
        height, width = (side * scale // 8 for side in whole.shape[:2])
        assert small.shape == (height, width, 3)
        wanted = whole.reshape(height, 8 // scale, width, 8 // scale, 3).mean((1, 3))
        assert metrics.psnr(wanted.round().astype(np.uint8), small) > 26
