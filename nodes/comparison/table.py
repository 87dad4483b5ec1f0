"""A comparison as text: Markdown to read, CSV for spreadsheets."""

import csv
import io
import math

from . import metrics
from .entries import Comparison, Entry


def cells(entry: Entry) -> list[str]:
    """The row of an entry, in the order of HEADER."""
    size = "–" if entry.num_bytes is None else f"{entry.num_bytes}{'' if entry.fits else ' (its smallest)'}"
    rate = "–" if entry.num_bytes is None else f"{entry.bits_per_pixel:.3f}"
    return [entry.name, size, rate, *(show(entry.figures.get(key), form) for key, (_, form) in metrics.COLUMNS.items())]


HEADER = ["", "bytes", "bits per pixel", *(name for name, _ in metrics.COLUMNS.values())]


def show(value: float | None, form: str) -> str:
    return "–" if value is None else "\u221e" if math.isinf(value) else format(value, form)


def in_one_line(comparison: Comparison) -> str:
    """'decoded: PSNR 24.10, SSIM 0.713 · JPEG: PSNR 20.90, SSIM 0.532', with LPIPS where it is known."""
    shown = [
        ", ".join(
            f"{name} {show(entry.figures[key], form)}"
            for key, (name, form) in metrics.COLUMNS.items()
            if key != "ms_ssim" and entry.figures.get(key) is not None
        )
        for entry in comparison.entries
    ]
    return " · ".join(f"{entry.name}: {figures}" for entry, figures in zip(comparison.entries, shown, strict=True))


def to_markdown(batch: list[Comparison], notes: list[str]) -> str:
    """A table for each image, then the notes."""
    blocks = []
    for number, comparison in enumerate(batch, 1):
        lines = [HEADER, ["---"] + ["---:"] * (len(HEADER) - 1), *map(cells, comparison.entries)]
        title = [f"**Image {number}**", ""] if len(batch) > 1 else []
        blocks.append("\n".join([*title, *("| " + " | ".join(map(escaped, line)) + " |" for line in lines)]))
    return "\n\n".join([*blocks, *notes])


def escaped(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def to_csv(batch: list[Comparison]) -> bytes:
    """The same for spreadsheets, with every digit; UTF-8 with the byte order mark that Excel needs."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["image", "name", "bytes", "bits_per_pixel", *metrics.COLUMNS])
    for number, comparison in enumerate(batch, 1):
        for entry in comparison.entries:
            figures = [entry.figures.get(key) for key in metrics.COLUMNS]
            writer.writerow([number, inert(entry.name), entry.num_bytes, entry.bits_per_pixel, *figures])
    return file.getvalue().encode("utf-8-sig")


def inert(text: str) -> str:
    """A text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
