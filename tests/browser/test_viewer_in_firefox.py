"""The viewer in a real Firefox, started once: the same bits, and the same image, as in Chromium and in Python."""

import base64
import json

import numpy as np
import pytest
import sdc_pack.codec as codec
from sdc_pack.codec import viewer

from . import firefox
from .test_viewer import GOLDEN, READ, assert_same_image, by_codec, read_by_codec

SHOWN = """new Promise((resolve, reject) => {
    const look = () => {
        const [status, alert] = ['status', 'error'].map((id) => document.getElementById(id))
        if (!alert.hidden) return reject(new Error(alert.textContent))
        if (!status.textContent.startsWith('Decoded in')) return setTimeout(look, 50)
        const { width, height } = document.getElementById('image')
        const { data } = document.getElementById('image').getContext('2d').getImageData(0, 0, width, height)
        resolve([width, height, [...data], status.textContent, document.getElementById('prompt').textContent])
    }
    look()
})"""
PROMPT = "<b>a fox</b>"


@pytest.fixture(scope="module")
def image():
    """More than one tile for two threads; only the first image that a browser draws is worth its time here."""
    y, x = np.mgrid[0:5, 0:66]
    latent = np.stack([6 * np.sin(x / 5 + k) + 5 * np.cos(y / 3 - k) for k in range(4)]).astype(np.float32)
    return codec.encode([latent], quality=50, width=525, height=35, metadata={"prompt": PROMPT})[0]


@pytest.fixture(scope="module")
def found(image, tmp_path_factory):
    """What Firefox says: what the page reads of each golden file, and what it shows of an image."""
    folder = tmp_path_factory.mktemp("firefox")
    files = [base64.b64encode(path.read_bytes()).decode() for path in GOLDEN]
    data = json.dumps({"packed": viewer.packed(complete=True), "files": files}).replace("<", "\\u003c")
    (folder / "read.html").write_text(
        f"<!doctype html><meta charset=utf-8><script>{viewer.worker_script()}</script>"
        f"<script>const data = {data}; resources = new Resources(data.packed); const read = {READ}</script>",
        encoding="utf-8",
    )
    (folder / "fox.html").write_bytes(viewer.build_page("fox.sdc", image.data))
    read, shown = firefox.evaluate(
        [(folder / "read.html", "data.files.map((file) => read([file, 1e9]))"), (folder / "fox.html", SHOWN)]
    )
    return dict(zip(GOLDEN, read, strict=True)), shown


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_latents_of_golden_files_are_those_of_the_codec(found, path):
    error, images = found[0][path]
    latents = [(base64.b64decode(latent), json.loads(text)) for latent, text in images]
    assert (error, latents) == read_by_codec(path.read_bytes())


def test_the_page_shows_the_image(found, image):
    width, height, pixels, status, prompt = found[1]
    assert_same_image(np.array(pixels, np.uint8).reshape(height, width, 4)[..., :3], by_codec(image))
    assert "WebAssembly" in status and prompt == PROMPT
