"""A real Chromium at a real ComfyUI. Screenshots go to out/browser/ (SDC_SCREENSHOTS names another folder)."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import psutil
import pytest
import sdc_pack.codec as codec
from playwright.sync_api import sync_playwright

from dev import browser
from dev.server import Server

from .comfy_page import ComfyPage

ROOT = Path(__file__).parents[2]
MODELS = Path(os.environ["SDC_MODELS"])
RANDOM_MODELS = {
    "checkpoint": min(path.name for path in (MODELS / "checkpoints").glob("sdc-standin*.ckpt")),
    "controlnet": "sdc-standin-canny.safetensors",
}
SCREENSHOTS = Path(os.environ.get("SDC_SCREENSHOTS") or ROOT / "out" / "browser")
WORKFLOW = {"version": 0.4, "nodes": [], "links": [], "groups": [], "config": {}, "extra": {"made_by": "test"}}


def skip_introduction(server: Server):
    settings = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False}
    server.client.request("/settings", json.dumps(settings).encode())


@pytest.fixture(scope="session")
def chromium():
    path = browser.find_or_install()
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        yield playwright.chromium.launch(executable_path=path, args=options)


@pytest.fixture(scope="session")
def session_page(server, chromium):
    """One page for all tests: loading the front end takes longer than most of them."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for old in SCREENSHOTS.glob("*.*"):  # another process of this run may be at this too, or fill it already
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < psutil.Process().create_time():
                old.unlink()
    skip_introduction(server)
    page = ComfyPage(chromium.new_page(viewport={"width": 1600, "height": 900}), server, SCREENSHOTS)
    page.open()
    return page


@pytest.fixture(params=["canvas", "vue"])
def page(session_page, request):
    """An empty graph in the classic canvas and in the Vue node renderer."""
    yield from fresh(session_page, request.param, request.node.name)


@pytest.fixture
def canvas_page(session_page, request):
    """An empty graph in the classic canvas alone, for what has nothing to do with how nodes are drawn."""
    yield from fresh(session_page, "canvas", request.node.name)


@pytest.fixture
def vue_page(session_page, request):
    """An empty graph in the Vue node renderer alone."""
    yield from fresh(session_page, "vue", request.node.name)


def fresh(page: ComfyPage, renderer: str, name: str):
    page.use_renderer(renderer)
    page.clear()
    page.problems.clear()
    yield page
    page.shoot(name)
    assert not page.problems


@pytest.fixture
def sdc_file(tmp_path):
    """Write a .sdc file of 96x64 pixels and return its path."""

    def write(name: str, **metadata) -> Path:
        y, x = np.mgrid[0:8, 0:12]
        latent = np.stack([np.sin(x / 3 + k) + np.cos(y / 2 - k) for k in range(4)]).astype(np.float32) * 6
        path = tmp_path / name
        path.write_bytes(codec.encode([latent], "custom", metadata=metadata or None)[0].data)
        return path

    return write
