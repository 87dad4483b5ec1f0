"""The rate-distortion plot of a comparison, drawn with Pillow, which ComfyUI has; matplotlib it has not."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import metrics
from .entries import Comparison, Entry

PANEL, MARGIN = (520, 420), (70, 50, 20, 56)  # of the axes within a panel: left, top, right, bottom
LEGEND_LINE = 26
FINER = 2  # drawn larger, then scaled down: smooth lines
# Okabe and Ito's colors, which people who cannot tell red from green can tell apart.
COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#000000")
GRID, INK = "#dddddd", "#222222"
TITLES = {"psnr": "PSNR in dB", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "lpips": "LPIPS (lower is better)"}


def draw_plot(comparison: Comparison) -> np.ndarray:
    """(H, W, 3) uint8: each metric over bytes, a mark for every entry of known size, a line for every baseline."""
    curves = comparison.curves
    points = [entry for entry in comparison.entries if entry.size]
    shown = points + [entry for curve in curves.values() for entry in curve]
    keys = [key for key in metrics.COLUMNS if any(finite(entry, key) for entry in shown)]
    keys = keys if "lpips" not in keys else [key for key in keys if key != "ms_ssim"]
    names = [*dict.fromkeys([*(point.name for point in points), *curves])]
    colors = {name: COLORS[number % len(COLORS)] for number, name in enumerate(names)}
    width = PANEL[0] * max(1, len(keys))
    height = PANEL[1] + LEGEND_LINE * math.ceil(len(names) / (2 * max(1, len(keys)))) + 16
    canvas = Canvas(width, height)
    if not keys:
        canvas.text(width / 2, height / 2, "nothing to plot: no file size is known", anchor="mm")
    for number, key in enumerate(keys):
        panel(canvas, number * PANEL[0], key, points, curves, colors)
    columns = 2 * max(1, len(keys))
    for number, name in enumerate(names):
        x, y = MARGIN[0] + number % columns * (width / columns), PANEL[1] + number // columns * LEGEND_LINE + 12
        if name in curves:
            canvas.line([(x - 12, y), (x + 12, y)], colors[name])
        if any(point.name == name for point in points):
            canvas.mark(x, y, colors[name])
        canvas.text(x + 20, y, name, anchor="lm", most=width / columns - 40)
    return canvas.pixels()


def panel(canvas, offset: float, key: str, points: list[Entry], curves: dict, colors: dict):
    """One metric over bytes, on a logarithmic axis."""
    entries = [entry for group in (points, *curves.values()) for entry in group if finite(entry, key)]
    x_axis = Axis([math.log10(entry.size) for entry in entries], offset + MARGIN[0], offset + PANEL[0] - MARGIN[2])
    y_axis = Axis([entry.figures[key] for entry in entries], PANEL[1] - MARGIN[3], MARGIN[1])
    canvas.text((x_axis.start + x_axis.end) / 2, MARGIN[1] / 2, TITLES[key], anchor="mm", size=18)
    canvas.text((x_axis.start + x_axis.end) / 2, PANEL[1] - 14, "bytes", anchor="mm")
    for size in byte_ticks(x_axis):
        x = x_axis.place(math.log10(size))
        canvas.line([(x, y_axis.start), (x, y_axis.end)], GRID, 1)
        canvas.text(x, y_axis.start + 6, f"{size / 1000:g}k" if size >= 1000 else f"{size:g}", anchor="mt")
    for value, text in value_ticks(y_axis):
        y = y_axis.place(value)
        canvas.line([(x_axis.start, y), (x_axis.end, y)], GRID, 1)
        canvas.text(x_axis.start - 8, y, text, anchor="rm")
    for name, curve in curves.items():
        places = [
            (x_axis.place(math.log10(e.size)), y_axis.place(e.figures[key])) for e in curve if e.size and finite(e, key)
        ]
        canvas.line(places, colors[name])
    for point in points:
        if point.size and finite(point, key):
            x, y = x_axis.place(math.log10(point.size)), y_axis.place(point.figures[key])
            canvas.mark(x, y, colors[point.name])


class Axis:
    """Values to places between `start` and `end`, with a little room beyond the outermost values."""

    def __init__(self, values: list[float], start: float, end: float):
        room = 0.06 * (max(values) - min(values)) or 0.05
        self.low, self.high = min(values) - room, max(values) + room
        self.start, self.end = start, end

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def byte_ticks(axis: Axis) -> list[float]:
    """1, 2 and 5 times the powers of ten; all multiples where that leaves fewer than two."""
    for steps in ((1, 2, 5), range(1, 10), [step / 10 for step in range(10, 100)]):
        ticks = [step * 10.0**power for power in range(10) for step in steps]
        ticks = [tick for tick in ticks if axis.low <= math.log10(tick) <= axis.high]
        if len(ticks) > 1:
            break
    return ticks


def value_ticks(axis: Axis) -> list[tuple[float, str]]:
    """About five round values, and how they are written."""
    rough = (axis.high - axis.low) / 5
    power = math.floor(math.log10(rough))
    step = min((factor * 10.0**power for factor in (1, 2, 5, 10)), key=lambda step: abs(step - rough))
    first = math.ceil(axis.low / step)
    digits = max(0, -math.floor(math.log10(step)))
    return [(n * step, f"{n * step:.{digits}f}") for n in range(first, math.floor(axis.high / step) + 1)]


class Canvas:
    def __init__(self, width: float, height: float):
        self.image = Image.new("RGB", (round(width * FINER), round(height * FINER)), "white")
        self.pen = ImageDraw.Draw(self.image)

    def line(self, places: list[tuple[float, float]], color: str, width: float = 2.5):
        self.pen.line([(x * FINER, y * FINER) for x, y in places], color, round(width * FINER), joint="curve")

    def mark(self, x: float, y: float, color: str):
        box = [value * FINER for value in (x - 6, y - 6, x + 6, y + 6)]
        self.pen.ellipse(box, color, "white", FINER)

    def text(self, x: float, y: float, text: str, anchor: str, size: int = 15, most: float = math.inf):
        font = ImageFont.load_default(size * FINER)
        while len(text) > 1 and self.pen.textlength(text, font) > most * FINER:
            text = text[:-2] + "…"
        self.pen.text((x * FINER, y * FINER), text, INK, font, anchor)

    def pixels(self) -> np.ndarray:
        return np.asarray(self.image.reduce(FINER))


def finite(entry: Entry, key: str) -> bool:
    value = entry.figures.get(key)
    return entry.size is not None and value is not None and math.isfinite(value)
