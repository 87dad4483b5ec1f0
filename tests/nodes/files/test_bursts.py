"""Many questions at once, as a page with a large folder or a stranger in the network asks them."""

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import sdc_pack.codec as codec
from aiohttp import StreamReader, web
from aiohttp.test_utils import TestClient, TestServer
from sdc_pack.nodes.files import routes

QUESTIONS = 200


def ask_all(*requests):
    """(status, headers, body) of each request, all sent at once."""

    async def talk():
        app, table = web.Application(), web.RouteTableDef()
        routes.add_routes(table)
        app.add_routes(table)
        async with TestClient(TestServer(app)) as client:

            async def ask(method, path, options):
                async with client.request(method, path, **options) as response:
                    return response.status, response.headers, await response.read()

            return await asyncio.gather(*(ask(*request) for request in requests))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(talk())).result()


@pytest.fixture
def file(comfyui_folders):
    latent = np.random.default_rng(0).normal(size=(4, 64, 64)).astype(np.float32)
    (comfyui_folders / "input" / "a.sdc").write_bytes(codec.encode([latent], "custom")[0].data)
    return "a.sdc"


@pytest.fixture
def at_once(monkeypatch):
    """How many thumbnails were being drawn side by side, for each that was."""
    counts, running, lock, thumbnail = [], [], threading.Lock(), routes.thumbnail

    def counting(image):
        with lock:
            running.append(None)
            counts.append(len(running))
        drawn = thumbnail(image)
        with lock:
            running.pop()
        return drawn

    monkeypatch.setattr(routes, "thumbnail", counting)
    return counts


def test_a_burst_is_answered_a_few_at_a_time_and_drawn_once(file, at_once, record_property):
    questions = [("GET", "/sdc/thumbnail", {"params": {"file": file}})] * QUESTIONS
    ask_all(*questions[:2])  # the autoencoder is loaded
    before = psutil.Process().memory_info().rss
    answers = ask_all(*questions)
    grown = psutil.Process().memory_info().rss - before
    print(f"{QUESTIONS} thumbnails at once: {grown / 1e6:.0f} MB more")
    assert {(status, body) for status, _, body in answers} == {(200, answers[0][2])}
    assert len(at_once) <= 2 + routes.AT_ONCE and max(at_once) <= routes.AT_ONCE
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
    answers = ask_all(*[("POST", "/sdc/inspect", {"data": bytes(codec.MAX_FILE_BYTES // 8)})] * 12)
    assert all(b"not an SDC file" in body for _, _, body in answers)
    assert len(most) == 12 and max(most) <= routes.AT_ONCE


def test_a_thumbnail_that_the_browser_has_is_not_sent_again(file, at_once, comfyui_folders):
    params = {"file": file}
    ((_, _, info),) = ask_all(("GET", "/sdc/info", {"params": params}))
    versioned = params | {"version": json.loads(info)["version"]}
    (status, headers, _), (_, kept, _) = ask_all(
        *(("GET", "/sdc/thumbnail", {"params": p}) for p in (params, versioned))
    )
    assert headers["Cache-Control"] == "no-cache" and "immutable" in kept["Cache-Control"]
    again = "GET", "/sdc/thumbnail", {"params": versioned, "headers": {"If-None-Match": headers["ETag"]}}
    drawn = len(at_once)
    ((repeated, _, body),) = ask_all(again)
    assert (status, repeated, body) == (200, 304, b"") and len(at_once) == drawn
    (comfyui_folders / "input" / file).write_bytes(codec.encode([np.ones((4, 8, 8), np.float32)], "custom")[0].data)
    ((changed, other, _),) = ask_all(again)
    assert changed == 200 and other["ETag"] != headers["ETag"] and other["Cache-Control"] == "no-cache"


def test_a_image_too_large_to_look_at_costs_its_header_only(comfyui_folders, at_once):
    huge = codec.encode([np.zeros((4, 2, 2), np.float32)], "custom", width=20000, height=20000)[0]
    (comfyui_folders / "input" / "huge.sdc").write_bytes(huge.data)
    ((status, _, body),) = ask_all(("GET", "/sdc/thumbnail", {"params": {"file": "huge.sdc"}}))
    assert status == 400 and b"huge.sdc" in body and b"400000000 pixels" in body and at_once == []


def test_the_small_models_are_written_by_one_at_a_time(comfyui_folders, monkeypatch):
    running, most = [], []

    def install(folder_of):
        running.append(None)
        most.append(len(running))
        os.stat(comfyui_folders)
        running.pop()
        return []

    monkeypatch.setattr(routes, "install_models", install)
    ask_all(*[("POST", "/sdc/tiny_models", {})] * 20)
    assert most == [1] * 20
