"""ComfyUI with the small models and a page of it, for what is made in a real page."""

import contextlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from .. import browser
from ..environment import say
from ..server import Server
from .board import REPO, Board
from .sketch import IMAGE, SAMPLE_FOLDER

WINDOW = {"width": 1600, "height": 1000}
PATIENCE = 240_000  # ms: the machine may be busy


@contextlib.contextmanager
def open_board(settings: dict, models: Path):
    """(Board, Server); the sample image is in the input folder and a folder there, and all is gone afterwards."""
    path = browser.find_or_install()
    with tempfile.TemporaryDirectory(prefix="sdc-templates-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        for place in (base / "input", base / "input" / SAMPLE_FOLDER):
            place.mkdir()
            shutil.copy(REPO / "web" / "sample" / IMAGE, place)
        say("Starting ComfyUI")
        with (
            Server(Path(settings["comfyui"]), Path(sys.executable), pack=REPO, models=[models], base=base) as server,
            sync_playwright() as playwright,
        ):
            server.client.request("/settings", json.dumps({"Comfy.TutorialCompleted": True}).encode())
            chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            page = chromium.new_page(viewport=WINDOW)
            page.set_default_timeout(PATIENCE)
            yield Board(page, server.url), server
