"""The image of a comparison: one column per entry, with a zoom and a map of its differences from the original."""

import numpy as np
from PIL import Image, ImageDraw

from ..images.lettering import font_for, shorten
from . import metrics
from .entries import Comparison, Entry
from .table import show

TILE = 384  # the square that every image is fitted into
GAP = 12
FONT_SIZE, LINE = 20, 26
BRIGHTEST = 64  # of 255 levels, shown brightest; fixed, so that maps can be compared
# Matplotlib's inferno, at equal distances.
HEAT = (
    (0, 0, 4), (33, 12, 74), (87, 16, 110), (138, 34, 106), (188, 55, 84), (227, 89, 51), (249, 140, 10),
    (249, 201, 50), (252, 255, 164),
)  # fmt: skip
BACKGROUND, INK, FAINT = "#fafafa", "#141414", "#6e6e6e"


def draw_sheet(comparison: Comparison) -> np.ndarray:
    """(H, W, 3) uint8."""
    original, entries = comparison.original, comparison.entries
    height, width = original.shape[:2]
    left, top, side = most_different([original, *(entry.pixels for entry in entries)])
    zoomed = slice(top, top + side), slice(left, left + side)
    scale = min(TILE / width, TILE / height)
    tile = max(1, round(width * scale)), max(1, round(height * scale))
    rows = [GAP + 4 * LINE + 4]
    rows += [rows[0] + tile[1] + GAP + LINE, rows[0] + tile[1] + TILE + 2 * (GAP + LINE)]
    sheet = Image.new("RGB", (GAP + (len(entries) + 1) * (TILE + GAP), rows[2] + tile[1] + GAP), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    pen.fontmode = "L"
    for number, entry in enumerate([Entry("original", original), *entries]):
        x = GAP + number * (TILE + GAP)
        lines = caption(entry) if number else [f"{width}x{height}"]
        write(pen, x, GAP, entry.name, INK)
        for line, text in enumerate(lines, 1):
            write(pen, x, GAP + line * LINE, text, FAINT)
        sheet.paste(scaled(entry.pixels, tile), (x, rows[0]))
        corners = [x + left * scale, rows[0] + top * scale, x + (left + side) * scale, rows[0] + (top + side) * scale]
        pen.rectangle(corners, outline="black", width=4)
        pen.rectangle(corners, outline="white", width=2)
        sheet.paste(scaled(entry.pixels[zoomed], (TILE, TILE)), (x, rows[1]))
        if number:
            sheet.paste(scaled(difference(original, entry.pixels), tile), (x, rows[2]))
    write(pen, GAP, rows[1] - LINE, f"zoom of {side}x{side}, where they differ most", FAINT)
    legend = ["difference from the original:", "black none,", f"brightest {BRIGHTEST} levels", "of 255 or more"]
    for line, text in enumerate(legend):
        write(pen, GAP, rows[2] + line * LINE, text, FAINT)
    return np.asarray(sheet)


def most_different(images: list[np.ndarray]) -> tuple[int, int, int]:
    """Left, top and side of the square, a quarter of the image high or wide, in which the images vary most."""
    height, width = images[0].shape[:2]
    side = max(1, min(height, width, max(32, min(height, width) // 4)))
    mean = sum(image.astype(np.float32) for image in images) / len(images)
    variance = sum(np.square(image - mean).sum(2) for image in images)
    # The sum over each box, at its top left corner, wherever it fits, from sums over all that is above and left.
    total = np.pad(variance.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(left), int(top), side


def difference(original: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Mean absolute difference of the three channels as a heat map."""
    share = np.abs(original.astype(np.float32) - pixels).mean(2) / BRIGHTEST  # 1 and above is brightest
    places = np.linspace(0, 1, len(HEAT))
    levels = [np.interp(share, places, channel) for channel in zip(*HEAT, strict=True)]
    return np.stack(levels, -1).round().astype(np.uint8)


def scaled(pixels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Resize, with visible pixels where that enlarges."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    enlarged = size[0] > image.width
    return image.resize(size, Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)


def caption(entry: Entry) -> list[str]:
    """The three lines under a name."""
    size = "" if entry.num_bytes is None else f"{entry.num_bytes} bytes · {entry.bits_per_pixel:.3f} bpp"
    figures = [
        f"{name} {show(entry.figures[key], form)}"
        for key, (name, form) in metrics.COLUMNS.items()
        if entry.figures.get(key) is not None
    ]
    return [size + ("" if entry.fits else " (smallest)"), " · ".join(figures[:2]), " · ".join(figures[2:])]


def write(pen: ImageDraw.ImageDraw, x: float, y: float, text: str, color: str):
    """One line, cut off at the end of the column."""
    font = font_for(text, FONT_SIZE)
    pen.text((x, y), shorten(text, font, TILE), color, font)
