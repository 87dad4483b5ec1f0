"""Many images on one sheet, by their thumbnails."""

import comfy.model_management
import numpy as np
from comfy.utils import ProgressBar
from PIL import Image, ImageDraw, ImageFont

from ... import codec
from .thumbnail import thumbnail

MOST = 1000  # images on a sheet
GAP = 8
LINE = 16
BACKGROUND, INK = "#181818", "#d8d8d8"


def draw_contact_sheet(images: list[codec.EncodedImage], names: list[str], columns: int, side: int) -> np.ndarray:
    """(H, W, 3) uint8 of one to MOST images; what is too large to be looked at leaves its place empty."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    line = LINE + 4 if any(names) else 0
    cell = side + GAP
    sheet = Image.new("RGB", (GAP + columns * cell, GAP + rows * (cell + line)), BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LINE - 4)
    progress = ProgressBar(len(images))
    for number, (image, name) in enumerate(zip(images, names, strict=False)):
        comfy.model_management.throw_exception_if_processing_interrupted()
        left, top = GAP + number % columns * cell, GAP + number // columns * (cell + line)
        try:
            small = thumbnail(image)
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + (side - small.width) // 2, top + (side - small.height) // 2))
        except codec.SdcLimitError:
            pass
        pen.text((left, top + side + 2), fitting(name, pen, font, side), INK, font)
        progress.update(1)
    return np.asarray(sheet)


def fitting(text: str, pen: ImageDraw.ImageDraw, font, width: int) -> str:
    """One line, cut off where the image ends."""
    text = " ".join(text.split())[:200]
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"
