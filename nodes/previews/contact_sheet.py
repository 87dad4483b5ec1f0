"""The thumbnails of many images on one sheet."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ... import codec
from ..progress import cancelable, steps
from .thumbnail import draw_thumbnail

MAX_IMAGES = 1000
GAP = 8
LINE = 16
BACKGROUND, INK = "#181818", "#d8d8d8"


def draw_contact_sheet(images: list[codec.EncodedImage], names: list[str], columns: int, side: int) -> np.ndarray:
    """(H, W, 3) uint8 of 1 to MAX_IMAGES images; images too large for a thumbnail leave their place empty."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    line = LINE + 4 if any(names) else 0
    cell = side + GAP
    sheet = Image.new("RGB", (GAP + columns * cell, GAP + rows * (cell + line)), BACKGROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LINE - 4)
    for number, (image, name) in enumerate(steps(list(zip(images, names, strict=False)))):
        left, top = GAP + number % columns * cell, GAP + number // columns * (cell + line)
        try:
            with cancelable():
                small = draw_thumbnail(image)
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + (side - small.width) // 2, top + (side - small.height) // 2))
        except codec.SdcLimitError:
            pass
        pen.text((left, top + side + 2), shorten(name, pen, font, side), INK, font)
    return np.asarray(sheet)


def shorten(text: str, pen: ImageDraw.ImageDraw, font, width: int) -> str:
    """One line of at most `width` pixels."""
    text = " ".join(text.split())[:200]
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"
