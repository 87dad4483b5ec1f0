"""Quality over bytes: every preset, palettes of all sizes, and baseline codecs; means over the images given.

Baselines and the learned codec are also given, image by image, exactly the bytes that the paper's preset takes, and
the learned codec those of 64 colors without dither.
"""

import math

from scipy.interpolate import PchipInterpolator
from sdc_pack import codec
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev import images
from dev.tables import Table

from .harness import comfy, plots
from .harness.stored import (
    DITHERED,
    HEADER,
    UNDITHERED,
    USABLE_BASELINES,
    StoredImage,
    add_autoencoder_option,
    cells_with_bytes,
    means,
)

NEEDS_IMAGES = True
DITHERS = {
    "no dither": {"dither": "none", "dither_strength": 0.0},
    "Floyd–Steinberg": {"dither": "floyd-steinberg", "dither_strength": 1.0},
}
PALETTES = {"no dither": (16, 64, 256, 512), "Floyd–Steinberg": (16, 64, 256)}
SETTINGS = [{"colors": colors, **DITHERS[name]} for name, palettes in PALETTES.items() for colors in palettes]
SIZES = (1000, 1700, 2400, 3200, 4800, 8000)  # of the learned codec
PRESETS = {"the preset paper": DITHERED, "64 colors without dither": UNDITHERED}
QUALITIES = (0, 10, 30)
SHOWN = ("AVIF", "WebP", "JPEG")  # in sentences
BOUND = ("autoencoder", "alone")
LEARNED = "SDC, preset best"


def add_arguments(parser):
    add_autoencoder_option(parser)


def run(options, results):
    autoencoder = comfy.Autoencoder(options.vae)
    originals = images.load_crops(options.images, options.size)
    for name, pixels in tqdm(originals.items(), unit="image", disable=None):
        image = StoredImage(name, pixels, autoencoder, options.shared, results)
        image.bound()
        for settings in SETTINGS:
            image.sdc(settings)
        size = image.sdc(DITHERED)["bytes"]
        if autoencoder.latent_format in codec.LEARNED_FORMATS:
            for most in (*SIZES, size, image.sdc(UNDITHERED)["bytes"]):
                image.sdc({"size": most})
        for baseline in USABLE_BASELINES:
            image.baseline_of_size(baseline, size)
            for quality in QUALITIES:
                image.baseline(baseline, quality)


def report(rows: list[dict]) -> list[Table]:
    count = len({row["key"]["pixels"] for row in rows})
    vae = next(row["key"]["vae"] for row in rows if "vae" in row["key"])
    points, best = averages(rows), {name: at_the_bytes_of(rows, settings) for name, settings in PRESETS.items()}
    at_paper = [ours for ours, _ in best["the preset paper"].values()]
    equal = (
        ({LEARNED: means(at_paper)} if at_paper else {})
        | {
            "SDC, preset paper": points["SDC, Floyd–Steinberg", "64 colors"],
            "SDC, 64 colors, no dither": points["SDC, no dither", "64 colors"],
        }
        | {curve: point for (curve, setting), point in points.items() if setting == "equal"}
    )
    notes = [f"Means over {count} images; autoencoder {vae}; nothing is regenerated.",
             "A codec whose smallest file is still larger is shown with that."]  # fmt: skip
    first = Table(
        "At the bytes of the preset paper, image by image",
        ["", "bytes", *HEADER, "images with a larger file"],
        [[name, *cells_with_bytes(point), str(larger_files(rows, name))] for name, point in equal.items()],
        notes,
    )
    first.notes += [*comparisons(rows, best, equal), *rates_saved(points)]
    lines = [[", ".join(place), *cells_with_bytes(point)] for place, point in points.items() if place[1] != "equal"]
    return [first, Table("All settings", ["", "bytes", *HEADER], lines, notes[:1])]


def averages(rows: list[dict]) -> dict[tuple[str, str], dict]:
    """(curve, setting) -> mean bytes and figures. A setting that some images lack is left out."""
    count = len({row["key"]["pixels"] for row in rows})
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        if row["key"].get("size", SIZES[0]) in SIZES or row["key"]["row"] != "SDC":
            groups.setdefault(place(row["key"]), []).append(row["value"])
    found = {at: means(values) for at, values in groups.items() if len(values) == count}
    return dict(sorted(found.items(), key=lambda item: [curve for curve, _ in groups].index(item[0][0])))


def place(key: dict) -> tuple[str, str]:
    """The curve and the setting that a row belongs to."""
    if key["row"] == "autoencoder":
        return BOUND
    if key["row"] == "SDC" and "size" in key:
        return LEARNED, f"{key['size']} bytes at most"
    if key["row"] == "SDC":
        dither = next(name for name, settings in DITHERS.items() if settings["dither"] == key["dither"])
        return f"SDC, {dither}", f"{key['colors']} colors"
    return key["row"], f"quality {key['quality']}" if "quality" in key else "equal"


def comparisons(rows: list[dict], best: dict, equal: dict) -> list[str]:
    """Sentences on how many images one is better than another, each metric by itself."""
    count = len({row["key"]["pixels"] for row in rows})
    compared = []  # theirs, what they are called, ours, what those are called
    for name, settings in PRESETS.items():
        palettes = {row["key"]["pixels"]: row["value"] for row in rows_of_sdc(rows, settings)}
        compared += [(of_size(rows, baseline), baseline, palettes, name) for baseline in SHOWN if baseline in equal]
    for name, pairs in best.items():
        ours, palettes = ({pixels: pair[place] for pixels, pair in pairs.items()} for place in (0, 1))
        compared.append((ours, "the preset best, in as many bytes,", palettes, name))
        if name == "the preset paper":
            compared += [
                (of_size(rows, baseline), baseline, ours, "the preset best in as many bytes")
                for baseline in SHOWN
                if baseline in equal
            ]
    return [
        f"Images of {count} on which {theirs} is better than {name}: {wins(values, ours)}."
        for values, theirs, ours, name in compared
        if len(values) == len(ours) == count
    ]


def rows_of_sdc(rows: list[dict], settings: dict) -> list[dict]:
    """Rows of SDC with these settings."""
    return [row for row in rows if row["key"]["row"] == "SDC" and settings.items() <= row["key"].items()]


def at_the_bytes_of(rows: list[dict], settings: dict) -> dict[str, tuple[dict, dict]]:
    """Image -> the learned codec in at most the bytes of a palette with these settings, and the palette."""
    learned = {
        (row["key"]["pixels"], row["key"]["size"]): row["value"]
        for row in rows_of_sdc(rows, {})
        if "size" in row["key"]
    }
    palettes = {row["key"]["pixels"]: row["value"] for row in rows_of_sdc(rows, settings)}
    found = {pixels: (learned.get((pixels, value["bytes"])), value) for pixels, value in palettes.items()}
    return {pixels: pair for pixels, pair in found.items() if pair[0]}


def of_size(rows: list[dict], baseline: str) -> dict[str, dict]:
    """Image -> a baseline at the bytes of the preset paper."""
    return {
        row["key"]["pixels"]: row["value"] for row in rows if row["key"]["row"] == baseline and "size" in row["key"]
    }


def wins(theirs: dict[str, dict], ours: dict[str, dict]) -> str:
    """On how many images theirs are better than ours."""
    counts = []
    for key, (metric, _) in metrics.COLUMNS.items():
        pairs = [(theirs[pixels][key], ours[pixels][key]) for pixels in ours]
        if None not in sum(pairs, ()):
            better = sum((a < b) if key == "lpips" else (a > b) for a, b in pairs)
            counts.append(f"{metric} {better}")
    return ", ".join(counts)


def rates_saved(points: dict) -> list[str]:
    """How many bytes fewer the learned codec takes than undithered palettes of the same quality."""
    curves = [[point for (curve, _), point in points.items() if curve == name] for name in ("SDC, no dither", LEARNED)]
    if not all(curves):
        return []
    saved = {name: bd_rate(*curves, key) for key, (name, _) in metrics.COLUMNS.items()}
    figures = ", ".join(f"{name} {100 * share:+.1f} %" for name, share in saved.items() if share is not None)
    return [f"Bytes of the preset best beside palettes without dither of the same quality (BD-rate): {figures}."]


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


def larger_files(rows: list[dict], baseline: str) -> int:
    return sum(row["key"]["row"] == baseline and "size" in row["key"] and not row["value"]["fits"] for row in rows)


def plot(rows: list[dict], path):
    """PSNR, SSIM and LPIPS over bytes; the autoencoder's bound as a dashed line."""
    points = averages(rows)
    bound = points.pop(BOUND)
    keys = [key for key in ("psnr", "ssim", "lpips") if bound[key] is not None]
    figure, panels = plots.axes(len(keys))
    for key, axes in zip(keys, panels, strict=True):
        for name in dict.fromkeys(curve for curve, _ in points):
            line = sorted((p["bytes"], p[key]) for at, p in points.items() if at[0] == name and at[1] != "equal")
            if line:
                axes.plot(*zip(*line, strict=True), "o-" if name.startswith("SDC") else ".--", label=name)
        axes.axhline(bound[key], color="gray", linestyle=":", label="autoencoder alone")
        axes.set(title=metrics.COLUMNS[key][0] + (", lower is better" if key == "lpips" else ""))
        plots.bytes_axis(axes)
    panels[0].legend(fontsize="small")
    plots.save(figure, path)
