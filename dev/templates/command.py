"""Builds the shipped workflows anew in a real page: `python run.py templates [NAME ...]`."""

import json
from pathlib import Path

from ..environment import say
from . import families, many, paper, simple
from .board import REPO, SMALL
from .session import open_board

SKETCHES = [*simple.SKETCHES, *many.SKETCHES, *families.SKETCHES, *paper.SKETCHES]


def main(names: list[str], settings: dict, models: Path) -> int:
    """Write workflows/NAME.json and workflows/api/NAME.json, and an image of each after a run to out/templates."""
    images = REPO / "out" / "templates"
    images.mkdir(parents=True, exist_ok=True)
    sketches = [sketch for sketch in (make() for make in SKETCHES) if not names or sketch.name in names]
    with open_board(settings, models) as (board, _):
        for sketch in sketches:
            workflow, prompt = board.make(sketch, SMALL)
            write(REPO / "workflows" / f"{sketch.name}.json", workflow)
            write(REPO / "workflows" / "api" / f"{sketch.name}.json", prompt)
            board.run(SMALL)
            board.shoot(images / f"{sketch.name}.png")
            say(sketch.name)
    return 0


def write(path: Path, content: dict):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
