"""What regeneration does to the decoded image, by strength, Canny strength and number of UNet calls.

Through the nodes as a workflow runs them, with the tiny models unless others are named. The settings were chosen on
photographs that `run.py train` holds out, which are neither trained on nor measured here.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev import images
from dev.tables import Table, show

from .harness import comfy, plots
from .harness.measures import OTHERS, SOURCES, is_better
from .harness.regenerator import BEST, PAPER, Setting, add_options, load_regenerator
from .harness.stored import DITHERED, HEADER, UNDITHERED, StoredImage, cells, figures, means

NEEDS_IMAGES = True
PRESETS = {"paper": DITHERED, "64 colors, no dither": UNDITHERED, "best, 3200 bytes": {"size": 3200}}
UNCHANGED = "decoded"
PARTS = {  # of the ablation
    "the ControlNet alone, one call without inversion": Setting(0, 0.35, 1.0),
    "inversion and regeneration without the ControlNet": replace(BEST, canny_strength=0.0),
    "inversion, regeneration and ControlNet": BEST,
    "the same as the paper has it": PAPER,
}
# The best setting (4 calls of the model), the same without ControlNet, 1, 6, 10 and 20 calls, and the paper's own.
SETTINGS = [
    BEST, replace(BEST, canny_strength=0.0), Setting(0, 0.35, 1.0), Setting(20, 0.15, 1.0), Setting(50, 0.1, 1.0),
    Setting(100, 0.1, 1.0), PAPER,
]  # fmt: skip


def add_arguments(parser):
    add_options(parser)
    parser.add_argument("--vae", metavar="NAME", help="as Load VAE lists it (default: that of the checkpoint)")
    parser.add_argument(
        "--settings", nargs="+", type=Setting.parse, default=SETTINGS, metavar="STEPS:STRENGTH:CANNY",
        help="what to measure; with 0 steps the model is asked once, at the sigma given as strength",
    )  # fmt: skip
    parser.add_argument("--gallery", type=Path, metavar="DIR", help="write the images there")


def run(options, results):
    regenerator = load_regenerator(options)
    autoencoder = comfy.Autoencoder(options.vae or options.checkpoint, None if options.vae else regenerator.vae)
    has_taesd = autoencoder.latent_format == "SD1.x" and (options.shared / "models" / "vae_approx").is_dir()
    beside = comfy.Autoencoder("taesd") if has_taesd else None
    for name, pixels in tqdm(images.load_crops(options.images, options.size).items(), unit="image", disable=None):
        image = StoredImage(name, pixels, autoencoder, options.shared, results)
        if beside:
            key = {"row": "autoencoder", "vae": autoencoder.name, "beside": beside.name}
            image.get(key, partial(measure_beside, image, beside))
        for preset, settings in PRESETS.items():
            for setting in (None, *options.settings):
                look = partial(keep, options.gallery, f"{name}, {preset}, {setting or UNCHANGED}")
                image.sdc(settings, regenerator, setting, look)


def measure_beside(image: StoredImage, beside) -> dict:
    """Encoded and decoded; the latents, and the image of the latents, of another autoencoder of the same space."""
    other, decode = beside.encode(image.pixels), image.autoencoder.decode
    return {
        **figures(image.pixels, decode(image.latent), image.shared),
        "apart": float(np.linalg.norm(image.latent - other) / np.linalg.norm(other)),
        "other_lpips": figures(image.pixels, decode(other), image.shared)["lpips"],
    }


def keep(gallery: Path | None, name: str, pixels: np.ndarray):
    if gallery:
        gallery.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(gallery / f"{name}.png".replace(":", "-"))


def groups(rows: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """(preset, setting) -> figures of every image, in one order."""
    found: dict[tuple, list[dict]] = {}
    for preset, settings in PRESETS.items():
        for key, value in ((row["key"], row["value"]) for row in rows):
            if settings.items() <= key.items():
                regenerated = "steps" in key
                setting = Setting(key["steps"], key["strength"], key["canny_strength"]) if regenerated else UNCHANGED
                found.setdefault((preset, str(setting)), []).append(value)
    return found


def report(rows: list[dict]) -> list[Table]:
    lines = []
    found = groups(rows)
    for (preset, setting), values in found.items():
        before, average = found[preset, UNCHANGED], means(values)
        line = [f"{preset}: {setting}", f"{average['bytes']:.0f}", f"{average['calls']:.0f}"]
        line += [f"{average['seconds']:.1f}", *cells(average), "", ""]
        if setting != UNCHANGED and average["lpips"] is not None:
            better = sum(after["lpips"] < one["lpips"] for after, one in zip(values, before, strict=True))
            line[-2:] = [f"{100 * (average['lpips'] / means(before)['lpips'] - 1):+.1f} %", str(better)]
        lines.append(line)
    key = rows[-1]["key"]
    about = (
        f"Means over {len({row['key']['pixels'] for row in rows})} images; {key['checkpoint']}, {key['controlnet']}, "
        f"autoencoder {key['vae']}."
    )
    notes = [
        about,
        f"The best setting, chosen on training photographs: {BEST}. The paper's: {PAPER}.",
        "UNet calls of inversion and regeneration together; seconds with the decoding, by the networks as trained, "
        "which ComfyUI runs padded, in more.",
    ]
    header = ["", "bytes", "UNet calls", "seconds", *HEADER, "LPIPS change", "better images"]
    made = Table("Before and after regeneration", header, lines, notes)
    return [*autoencoder_table(rows), made, ablation(found, about), other_measures(found, about)]


def ablation(found: dict, about: str, presets=PRESETS, parts=PARTS) -> Table:
    """What each part adds to the gain, by three measures, and on how many images each is better than decoded.

    `found` gives the figures of images by (preset, setting), as `groups` does.
    """
    shown = {"lpips": metrics.COLUMNS["lpips"], "ssim": metrics.COLUMNS["ssim"], "haarpsi": OTHERS["haarpsi"][:2]}
    lines = []
    for preset in presets:
        for label, setting in {UNCHANGED: None, **parts}.items():
            values, before = found.get((preset, str(setting or UNCHANGED))), found.get((preset, UNCHANGED))
            if values:
                line = [f"{preset}: {label}", f"{means(values)['calls']:.0f}"]
                for key, (_, form) in shown.items():
                    line += [show(means(values)[key], form), better_on(key, values, before) if setting else ""]
                lines.append(line)
    names = [cell for name, _ in shown.values() for cell in (name, "better images")]
    notes = [about, "The pack's own ControlNet was trained to lower LPIPS, on SqueezeNet; LPIPS here is on AlexNet."]
    return Table("Ablation", ["", "UNet calls", *names], lines, notes)


def other_measures(found: dict, about: str) -> Table:
    lines = []
    for (preset, setting), values in found.items():
        line, before = [f"{preset}: {setting}"], found[preset, UNCHANGED]
        for key, (_, form, _) in OTHERS.items():
            line += [show(means(values)[key], form), "" if setting == UNCHANGED else better_on(key, values, before)]
        lines.append(line)
    names = [cell for name, *_ in OTHERS.values() for cell in (name, "better images")]
    return Table("By other measures", ["", *names], lines, [about, SOURCES])


def better_on(key: str, values: list[dict], before: list[dict]) -> str:
    """On how many images they are better."""
    pairs = [(after[key], one[key]) for after, one in zip(values, before, strict=True)]
    return "-" if any(None in pair for pair in pairs) else str(sum(is_better(key, *pair) for pair in pairs))


def autoencoder_table(rows: list[dict]) -> list[Table]:
    alone = [row for row in rows if row["key"]["row"] == "autoencoder"]
    if not alone:
        return []
    average = means([row["value"] for row in alone])
    line = [alone[0]["key"]["vae"], *cells(average), f"{average['apart']:.3f}", show(average["other_lpips"], ".3f")]
    header = ["", *HEADER, "latents from TAESD's, relative L2", "LPIPS of TAESD's latents"]
    return [Table("The autoencoder alone", header, [line], [f"Means over {len(alone)} images, nothing is stored."])]


def plot(rows: list[dict], path: Path):
    """LPIPS and SSIM over UNet calls; every point is a setting, the lines are the decoded images."""
    figure, axes = plots.axes(2)
    for axis, column in zip(axes, ("lpips", "ssim"), strict=True):
        for color, preset in enumerate(PRESETS):
            points = {name: means(values) for (of, name), values in groups(rows).items() if of == preset}
            points = {name: average for name, average in points.items() if average[column] is not None}
            if points:
                axis.axhline(points.pop(UNCHANGED)[column], color=f"C{color}", label=f"{preset}, decoded")
                where = [(average["calls"], average[column]) for average in points.values()]
                axis.plot(*zip(*where, strict=True), "o", color=f"C{color}", label=f"{preset}, regenerated")
        axis.set(xscale="log", xlabel="UNet calls, up and down", ylabel=metrics.COLUMNS[column][0])
    axes[0].legend(fontsize="small")
    plots.save(figure, path)
