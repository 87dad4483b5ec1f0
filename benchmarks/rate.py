"""Quality over bytes: the presets, palettes of all sizes, and baseline codecs; means over the images given.

Image by image, the baselines and preset best are also given exactly the bytes of preset paper, and best those of 64
colors without dither.
"""

import math

from scipy.interpolate import PchipInterpolator
from sdc_pack import codec
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev import images

from .harness import comfy, plots, stored
from .harness.figures import HEADER, cells_with_bytes, means, wins
from .harness.tables import Table

NEEDS_IMAGES = True
UNDITHERED, DITHERED, BEST = "SDC, no dither", "SDC, Floyd–Steinberg", "SDC, preset best"
DITHERS = {
    UNDITHERED: {"dither": "none"},
    DITHERED: {"dither": "floyd-steinberg"},
}
PALETTES = {
    f"{curve}, {colors} colors": {"preset": "custom", "colors": colors, **DITHERS[curve]}
    for curve, colors in [(UNDITHERED, 16), (UNDITHERED, 256), (UNDITHERED, 512), (DITHERED, 16), (DITHERED, 256)]
}
SIZES = (1000, 1700, 2400, 3200, 4800, 8000)  # of preset best
AT_PAPER, AT_CLEAN = f"{BEST}, at the file size of paper", f"{BEST}, at the file size of 64 colors"
QUALITIES = (0, 10, 30)
EQUAL = "At the file size of preset paper, image by image"
COMPARED = ("AVIF", "HEIC", "WebP", "JPEG")


def add_arguments(parser):
    stored.add_autoencoder_option(parser)


def run(options, measurements) -> list[Table]:
    autoencoder = comfy.Autoencoder(options.vae)
    originals = images.load_crops(options.images, options.size)
    for name, pixels in tqdm(originals.items(), unit="image", disable=None):
        image = stored.StoredImage(name, pixels, autoencoder, options.shared, measurements)
        image.bound()
        max_bytes = image.sdc(stored.PAPER_LABEL, stored.PAPER)["bytes"]
        clean_bytes = image.sdc(stored.CLEAN_LABEL, stored.CLEAN)["bytes"]
        for label, settings in PALETTES.items():
            image.sdc(label, settings)
        if autoencoder.latent_format in codec.LEARNED_FORMATS:
            for size in SIZES:
                image.sdc(f"{BEST}, {size} bytes at most", stored.best(size))
            image.sdc(AT_PAPER, stored.best(max_bytes))
            image.sdc(AT_CLEAN, stored.best(clean_bytes))
        for baseline in stored.USABLE_BASELINES:
            image.baseline_of_size(baseline, max_bytes)
            for quality in QUALITIES:
                image.baseline(baseline, quality)
    return report(measurements.rows)


def report(rows: list[dict]) -> list[Table]:
    found, count = stored.by_label(rows), stored.count_images(rows)
    vae = next(row["key"]["vae"] for row in rows if "vae" in row["key"])
    note = f"Means over {count} images, decoded by {vae}, not regenerated."
    shown = {BEST: AT_PAPER, stored.PAPER_LABEL: stored.PAPER_LABEL, stored.CLEAN_LABEL: stored.CLEAN_LABEL} | {
        n: n for n in stored.USABLE_BASELINES
    }
    equal = [
        [name, *cells_with_bytes(means(found[label])), str(sum(not v.get("fits", True) for v in found[label]))]
        for name, label in shown.items()
        if label in found
    ]
    every = [[label, *cells_with_bytes(means(found[label]))] for curve in curves(found).values() for label in curve]
    larger = "A baseline whose smallest file is larger counts with that file."
    return [
        Table(EQUAL, ["", "bytes", *HEADER, "images with a larger file"], equal, [note, larger]),
        wins_table(found, count),
        *saved_table(found),
        Table("All settings", ["", "bytes", *HEADER], every, [note]),
    ]


def curves(found: dict) -> dict[str, list[str]]:
    """Curve -> the labels of its points, from few bytes to many."""
    points = {stored.BOUND_LABEL: [stored.BOUND_LABEL]}
    points[UNDITHERED] = [stored.CLEAN_LABEL, *(label for label in PALETTES if label.startswith(UNDITHERED))]
    points[DITHERED] = [stored.PAPER_LABEL, *(label for label in PALETTES if label.startswith(DITHERED))]
    points[BEST] = [f"{BEST}, {size} bytes at most" for size in SIZES]
    points |= {name: [f"{name}, quality {quality}" for quality in QUALITIES] for name in stored.USABLE_BASELINES}
    known = {curve: [label for label in labels if label in found] for curve, labels in points.items()}
    return {curve: sorted(labels, key=lambda label: means(found[label]).get("bytes") or 0)
            for curve, labels in known.items() if labels}  # fmt: skip


def wins_table(found: dict, count: int) -> Table:
    """On how many images one is better than another, by each measure."""
    pairs = [(name, theirs) for theirs in (stored.PAPER_LABEL, stored.CLEAN_LABEL, AT_PAPER) for name in COMPARED]
    pairs += [(AT_PAPER, stored.PAPER_LABEL), (AT_CLEAN, stored.CLEAN_LABEL)]
    lines = [
        [f"{ours} over {theirs}", *(wins(key, found[ours], found[theirs]) for key in metrics.COLUMNS)]
        for ours, theirs in pairs
        if ours in found and theirs in found
    ]
    return Table(f"Wins out of {count} images", ["", *HEADER], lines)


def saved_table(found: dict) -> list[Table]:
    """How many bytes preset best saves against undithered palettes of the same quality."""
    points = [[means(found[label]) for label in curves(found).get(curve, [])] for curve in (UNDITHERED, BEST)]
    if not all(points):
        return []
    saved = [show_share(bd_rate(*points, key)) for key in metrics.COLUMNS]
    title = "BD-rate of preset best against palettes without dither"
    return [Table(title, ["", *HEADER], [["change in bytes", *saved]])]


def show_share(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:+.1f} %"


def bd_rate(before: list[dict], after: list[dict], key: str) -> float | None:
    """Mean difference of the logarithm of the bytes at equal quality, as a share; None where it cannot be had.

    Bjontegaard, "Calculation of average PSNR differences between RD-curves" (VCEG-M33, 2001), with the monotone cubic
    interpolation that has taken the place of his polynomial.
    """
    lines = []
    for points in (before, after):
        if any(point[key] is None for point in points):
            return None
        pairs = sorted({point[key]: math.log(point["bytes"]) for point in points}.items())
        lines.append(([quality for quality, _ in pairs], [size for _, size in pairs]))
    low, high = max(line[0][0] for line in lines), min(line[0][-1] for line in lines)
    if low >= high:
        return None
    areas = [PchipInterpolator(*line).integrate(low, high) for line in lines]
    return math.expm1((areas[1] - areas[0]) / (high - low))


def plot(rows: list[dict], path):
    """PSNR, SSIM and LPIPS over bytes; the autoencoder's bound is a dotted line."""
    found = stored.by_label(rows)
    bound = means(found[stored.BOUND_LABEL])
    keys = [key for key in ("psnr", "ssim", "lpips") if bound[key] is not None]
    figure, panels = plots.axes(len(keys))
    for key, axes in zip(keys, panels, strict=True):
        for curve, labels in curves(found).items():
            if curve != stored.BOUND_LABEL:
                line = [(point["bytes"], point[key]) for point in (means(found[label]) for label in labels)]
                axes.plot(*zip(*line, strict=True), "o-" if curve.startswith("SDC") else ".--", label=curve)
        axes.axhline(bound[key], color="gray", linestyle=":", label=stored.BOUND_LABEL)
        axes.set(title=metrics.COLUMNS[key][0] + (", lower is better" if key == "lpips" else ""))
        plots.bytes_axis(axes)
    panels[0].legend(fontsize="small")
    plots.save(figure, path)
