"""The thumbnails of many images on one sheet."""

import numpy as np
from PIL import Image, ImageDraw

from ... import codec
from ..images.lettering import font_for, shorten
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
    pen = ImageDraw.Draw(sheet)
    for number, (image, name) in enumerate(steps(list(zip(images, names, strict=False)))):
        left, top = GAP + number % columns * cell, GAP + number // columns * (cell + line)
        try:
            with cancelable():
                small = draw_thumbnail(image)
            small.thumbnail((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + (side - small.width) // 2, top + (side - small.height) // 2))
        except codec.SdcLimitError:
            pass
        font = font_for(name, LINE - 4)
        pen.text((left, top + side + 2), shorten(name, font, side), INK, font)
    return np.asarray(sheet)
