"""A real Chromium at a real ComfyUI. With SDC_SCREENSHOTS=FOLDER each test leaves a screenshot there.

Every test runs on ComfyUI's own front end. What a newer one may break runs on the newest as well, which SDC_FRONT_END
names, in a second server and page: `@pytest.mark.front_ends(*BOTH)`.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import sdc_pack.codec as codec
from playwright.sync_api import sync_playwright

from dev import browser
from dev.server import Server

from .comfy_page import ComfyPage

ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(os.environ["SDC_SCREENSHOTS"]) if "SDC_SCREENSHOTS" in os.environ else None
WORKFLOW = {"version": 0.4, "nodes": [], "links": [], "groups": [], "config": {}, "extra": {"made_by": "test"}}
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Workflow.ShowMissingModelsWarning": False,
    "Comfy.Validation.Workflows": True,  # what the front end's schema calls an error becomes a toast
    # Frames that nobody sees: they took most of the time of these tests.
    "LiteGraph.Canvas.MaximumFps": 10,
    "Comfy.Minimap.Visible": False,
}


OWN, NEWEST = BOTH = ("own", "newest") if "SDC_FRONT_END" in os.environ else ("own", "own")


def shipped(name: str) -> dict:
    """The workflow of a template."""
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def pytest_generate_tests(metafunc):
    if "front_end" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("front_ends")
        names = dict.fromkeys(marker.args if marker else [OWN])
        metafunc.parametrize("front_end", names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def front_end(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def server(request, front_end, make_server):
    """The server of all tests, or its like with the newest front end."""
    if front_end == "own":
        yield request.getfixturevalue("server")
        return
    with make_server(arguments=["--front-end-root", os.environ["SDC_FRONT_END"]]) as newest:
        yield newest


@pytest.fixture(scope="session")
def chromium():
    path = browser.find_or_install()
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        launched = playwright.chromium.launch(executable_path=path, args=options)
        yield launched.new_context(viewport={"width": 1600, "height": 1000}, reduced_motion="reduce")


def open_page(chromium, server: Server, **settings) -> ComfyPage:
    server.client.request("/settings", json.dumps(SETTINGS | settings).encode())
    page = ComfyPage(chromium.new_page(), server, SCREENSHOTS)
    page.open()
    return page


@pytest.fixture(scope="session")
def session_page(server, chromium):
    """One page for all tests: loading the front end takes longer than most of them."""
    if SCREENSHOTS:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = open_page(chromium, server)
    yield page
    page.page.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Close the page after the last test of a front end: while others go on, an open one would draw and poll."""
    result = yield
    if "session_page" in item.funcargs and nextitem and "front_end" not in nextitem.fixturenames:
        item.funcargs["session_page"].page.close()
    return result


@pytest.fixture(scope="module", params=["canvas", "vue"])
def renderer(request):
    """Of a module's scope, so that the page changes it once a module."""
    return request.param


@pytest.fixture
def page(session_page, renderer, request):
    """An empty graph in the classic canvas and in the Vue node renderer."""
    yield from fresh(session_page, renderer, request.node.name)


@pytest.fixture
def canvas_page(session_page, request):
    """An empty graph in the classic canvas alone, for what has nothing to do with how nodes are drawn."""
    yield from fresh(session_page, "canvas", request.node.name)


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

    def write(name: str, folder: Path = tmp_path, **metadata) -> Path:
        y, x = np.mgrid[0:8, 0:12]
        latent = np.stack([np.sin(x / 3 + k) + np.cos(y / 2 - k) for k in range(4)]).astype(np.float32) * 6
        path = folder / name
        path.write_bytes(codec.encode([latent], "custom", metadata=metadata or None)[0].data)
        return path

    return write


@pytest.fixture
def input_folder(server) -> Path:
    return server.base / "input"
