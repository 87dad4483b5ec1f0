"""The routes under /sdc/: what the page learns of a file before a run, and many requests at once."""

import asyncio
import hashlib
import io
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import sdc_pack.codec as codec
from aiohttp import StreamReader, web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image
from sdc_pack.nodes.previews import thumbnail
from sdc_pack.nodes.server import routes

NUM_REQUESTS = 200


def get(path, headers=None, **query):
    return "GET", path, {"params": query, "headers": headers}


def post(path, data=b""):
    return "POST", path, {"data": data}


def ask(*requests):
    """(status, headers, body) of each request, all sent at once; the body parsed where it is JSON."""

    async def talk(client):
        async def answer(method, path, options):
            async with client.request(method, path, **options) as response:
                body = await response.read()
                is_json = response.content_type == "application/json"
                return response.status, response.headers, json.loads(body) if is_json else body

        return await asyncio.gather(*(answer(*request) for request in requests))

    return with_client(talk)


def with_client(talk):
    """What the coroutine function `talk` returns, given a client of a server with the routes."""

    async def serve():
        app, table = web.Application(), web.RouteTableDef()
        routes.add_routes(table)
        app.add_routes(table)
        async with TestClient(TestServer(app)) as client:
            return await talk(client)

    # In a thread of its own: Playwright, once started, keeps a loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(serve())).result()


def encoded(**metadata):
    latent = np.random.default_rng(3).normal(size=(4, 8, 12)).astype(np.float32)
    return codec.encode([latent], "custom", metadata=metadata or None)[0]


def test_info_and_thumbnail_of_a_file(comfyui_folders):
    image = encoded(prompt="a fox", workflow={"nodes": []})
    (comfyui_folders / "output" / "SDC").mkdir()
    path = comfyui_folders / "output" / "SDC" / "a.sdc"
    path.write_bytes(image.data)
    name = "SDC/a.sdc [output]"
    info, by_path, shown = ask(
        get("/sdc/info", file=name),
        get("/sdc/info", file=str(path)),
        get("/sdc/thumbnail", file=name),
    )
    assert info[2] == by_path[2] and info[0] == by_path[0] == 200
    expected = {
        "file": name,
        "version": hashlib.sha256(image.data).hexdigest()[:32],
        "images": 1,
        "bytes": image.num_bytes,
        "bits_per_pixel": image.bits_per_pixel,
        "width": 96,
        "height": 64,
        "latent_format": "SD1.x",
        "coder": image.coder,
        "has_prompt": True,
        "has_workflow": True,
        "has_settings": False,
        "model": "",
    }
    lines = info[2].pop("lines")
    assert info[2] == expected
    assert lines[0] == f"96x64 in {image.num_bytes} bytes · {image.colors} colors"
    assert lines[1].endswith("prompt and workflow included") and "fox" not in "".join(lines)
    assert shown[1]["Content-Type"] == "image/jpeg" and Image.open(io.BytesIO(shown[2])).size == (96, 64)


def test_of_several_images_the_page_is_told_of_all_and_shown_the_first(comfyui_folders):
    first, *others = [encoded(prompt="a fox") for _ in range(3)]
    data = codec.join_images([first, *others])
    (comfyui_folders / "input" / "film.sdc").write_bytes(data)
    (comfyui_folders / "input" / "one.sdc").write_bytes(first.data)
    info, inspected, shown, alone = ask(
        get("/sdc/info", file="film.sdc"),
        post("/sdc/inspect", data),
        get("/sdc/thumbnail", file="film.sdc"),
        get("/sdc/thumbnail", file="one.sdc"),
    )
    assert {key: info[2][key] for key in ("images", "bytes", "width", "height")} == {
        "images": 3, "bytes": len(data), "width": 96, "height": 64,
    }  # fmt: skip
    assert info[2]["bits_per_pixel"] == 8 * len(data) / (3 * 96 * 64)
    assert info[2]["lines"] == inspected[2]["lines"] and info[2]["lines"][0].startswith("3 images, 96x64, ")
    assert shown[2] == alone[2] and shown[0] == 200


def test_inspect_tells_the_workflow_and_keeps_nothing(comfyui_folders):
    workflow = {"nodes": [], "links": []}
    (answer,) = ask(post("/sdc/inspect", encoded(workflow=workflow).data))
    assert answer[0] == 200 and answer[2]["workflow"] == workflow
    assert not [path for path in comfyui_folders.rglob("*") if path.is_file()]


def test_what_is_no_file_is_refused_with_a_reason(comfyui_folders, tmp_path):
    (comfyui_folders / "input" / "cut.sdc").write_bytes(encoded().data[:-3])
    outside = tmp_path / "outside.sdc"
    outside.write_bytes(encoded().data)
    answers = ask(
        get("/sdc/info", file="cut.sdc"),
        get("/sdc/thumbnail", file="cut.sdc"),
        get("/sdc/info", file="../outside.sdc"),
        get("/sdc/info", file=str(outside)),
        get("/sdc/thumbnail", file=str(outside)),
        get("/sdc/info"),
        post("/sdc/inspect", b"\xd0\xcf\x11\xe0 a spreadsheet"),
        post("/sdc/inspect", b""),
        post("/sdc/inspect", bytes(codec.MAX_FILE_BYTES + 1)),
    )
    reasons = ["cut.sdc.*incomplete"] * 2 + ["outside ComfyUI's folders"] * 3
    reasons += ["folder", "StarOffice Calc", "bytes", "larger than 33554432 bytes"]
    statuses = [200, 400, 200, 200, 400, 200, 200, 200, 200]
    for (status, _, body), reason, expected in zip(answers, reasons, statuses, strict=True):
        assert status == expected and re.search(reason, body["error"]), body


def test_the_viewer_is_a_page_of_its_own_that_may_ask_for_nothing(comfyui_folders):
    (comfyui_folders / "input" / "a<b>.sdc").write_bytes(encoded(prompt="a fox").data)
    (status, headers, page), missing = ask(get("/sdc/viewer", file="a<b>.sdc"), get("/sdc/viewer", file="no.sdc"))
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<title>a&lt;b&gt;.sdc - SDC viewer</title>" in page and b"a<b>" not in page
    rules = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "sandbox allow-scripts allow-downloads", "form-action 'none'"} <= {*rules}
    assert not any("unsafe-inline" in rule or "'unsafe-eval'" in rule or "connect-src" in rule for rule in rules)
    assert missing[0] == 400 and "not in ComfyUI's input or output folder" in missing[2]["error"]


@pytest.fixture
def file(comfyui_folders):
    latent = np.random.default_rng(0).normal(size=(4, 32, 32)).astype(np.float32)
    (comfyui_folders / "input" / "a.sdc").write_bytes(codec.encode([latent], "custom")[0].data)
    return "a.sdc"


@pytest.fixture
def at_once(monkeypatch):
    """How many thumbnails were being drawn side by side, for each that was."""
    counts, running, lock, draw = [], [], threading.Lock(), thumbnail.draw_thumbnail

    def counting(image):
        with lock:
            running.append(None)
            counts.append(len(running))
        drawn = draw(image)
        with lock:
            running.pop()
        return drawn

    monkeypatch.setattr(thumbnail, "draw_thumbnail", counting)
    monkeypatch.setattr(thumbnail, "known", {})
    return counts


def test_a_burst_is_answered_a_few_at_a_time_and_drawn_once(file, at_once):
    requests = [get("/sdc/thumbnail", file=file)] * NUM_REQUESTS
    ask(*requests[:2])  # the autoencoder is loaded
    before = psutil.Process().memory_info().rss
    answers = ask(*requests)
    grown = psutil.Process().memory_info().rss - before
    print(f"{NUM_REQUESTS} thumbnails at once: {grown / 1e6:.0f} MB more")
    assert {(status, body) for status, _, body in answers} == {(200, answers[0][2])}
    assert len(at_once) <= 2 + routes.MAX_AT_ONCE and max(at_once) <= routes.MAX_AT_ONCE
    assert grown < 150e6


def test_large_uploads_wait_outside_of_memory(comfyui_folders, monkeypatch):
    reading, most, iter_chunked = [], [], StreamReader.iter_chunked

    async def counting(stream, size):
        reading.append(None)
        most.append(len(reading))
        async for chunk in iter_chunked(stream, size):
            yield chunk
        reading.pop()

    monkeypatch.setattr(StreamReader, "iter_chunked", counting)
    answers = ask(*[post("/sdc/inspect", bytes(codec.MAX_FILE_BYTES // 8))] * 12)
    assert all("not an SDC file" in body["error"] for _, _, body in answers)
    assert len(most) == 12 and max(most) <= routes.MAX_UPLOADS


def stalled_uploads(client, count: int, end: asyncio.Event) -> list:
    """Uploads that send one byte, and no more before the end."""

    async def dribble():
        yield b"\x93"
        await end.wait()

    return [asyncio.ensure_future(client.post("/sdc/inspect", data=dribble())) for _ in range(count)]


def test_uploads_that_stall_keep_nobody_else_from_the_routes(file):
    """As many as there is room for."""

    async def talk(client):
        end = asyncio.Event()
        waiting = stalled_uploads(client, routes.MAX_UPLOADS, end)
        await asyncio.sleep(0.2)  # all of them are being received
        async with client.get("/sdc/info", params={"file": file}) as response:
            info = await response.json()
        assert not any(upload.done() for upload in waiting)
        end.set()
        return info, [await (await upload).json() for upload in waiting]

    info, ended = with_client(talk)
    assert info["width"] == 256 and all("the file has 1 bytes" in answer["error"] for answer in ended)


def test_an_upload_that_stalls_ends_and_makes_room(comfyui_folders, monkeypatch):
    """One more than there is room for, and one that is sent whole after them."""

    async def talk(client):
        end = asyncio.Event()
        with monkeypatch.context() as patched:
            patched.setattr(routes, "MAX_UPLOAD_TIME", 0.2)
            waiting = stalled_uploads(client, routes.MAX_UPLOADS + 1, end)
            ended = [await (await upload).json() for upload in waiting]
        async with client.post("/sdc/inspect", data=encoded().data) as response:
            inspected = await response.json()
        end.set()
        return inspected, [answer["error"] for answer in ended]

    inspected, ended = with_client(talk)
    assert inspected["width"] == 96
    assert ended == ["The upload took more than 0.2 seconds. Try again."] * (routes.MAX_UPLOADS + 1)


def test_an_upload_that_says_it_is_too_large_is_not_received(comfyui_folders, monkeypatch):
    monkeypatch.setattr(routes, "receive", None)  # a look at it would fail
    ((status, _, body),) = ask(post("/sdc/inspect", bytes(codec.MAX_FILE_BYTES + 1)))
    assert status == 200 and "larger than 33554432 bytes" in body["error"]


def test_a_thumbnail_that_the_browser_has_is_not_sent_again(file, at_once, comfyui_folders):
    ((_, _, info),) = ask(get("/sdc/info", file=file))
    version = info["version"]
    (status, headers, _), (_, kept, _) = ask(
        get("/sdc/thumbnail", file=file), get("/sdc/thumbnail", file=file, version=version)
    )
    assert headers["Cache-Control"] == "no-cache" and "immutable" in kept["Cache-Control"]
    again = get("/sdc/thumbnail", {"If-None-Match": headers["ETag"]}, file=file, version=version)
    drawn = len(at_once)
    ((repeated, _, body),) = ask(again)
    assert (status, repeated, body) == (200, 304, b"") and len(at_once) == drawn
    (comfyui_folders / "input" / file).write_bytes(codec.encode([np.ones((4, 8, 8), np.float32)], "custom")[0].data)
    ((changed, other, _),) = ask(again)
    assert changed == 200 and other["ETag"] != headers["ETag"] and other["Cache-Control"] == "no-cache"


def test_an_image_too_large_for_a_thumbnail_costs_its_header_only(comfyui_folders, at_once):
    huge = codec.encode([np.zeros((4, 2, 2), np.float32)], "custom", width=20000, height=20000)[0]
    (comfyui_folders / "input" / "huge.sdc").write_bytes(huge.data)
    ((status, _, body),) = ask(get("/sdc/thumbnail", file="huge.sdc"))
    assert status == 400 and at_once == []
    assert "huge.sdc" in body["error"] and "400000000 pixels" in body["error"]


def test_the_small_models_are_written_by_one_at_a_time(comfyui_folders, monkeypatch):
    running, most = [], []

    def install(folder_of):
        running.append(None)
        most.append(len(running))
        os.stat(comfyui_folders)
        running.pop()
        return []

    monkeypatch.setattr(routes, "install_models", install)
    ask(*[post("/sdc/tiny_models")] * 20)
    assert most == [1] * 20
