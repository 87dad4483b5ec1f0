"""A template's picture in Browse Templates: what a run with the small models of the pack has shown, and its size."""

from PIL import Image, ImageDraw, ImageFont

SIDE, BAR, LABEL = 512, 40, 26
BACK, FRONT = (24, 26, 30), (235, 235, 235)


def draw(pictures: dict[str, Image.Image], footer: str) -> Image.Image:
    """Up to six pictures with their titles above them, in a grid, and a line about them all below."""
    count = len(pictures)
    columns = 1 if count == 1 else 2 if count < 5 else 3
    rows = -(-count // columns)
    width, height = SIDE // columns, (SIDE - BAR) // rows
    sheet = Image.new("RGB", (SIDE, SIDE), BACK)
    canvas = ImageDraw.Draw(sheet)
    for number, (title, picture) in enumerate(pictures.items()):
        left, top = number % columns * width, number // columns * height
        fitted = cover(picture.convert("RGB"), width - 4, height - LABEL - 2)
        sheet.paste(fitted, (left + 2, top + LABEL))
        canvas.text((left + 6, top + LABEL // 2), title, FRONT, font(width, title), anchor="lm")
    canvas.text((SIDE // 2, SIDE - BAR // 2), footer, FRONT, font(SIDE, footer), anchor="mm")
    return sheet


def cover(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of a picture at this size."""
    scale = max(width / picture.width, height / picture.height)
    size = [max(1, round(side * scale)) for side in picture.size]
    left, top = ((side - wanted) // 2 for side, wanted in zip(size, (width, height), strict=True))
    return picture.resize(size, Image.Resampling.LANCZOS).crop((left, top, left + width, top + height))


def font(room: int, text: str) -> ImageFont.FreeTypeFont:
    """As large as the room allows, up to 17."""
    size = 17
    while size > 9 and ImageFont.load_default(size).getlength(text) > room - 12:
        size -= 1
    return ImageFont.load_default(size)
