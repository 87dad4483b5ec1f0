"""Bytes of prompts and workflows inside a file, of real graphs in images made with ComfyUI.

The images are PNG files as Save Image writes them. Sizes are those of whole sections, tag and length included; beside
them stand the texts as the PNG has them, and what zstd makes of them alone at its highest level.
"""

import json
from pathlib import Path

import zstandard
from PIL import Image
from sdc_pack import codec
from sdc_pack.codec import metadata

from dev.environment import SetupError
from dev.tables import Table, mean

NEEDS_IMAGES = True
SECTION = 4  # bytes of a tag and a length


def add_arguments(parser):
    pass


def run(options, results):
    from sdc_pack.nodes.metadata.prompt_graph import find_generation

    for path in png_files(options.images):
        with Image.open(path) as image:
            graph, workflow = image.info.get("prompt"), image.info.get("workflow")
        if graph and workflow:
            settings = find_generation(json.loads(graph), saver(json.loads(graph)))
            results.get({"image": path.stem}, lambda s=settings, w=workflow: sizes(s, w))
    if not results.rows:
        raise SetupError("None of these images is a PNG file that holds a prompt and a workflow.")


def png_files(paths: list[Path]) -> list[Path]:
    return [file for path in paths for file in (sorted(path.glob("*.png")) if path.is_dir() else [path])]


def saver(graph: dict) -> str:
    """The node that wrote the image."""
    return next((key for key, node in graph.items() if node["class_type"].startswith("SaveImage")), "")


def sizes(settings: dict, workflow: str) -> dict:
    row = {"letters": prompts_of(settings), "workflow": len(workflow.encode())}
    for name, described in (("settings", settings), ("whole", {"workflow": json.loads(workflow)})):
        sections = metadata.to_sections(described)
        assert metadata.from_sections(sections) == described
        alone = zstandard.ZstdCompressor(level=22).compress(codec.check_metadata(described))
        row[f"{name}, zstd"] = SECTION + len(alone)
        row[name] = sum(SECTION + len(payload) for payload in sections.values())
    return row


def prompts_of(settings: dict) -> int:
    return sum(len(settings.get(key, "")) for key in ("prompt", "negative"))


def report(rows: list[dict]) -> list[Table]:
    header = ["", "letters of prompts", "settings, zstd -22", "stored", "workflow", "zstd -22", "stored", "share"]
    table = Table("Bytes of metadata", header, [[row["key"]["image"], *cells(row["value"])] for row in rows])
    if rows:
        means = {key: mean([row["value"][key] for row in rows]) for key in rows[0]["value"]}
        table.rows.append(["mean", *cells(means)])
    return [table]


def cells(value: dict) -> list[str]:
    keys = ("letters", "settings, zstd", "settings", "workflow", "whole, zstd", "whole")
    return [*(f"{value[key]:.0f}" for key in keys), f"{100 * value['whole'] / value['workflow']:.1f} %"]
