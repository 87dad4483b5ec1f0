"""Bytes of prompts and workflows inside a file, of the graphs in images made with ComfyUI.

The images are PNG files as Save Image writes them. Sizes are those of whole sections.
"""

import json
from pathlib import Path

from PIL import Image
from sdc_pack.codec import metadata

from dev.environment import SetupError

from .harness.tables import Table, mean

NEEDS_IMAGES = True
SECTION = 4  # bytes of a tag and a length
COLUMNS = ("letters", "settings", "workflow", "whole")


def add_arguments(parser):
    pass


def run(options, measurements) -> list[Table]:
    from sdc_pack.nodes.metadata.prompt_graph import find_generation

    for path in png_files(options.images):
        with Image.open(path) as image:
            graph, workflow = image.info.get("prompt"), image.info.get("workflow")
        if graph and workflow:
            graph = json.loads(graph)
            settings = find_generation(graph, saver(graph)).values
            measurements.get({"image": path.stem}, lambda s=settings, w=workflow: sizes(s, w))
    if not measurements.rows:
        raise SetupError("None of these images is a PNG file that holds a prompt and a workflow.")
    return report(measurements.rows)


def png_files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.png")) if path.is_dir() else [path])]


def saver(graph: dict) -> str:
    """The node that wrote the image."""
    return next((key for key, node in graph.items() if node["class_type"].startswith("SaveImage")), "")


def sizes(settings: dict, workflow: str) -> dict:
    letters = sum(len(settings.get(key, "")) for key in ("prompt", "negative"))
    row = {"letters": letters, "workflow": len(workflow.encode())}
    for name, stored in (("settings", settings), ("whole", {"workflow": json.loads(workflow)})):
        row[name] = sum(SECTION + len(payload) for payload in metadata.to_sections(stored).values())
    return row


def report(rows: list[dict]) -> list[Table]:
    means = {key: mean([row["value"][key] for row in rows]) for key in COLUMNS}
    lines = [[row["key"]["image"], *cells(row["value"])] for row in rows] + [["mean", *cells(means)]]
    header = ["", "letters of prompts", "prompt and settings", "JSON of the workflow", "workflow", "share"]
    return [Table("Bytes of metadata", header, lines)]


def cells(value: dict) -> list[str]:
    return [*(f"{value[key]:.0f}" for key in COLUMNS), f"{100 * value['whole'] / value['workflow']:.1f} %"]
