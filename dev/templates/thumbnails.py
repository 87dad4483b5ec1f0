"""A template's image in Browse Templates: what a run with the small models of the pack has shown, and its size."""

from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

from .paper import CANNY, STRENGTHS

SIDE, BAR, LABEL = 512, 40, 26
BACK, FRONT = (24, 26, 30), (235, 235, 235)


@dataclass(frozen=True)
class Thumbnail:
    """Which previews of a workflow are shown, under which labels ("{size}" is that of its file), in how many columns.

    `settings` are for the small models: where the workflow's own are made for big ones.
    """

    images: dict[str, str]  # label -> title of the preview
    footer: str
    columns: int = 2
    settings: dict = field(default_factory=dict)


BY_SMALL = "by the small models of the pack"
MENDED = {"strength": 0.15, "steps": 13, "canny_strength": 1.0}
# The others show what the small models can not draw, or what is in no preview.
SHOWN = {
    "sdc_demo_tiny": Thumbnail(
        {"original": "Original", "from {size}": "Regenerated"}, f"start here · {BY_SMALL}"
    ),
    "sdc_compress": Thumbnail(
        {"original": "Original", "from {size}": "What the file holds"}, f"compress · {BY_SMALL}"
    ),
    "sdc_full_pipeline": Thumbnail(
        {
            "original": "1 · Original", "64 colors, {size}": "2 · Decoded from the .sdc file",
            "edges": "3 · Edges that hold it in place", "regenerated": "4 · Regenerated",
        },
        "the paper, step by step · by small models, strength 0.15", settings=MENDED,
    ),
    "sdc_experiment": Thumbnail(
        {
            f"{strength:g} · {canny:g}": f"strength {strength:g} · canny {canny:g}"
            for canny in CANNY for strength in STRENGTHS
        },
        f"strength and canny, side by side · {BY_SMALL}", columns=3,
    ),
    "sdc_table1": Thumbnail(
        {"beside JPEG, WebP and AVIF of {size}": "Table 1", "quality over bytes": "Quality over bytes"},
        "the paper's Table 1 · by small models, strength 0.15", columns=1, settings=MENDED,
    ),
    "sdc_regenerate_stock_nodes": Thumbnail(
        {"Regenerate with Canny": "Regenerate with Canny", "stock nodes": "Stock nodes"},
        f"the same from stock nodes · {BY_SMALL}", settings={"canny_strength": 1.0},
    ),
}  # fmt: skip


def draw(images: dict[str, Image.Image], footer: str, columns: int) -> Image.Image:
    """Images with their titles above them, in a grid, and a line about them all below."""
    count = len(images)
    rows = -(-count // columns)
    width, height = SIDE // columns, (SIDE - BAR) // rows
    sheet = Image.new("RGB", (SIDE, SIDE), BACK)
    canvas = ImageDraw.Draw(sheet)
    for number, (title, image) in enumerate(images.items()):
        left, top = number % columns * width, number // columns * height
        fitted = cover(image.convert("RGB"), width - 4, height - LABEL - 2)
        sheet.paste(fitted, (left + 2, top + LABEL))
        canvas.text((left + 6, top + LABEL // 2), title, FRONT, font(width, title), anchor="lm")
    canvas.text((SIDE // 2, SIDE - BAR // 2), footer, FRONT, font(SIDE, footer), anchor="mm")
    return sheet


def cover(image: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of an image at this size."""
    scale = max(width / image.width, height / image.height)
    size = [max(1, round(side * scale)) for side in image.size]
    left, top = ((side - wanted) // 2 for side, wanted in zip(size, (width, height), strict=True))
    return image.resize(size, Image.Resampling.LANCZOS).crop((left, top, left + width, top + height))


def font(room: int, text: str) -> ImageFont.FreeTypeFont:
    """As large as the room allows, up to 17."""
    size = 17
    while size > 9 and ImageFont.load_default(size).getlength(text) > room - 12:
        size -= 1
    return ImageFont.load_default(size)
