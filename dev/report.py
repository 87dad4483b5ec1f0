"""Figures and pictures of a demo run, for people."""

import math
import re

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from .progress import OTHER

ORDER = ("original", "decoded", "edges", "regenerated")
HEADER, GAP = 32, 4


def compare(original: Image.Image, result: Image.Image) -> dict[str, float | None]:
    """SSIM (7x7 window, mean over RGB) and PSNR in dB of a result; None where a figure has no finite value."""
    reference = np.asarray(trim(original, result.size))
    picture = np.asarray(result)
    ssim = structural_similarity(reference, picture, channel_axis=2, data_range=255)
    with np.errstate(divide="ignore"):
        psnr = peak_signal_noise_ratio(reference, picture, data_range=255)
    return {"ssim": float(ssim), "psnr": float(psnr) if math.isfinite(psnr) else None}


def trim(original: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The part of the original that is in a result: VAE Encode trims to multiples of 8 about the centre."""
    width, height = original.size
    if (width, height) == size:
        return original
    if (width // 8 * 8, height // 8 * 8) != size:
        raise ValueError(f"The result is {size[0]}x{size[1]}, which does not fit a picture of {width}x{height}.")
    left, top = width % 8 // 2, height % 8 // 2
    return original.crop((left, top, left + size[0], top + size[1]))


def side_by_side(images: dict[str, Image.Image], size: int) -> Image.Image:
    """One picture of all, labelled, in the order of the pipeline; `size` is that of the file in bytes."""
    shown = {name: images[name] for name in ORDER if name in images}
    shown["original"] = trim(shown["original"], shown["decoded"].size)
    labels = {"decoded": f"decoded, {size} bytes"}
    width = sum(image.width + GAP for image in shown.values()) - GAP
    sheet = Image.new("RGB", (width, HEADER + max(image.height for image in shown.values())), "white")
    draw, font, left = ImageDraw.Draw(sheet), ImageFont.load_default(size=18), 0
    for name, image in shown.items():
        draw.text((left + 6, 5), labels.get(name, name), fill="black", font=font)
        sheet.paste(image, (left, HEADER))
        left += image.width + GAP
    return sheet


def table(rows: list[dict]) -> str:
    figures = [["picture", "bytes", "bpp", "SSIM", "PSNR", "SSIM", "PSNR"]]
    for row in rows:
        quality = [row[of][name] for of in ("decoded", "regenerated") for name in ("ssim", "psnr")]
        formats = (".3f", ".2f", ".3f", ".2f")
        texts = ["inf" if value is None else format(value, form) for value, form in zip(quality, formats, strict=True)]
        figures.append([row["picture"], str(row["bytes"]), f"{row['bpp']:.3f}", *texts])
    lines = align(figures)
    # The first pair of figures belongs to the decoded picture, the second to the regenerated one.
    first, second = (match.start() for match in re.finditer("SSIM", lines[0]))
    lines.insert(0, f"{'':<{first}}decoded{'':<{second - first - 7}}regenerated")
    stages = list(dict.fromkeys(stage for row in rows for stage in row["seconds"]))
    stages.sort(key=lambda stage: stage == OTHER)
    times = [["seconds", *stages]]
    times += [[row["picture"], *(f"{row['seconds'].get(stage, 0):.1f}" for stage in stages)] for row in rows]
    return "\n".join([*lines, "", *align(times)])


def align(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) if index else cell.ljust(width) for index, (cell, width) in enumerate(cells))
        for cells in (list(zip(row, widths, strict=True)) for row in rows)
    ]
