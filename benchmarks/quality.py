"""What regeneration does to the decoded image, by strength, Canny strength and number of UNet calls.

Through the nodes as a workflow runs them, with the tiny models unless others are named. The default settings were
chosen on photographs that `run.py train` holds out, which are neither trained on nor measured here.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev import images

from .harness import comfy, figures
from .harness.figures import HEADER, OTHERS, SOURCES, cells, means, wins
from .harness.regenerator import BEST, EXACT, PAPER_SETTING, Setting, add_options, load_regenerator
from .harness.stored import CLEAN, PAPER, StoredImage, best, by_label, count_images
from .harness.tables import Table, show

NEEDS_IMAGES = True
PRESETS = {
    "paper": PAPER, "64 colors, no dither": CLEAN, "best, 3200 bytes": best(3200), "best, 1700 bytes": best(1700),
}  # fmt: skip
# The best settings (4 calls of the model, 3 by the exact pair), the first without ControlNet, 1, 6, 10 and 20 calls,
# and the paper's own.
SETTINGS = [
    BEST, EXACT, replace(BEST, canny_strength=0.0), Setting(0, 0.35, 1.0), Setting(20, 0.15, 1.0),
    Setting(50, 0.1, 1.0), Setting(100, 0.1, 1.0), PAPER_SETTING,
]  # fmt: skip
ALONE = "alone"


def add_arguments(parser):
    add_options(parser)
    parser.add_argument("--vae", metavar="NAME", help="as Load VAE lists it (default: that of the checkpoint)")
    parser.add_argument(
        "--settings", nargs="+", type=Setting.parse, default=SETTINGS, metavar="STEPS:STRENGTH:CANNY[:exact]",
        help="what to measure, with :exact by the exact pair; with 0 steps the model is asked once, at the sigma given "
        "as strength",
    )  # fmt: skip


def run(options, measurements) -> list[Table]:
    regenerator = load_regenerator(options)
    autoencoder = comfy.Autoencoder(options.vae or options.checkpoint, None if options.vae else regenerator.vae)
    has_taesd = autoencoder.latent_format == "SD1.x" and (options.shared / "models" / "vae_approx").is_dir()
    taesd = comfy.Autoencoder("taesd") if has_taesd else None
    for name, pixels in tqdm(images.load_crops(options.images, options.size).items(), unit="image", disable=None):
        image = StoredImage(name, pixels, autoencoder, options.shared, measurements)
        if taesd:
            image.get(ALONE, {"vae": autoencoder.name}, partial(compare_with_taesd, image, taesd))
        for preset, stored in PRESETS.items():
            for setting in (None, *options.settings):
                image.sdc(label_of(preset, setting), stored, regenerator, setting)
    return report(measurements.rows)


def label_of(preset: str, setting: Setting | None) -> str:
    return f"{preset}: {setting or 'decoded'}"


def compare_with_taesd(image: StoredImage, taesd) -> dict:
    """The image encoded and decoded; how far its latent is from TAESD's, and what that one decodes to."""
    other, decode = taesd.encode(image.pixels), image.autoencoder.decode
    return {
        **figures.measure(image.pixels, decode(image.latent), image.shared),
        "apart": float(np.linalg.norm(image.latent - other) / np.linalg.norm(other)),
        "other_lpips": figures.measure(image.pixels, decode(other), image.shared)["lpips"],
    }


def report(rows: list[dict]) -> list[Table]:
    found, key = by_label(rows), rows[-1]["key"]
    note = f"Means over {count_images(rows)} images; decoded by {key['vae']}, {key['checkpoint']}, {key['controlnet']}."
    tables = []
    if alone := found.pop(ALONE, None):
        average = means(alone)
        line = [key["vae"], *cells(average), f"{average['apart']:.3f}", show(average["other_lpips"], ".3f")]
        header = ["", *HEADER, "latents from TAESD's, relative L2", "LPIPS of TAESD's latents"]
        tables.append(Table("The autoencoder alone", header, [line], [note]))
    return [*tables, before_and_after(found, note), other_measures(found, note)]


def before_and_after(found: dict[str, list[dict]], note: str) -> Table:
    lines = []
    for label, values in found.items():
        before, average = decoded_of(found, label), means(values)
        line = [label, f"{average['bytes']:.0f}", f"{average['calls']:.0f}", f"{average['seconds']:.1f}"]
        change = ["", ""]
        if values is not before and average["lpips"] is not None:
            share = average["lpips"] / means(before)["lpips"] - 1
            change = [f"{100 * share:+.1f} %", wins("lpips", values, before)]
        lines.append([*line, *cells(average), *change])
    notes = [note, "UNet calls of inversion and regeneration together; seconds include decoding. Better by LPIPS."]
    header = ["", "bytes", "UNet calls", "seconds", *HEADER, "LPIPS change", "better images"]
    return Table("Before and after regeneration", header, lines, notes)


def other_measures(found: dict[str, list[dict]], note: str) -> Table:
    """Each measure, and on how many images it is better than decoded."""
    shown = {"ssim": metrics.COLUMNS["ssim"]} | {key: other[:2] for key, other in OTHERS.items()}
    lines = []
    for label, values in found.items():
        line, before = [label], decoded_of(found, label)
        for key, (_, form) in shown.items():
            line += [show(means(values)[key], form), "" if values is before else wins(key, values, before)]
        lines.append(line)
    header = ["", *(cell for name, _ in shown.values() for cell in (name, "better images"))]
    return Table("By other measures", header, lines, [note, SOURCES])


def decoded_of(found: dict[str, list[dict]], label: str) -> list[dict]:
    return found[label_of(label.partition(":")[0], None)]
