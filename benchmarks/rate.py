"""Quality over bytes: every preset, palettes of all sizes, and rival codecs; means over the pictures given.

Rivals are also given, picture by picture, exactly the bytes that the paper's preset takes.
"""

from sdc_pack import codec
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev.environment import SetupError, say

from .harness import comfy, measure, pictures, plots
from .harness.stored import USABLE_RIVALS, Picture, options_of_autoencoder
from .harness.tables import Table, mean

DITHERS = {
    "no dither": {"dither": "none", "dither_strength": 0.0},
    "Floyd–Steinberg": {"dither": "floyd-steinberg", "dither_strength": 1.0},
}
PALETTES = {"no dither": (16, 64, 256, 512), "Floyd–Steinberg": (16, 64, 256)}
SETTINGS = [{"colours": colours, **DITHERS[name]} for name, palettes in PALETTES.items() for colours in palettes]
PRESETS = {"the preset paper": codec.PAPER_PRESET, "64 colours without dither": {"colours": 64, **DITHERS["no dither"]}}
QUALITIES = (0, 10, 30)


def add_arguments(parser):
    options_of_autoencoder(parser)


def run(options, results):
    if not options.images:
        raise SetupError("Name a folder of pictures: --images DIR")
    comfy.start(options)
    autoencoder = comfy.Autoencoder(options.vae)
    originals = pictures.load(options.images, options.size)
    steps = len(originals) * (1 + len(SETTINGS) + len(USABLE_RIVALS) * (1 + len(QUALITIES)))
    with tqdm(total=steps, disable=None) as bar:
        for name, pixels in originals.items():
            bar.set_description(name)
            for _ in measure_picture(Picture(name, pixels, autoencoder, options.shared, results)):
                bar.update()
    for table in report(results.rows):
        say(table.text())
    say(measure.load_lpips(options.shared)[1])
    if options.plot:
        plot(results.rows, options.plot)
        say(f"Plot: {options.plot}")


def measure_picture(picture: Picture):
    yield picture.bound()
    for settings in SETTINGS:
        yield picture.sdc(settings)
    size = picture.sdc(codec.PAPER_PRESET)["bytes"]
    for rival in USABLE_RIVALS:
        yield picture.rival_of_size(rival, size)
        for quality in QUALITIES:
            yield picture.rival(rival, quality)


def report(rows: list[dict]) -> list[Table]:
    count = len({row["key"]["pixels"] for row in rows})
    vae = next(row["key"]["vae"] for row in rows if "vae" in row["key"])
    points = averages(rows)
    equal = [("SDC, preset paper", points["SDC, Floyd–Steinberg"]["64 colours"])]
    equal += [("SDC, 64 colours, no dither", points["SDC, no dither"]["64 colours"])]
    rivals_at = len(equal)
    equal += [(name, point) for name, curve in points.items() for setting, point in curve.items() if setting == "equal"]
    larger = {name: larger_files(rows, name) for name, _ in equal[rivals_at:]}
    notes = [f"Means over {count} pictures; autoencoder {vae}; nothing is regenerated.",
             "A codec whose smallest file is still larger is shown with that."]  # fmt: skip
    first = Table(
        "At the bytes of the preset paper, picture by picture",
        ["", "bytes", *measure.HEADER, "pictures with a larger file"],
        [[name, *cells(point), str(larger.get(name) or 0)] for name, point in equal],
        notes,
    )
    for name, settings in PRESETS.items():
        first.notes += [who_wins(rows, rival, name, settings) for rival in ("AVIF", "WebP", "JPEG") if rival in points]
    lines = [
        [f"{name}, {setting}", *cells(point)]
        for name, curve in points.items()
        for setting, point in curve.items()
        if setting != "equal"
    ]
    return [first, Table("All settings", ["", "bytes", *measure.HEADER], lines, notes[:1])]


def averages(rows: list[dict]) -> dict[str, dict[str, dict]]:
    """Curve -> setting -> mean bytes and figures. A setting that some pictures lack is left out."""
    count = len({row["key"]["pixels"] for row in rows})
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault(place(row["key"]), []).append(row["value"])
    curves: dict[str, dict[str, dict]] = {}
    for (curve, setting), values in groups.items():
        if len(values) == count:
            curves.setdefault(curve, {})[setting] = {
                key: mean([value.get(key) for value in values]) for key in ("bytes", *metrics.COLUMNS)
            }
    return curves


def place(key: dict) -> tuple[str, str]:
    """The curve and the setting that a row belongs to."""
    if key["row"] == "autoencoder":
        return "autoencoder", "alone"
    if key["row"] == "SDC":
        dither = next(name for name, settings in DITHERS.items() if settings["dither"] == key["dither"])
        return f"SDC, {dither}", f"{key['colours']} colours"
    return key["row"], f"quality {key['quality']}" if "quality" in key else "equal"


def who_wins(rows: list[dict], rival: str, name: str, settings: dict) -> str:
    """A sentence on how many pictures a rival is better than SDC with these settings, each metric by itself."""
    sdc = [row for row in rows if row["key"]["row"] == "SDC" and settings.items() <= row["key"].items()]
    ours = {row["key"]["pixels"]: row["value"] for row in sdc}
    theirs = {row["key"]["pixels"]: row["value"] for row in rows if row["key"]["row"] == rival and "size" in row["key"]}
    counts = []
    for key, (metric, _) in metrics.COLUMNS.items():
        pairs = [(theirs[pixels][key], ours[pixels][key]) for pixels in ours]
        if None not in sum(pairs, ()):
            better = sum((a < b) if key == "lpips" else (a > b) for a, b in pairs)
            counts.append(f"{metric} {better}")
    return f"Pictures of {len(ours)} on which {rival} is better than {name}: {', '.join(counts)}."


def larger_files(rows: list[dict], rival: str) -> int:
    return sum(row["key"]["row"] == rival and "size" in row["key"] and not row["value"]["fits"] for row in rows)


def cells(point: dict) -> list[str]:
    return ["-" if point["bytes"] is None else f"{point['bytes']:.0f}", *measure.cells(point)]


def plot(rows: list[dict], path):
    """PSNR, SSIM and LPIPS over bytes; the autoencoder's bound as a dashed line."""
    curves = averages(rows)
    keys = [key for key in ("psnr", "ssim", "lpips") if curves["autoencoder"]["alone"][key] is not None]
    figure, panels = plots.axes(len(keys))
    for key, axes in zip(keys, panels, strict=True):
        for name, curve in curves.items():
            points = sorted((p["bytes"], p[key]) for setting, p in curve.items() if setting != "equal" and p["bytes"])
            if points:
                axes.plot(*zip(*points, strict=True), "o-" if name.startswith("SDC") else ".--", label=name)
        axes.axhline(curves["autoencoder"]["alone"][key], color="grey", linestyle=":", label="autoencoder alone")
        axes.set(title=metrics.COLUMNS[key][0] + (", lower is better" if key == "lpips" else ""))
        plots.bytes_axis(axes)
    panels[0].legend(fontsize="small")
    plots.save(figure, path)
