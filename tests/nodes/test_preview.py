"""What the page learns of a file before a run: thumbnail, lines, and the routes that bring them."""

import asyncio
import hashlib
import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.comparison import metrics
from sdc_pack.nodes.files.listing import name_in_list
from sdc_pack.nodes.latents.formats import COMFY_CLASSES
from sdc_pack.nodes.previews.thumbnail import thumbnail
from sdc_pack.nodes.server.routes import add_routes
from sdc_pack.nodes.sockets.sdc import about_lines


def encoded(latent_format="SD1.x", height=8, width=12, **metadata):
    channels = codec.by_name(latent_format).channels
    latent = np.random.default_rng(3).normal(size=(channels, height, width)).astype(np.float32)
    return codec.encode([latent], "custom", latent_format=latent_format, metadata=metadata or None)[0]


def ask(*requests):
    """Answers of the routes to ("GET", path, query) or ("POST", path, body): (status, type, content)."""

    async def talk():
        app, routes = web.Application(), web.RouteTableDef()
        add_routes(routes)
        app.add_routes(routes)
        answers = []
        async with TestClient(TestServer(app)) as client:
            for method, path, content in requests:
                options = {"params": content} if method == "GET" else {"data": content}
                async with client.request(method, path, **options) as response:
                    body = await (response.json() if response.content_type == "application/json" else response.read())
                    answers.append((response.status, response.content_type, body))
        return answers

    # In a thread of its own: Playwright, once started, keeps a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(talk())).result()


@pytest.mark.parametrize("latent_format", [space.name for space in codec.LATENT_FORMATS])
def test_every_family_has_a_thumbnail_in_the_shape_of_the_image(latent_format):
    image = thumbnail(encoded(latent_format))
    assert (image.size, image.mode) == ((96, 64), "RGB")
    assert np.asarray(image).std() > 5
    assert COMFY_CLASSES.keys() == {space.name for space in codec.LATENT_FORMATS}


def test_only_thumbnails_in_rough_colors_say_so():
    assert not [line for line in about_lines(encoded()) if "rough" in line]
    (line,) = (line for line in about_lines(encoded("Flux")) if "rough" in line)
    assert "Flux" in line


def test_thumbnail_is_as_wide_as_the_image_and_at_most_256():
    assert thumbnail(encoded(height=8, width=64)).size == (256, 32)


@pytest.mark.parametrize("rows, columns", [(384, 384), (341, 512)])
def test_thumbnail_shows_the_photograph(rows, columns):
    """Also of sides that are no multiples of 8, and of latents so large that they are averaged."""
    pixels = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((2 * columns, 2 * rows)))[::2, ::2]
    for factor in (1, 2):
        original = np.ascontiguousarray(pixels.repeat(factor, 0).repeat(factor, 1))
        latent = tiny_vae.encode_pixels(original)
        shown = thumbnail(
            codec.encode(
                [latent], "custom", colors=1024, dither="none", width=original.shape[1], height=original.shape[0]
            )[0]
        )
        expected = Image.fromarray(original).resize(shown.size, Image.Resampling.LANCZOS)
        assert shown.size == (256, round(256 * rows / columns))
        assert metrics.psnr(np.asarray(expected), np.asarray(shown)) > 20


def test_rough_colors_tell_bright_from_dark():
    """Along the direction of the latent that ComfyUI's own table calls brightest."""
    factors = np.asarray(COMFY_CLASSES["SDXL"]().latent_rgb_factors)
    direction = factors.sum(1) / 0.13025 / np.square(factors.sum(1)).sum()
    latent = np.zeros((4, 8, 8), np.float32)
    latent[:, :, :4], latent[:, :, 4:] = -direction[:, None, None], direction[:, None, None]
    pixels = np.asarray(thumbnail(codec.encode([latent], "custom", colors=2, latent_format="SDXL")[0]), float)
    assert pixels[:, :24].mean() < 100 < 155 < pixels[:, 40:].mean()


def test_a_image_too_large_to_look_at_is_refused_before_decoding():
    image = codec.encode([np.zeros((4, 513, 513), np.float32)], "custom")[0]
    with pytest.raises(codec.SdcLimitError):
        thumbnail(image)


def test_info_and_thumbnail_of_a_file(comfyui_folders):
    image = encoded(prompt="a fox", workflow={"nodes": []})
    (comfyui_folders / "output" / "SDC").mkdir()
    path = comfyui_folders / "output" / "SDC" / "a.sdc"
    path.write_bytes(image.data)
    name = "SDC/a.sdc [output]"
    info, by_path, shown = ask(
        ("GET", "/sdc/info", {"file": name}),
        ("GET", "/sdc/info", {"file": str(path)}),
        ("GET", "/sdc/thumbnail", {"file": name}),
    )
    assert info == by_path and info[0] == 200
    expected = {
        "file": name,
        "version": hashlib.sha256(image.data).hexdigest()[:32],
        "images": 1,
        "bytes": image.size,
        "bits_per_pixel": image.bits_per_pixel,
        "width": 96,
        "height": 64,
        "latent_format": "SD1.x",
        "coder": image.coder,
        "has_prompt": True,
        "has_workflow": True,
    }
    lines = info[2].pop("lines")
    assert info[2] == expected
    assert lines[0] == f"96x64 in {image.size} bytes, {image.colors} colors"
    assert lines[1].endswith("prompt and workflow inside") and "fox" not in "".join(lines)
    assert shown[:2] == (200, "image/jpeg") and Image.open(io.BytesIO(shown[2])).size == (96, 64)


def test_of_several_images_the_page_is_told_of_all_and_shown_the_first(comfyui_folders):
    first, *others = [encoded(prompt="a fox") for _ in range(3)]
    data = codec.join_images([first, *others])
    (comfyui_folders / "input" / "film.sdc").write_bytes(data)
    (comfyui_folders / "input" / "one.sdc").write_bytes(first.data)
    info, inspected, shown, alone = ask(
        ("GET", "/sdc/info", {"file": "film.sdc"}),
        ("POST", "/sdc/inspect", data),
        ("GET", "/sdc/thumbnail", {"file": "film.sdc"}),
        ("GET", "/sdc/thumbnail", {"file": "one.sdc"}),
    )
    assert {key: info[2][key] for key in ("images", "bytes", "width", "height")} == {
        "images": 3, "bytes": len(data), "width": 96, "height": 64,
    }  # fmt: skip
    assert info[2]["bits_per_pixel"] == 8 * len(data) / (3 * 96 * 64)
    assert info[2]["lines"] == inspected[2]["lines"] and info[2]["lines"][0].startswith("3 images, 96x64, ")
    assert shown == alone and shown[:2] == (200, "image/jpeg")


def test_inspect_tells_the_workflow_and_keeps_nothing(comfyui_folders):
    workflow = {"nodes": [], "links": []}
    (answer,) = ask(("POST", "/sdc/inspect", encoded(workflow=workflow).data))
    assert answer[0] == 200 and answer[2]["workflow"] == workflow
    assert not [path for path in comfyui_folders.rglob("*") if path.is_file()]


def test_what_is_no_file_is_refused_with_a_reason(comfyui_folders, tmp_path):
    (comfyui_folders / "input" / "cut.sdc").write_bytes(encoded().data[:-3])
    outside = tmp_path / "outside.sdc"
    outside.write_bytes(encoded().data)
    answers = ask(
        ("GET", "/sdc/info", {"file": "cut.sdc"}),
        ("GET", "/sdc/thumbnail", {"file": "cut.sdc"}),
        ("GET", "/sdc/info", {"file": "../outside.sdc"}),
        ("GET", "/sdc/info", {"file": str(outside)}),
        ("GET", "/sdc/thumbnail", {"file": str(outside)}),
        ("GET", "/sdc/info", {}),
        ("POST", "/sdc/inspect", b"\xd0\xcf\x11\xe0 a spreadsheet"),
        ("POST", "/sdc/inspect", b""),
        ("POST", "/sdc/inspect", bytes(codec.MAX_FILE_BYTES + 1)),
    )
    reasons = ["cut.sdc.*cut short"] * 2 + ["outside ComfyUI's folders"] * 3
    reasons += ["folder", "StarOffice Calc", "bytes", "more than 33554432 bytes"]
    statuses = [200, 400, 200, 200, 400, 200, 200, 200, 200]
    for (status, _, body), reason, expected in zip(answers, reasons, statuses, strict=True):
        assert status == expected and re.search(reason, body["error"]), body


def test_only_paths_in_comfyuis_folders_have_a_name(comfyui_folders):
    assert name_in_list("b.sdc [output]") == "b.sdc [output]"
    assert name_in_list(str(comfyui_folders / "input" / "a" / "b.sdc")) == "a/b.sdc"
    with pytest.raises(ValueError, match="choose .sdc to upload"):
        name_in_list(str(comfyui_folders / "elsewhere.sdc"))
