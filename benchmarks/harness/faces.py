"""Faces from images that anybody may show, as each preset keeps them in the bytes of the preset `paper`."""

from pathlib import Path

import matplotlib.cbook
import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from sdc_pack import codec
from sdc_pack.nodes.comparison import baselines

from dev import images
from dev.tables import Table

from .stored import HEADER, cells, figures

TILE, GAP, LINE = 300, 8, 22


def samples() -> dict[str, tuple[np.ndarray, tuple[slice, slice]]]:
    """Name -> 512x512 image, and where the face is. Eileen Collins by NASA and Grace Hopper by the US Navy are in
    the public domain."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = images.crop(np.asarray(Image.open(file).convert("RGB")), 512)
    return {
        "Eileen Collins": (skimage.data.astronaut(), (slice(20, 220), slice(130, 330))),
        "Grace Hopper": (hopper, (slice(60, 300), slice(140, 380))),
    }


def draw(path: Path, autoencoder, shared: Path) -> Table:
    """A row of crops for each face; returns the figures of the whole images."""
    lines, rows = [], []
    for name, (pixels, face) in samples().items():
        shown = {"original": (None, pixels), **kept(pixels, autoencoder)}
        rows.append([(label, size, image[face]) for label, (size, image) in shown.items()])
        for label, (size, image) in shown.items():
            if size:
                lines.append([f"{name}, {label}", str(size), *cells(figures(pixels, image, shared))])
    width, height = GAP + len(rows[0]) * (TILE + GAP), GAP + len(rows) * (TILE + LINE + 2 * GAP)
    sheet, font = Image.new("RGB", (width, height), "#fafafa"), ImageFont.load_default(16)
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        y = GAP + number * (TILE + LINE + 2 * GAP)
        for column, (label, size, image) in enumerate(row):
            x = GAP + column * (TILE + GAP)
            pen.text((x, y), f"{label}, {size} bytes" if size else label, "#141414", font)
            sheet.paste(Image.fromarray(image).resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y + LINE))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, quality=85)
    return Table("Figures of the faces' images", ["", "bytes", *HEADER], lines)


def kept(pixels: np.ndarray, autoencoder) -> dict[str, tuple[int, np.ndarray]]:
    """Label -> bytes, and what is decoded."""
    latent = autoencoder.encode(pixels)
    paper = codec.encode([latent], "paper")[0]
    files = {
        "paper": paper,
        "64 undithered": codec.encode([latent], "clean")[0],
        "best": codec.encode([latent], max_bytes=paper.size)[0],
    }
    found = {label: (file.size, autoencoder.decode(codec.decode(file))) for label, file in files.items()}
    if baselines.missing("AVIF") is None:
        avif = baselines.encode_baseline_to_size("AVIF", pixels, paper.size)
        found["AVIF" if avif.fits else "AVIF, its smallest"] = avif.size, avif.pixels()
    return found
