"""Builds the shipped workflows anew in a real page: `python run.py templates [NAME ...]`."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from .. import browser
from ..environment import say
from ..server import Server
from . import families, many, paper, simple
from .board import REPO, SMALL, Board
from .sketch import PICTURE, SAMPLE_FOLDER

SKETCHES = [*simple.SKETCHES, *many.SKETCHES, *families.SKETCHES, *paper.SKETCHES]
WINDOW = {"width": 1600, "height": 1000}


def main(names: list[str], settings: dict, models: Path) -> int:
    """Write workflows/NAME.json and workflows/api/NAME.json, and a picture of each after a run to out/templates."""
    pictures = REPO / "out" / "templates"
    pictures.mkdir(parents=True, exist_ok=True)
    sketches = [sketch for sketch in (make() for make in SKETCHES) if not names or sketch.name in names]
    with tempfile.TemporaryDirectory(prefix="sdc-templates-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        for place in (base / "input", base / "input" / SAMPLE_FOLDER):
            place.mkdir()
            shutil.copy(REPO / "web" / "sample" / PICTURE, place)
        say("Starting ComfyUI")
        with (
            Server(Path(settings["comfyui"]), Path(sys.executable), pack=REPO, models=[models], base=base) as server,
            sync_playwright() as playwright,
        ):
            server.client.request("/settings", json.dumps({"Comfy.TutorialCompleted": True}).encode())
            path = browser.find_or_install(playwright)
            chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            board = Board(chromium.new_page(viewport=WINDOW), server.url)
            for sketch in sketches:
                workflow, prompt = board.make(sketch, SMALL)
                write(REPO / "workflows" / f"{sketch.name}.json", workflow)
                write(REPO / "workflows" / "api" / f"{sketch.name}.json", prompt)
                board.run(SMALL)
                board.shoot(pictures / f"{sketch.name}.png")
                say(sketch.name)
    return 0


def write(path: Path, content: dict):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
