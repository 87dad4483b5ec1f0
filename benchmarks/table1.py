"""Table 1 of the paper, its eight rows beside ours.

The paper's figures are those it prints. Its LPIPS network is not named (VGG is likely), so its LPIPS cannot be
compared with ours. Ours are measured here, with the autoencoder and the diffusion model that the table names.
"""

from dataclasses import asdict

from tqdm import tqdm

from dev import images
from dev.tables import Table

from .harness import comfy
from .harness.regenerator import BEST, PAPER, add_options, load_regenerator
from .harness.stored import DITHERED, HEADER, UNDITHERED, USABLE_BASELINES, StoredImage, add_autoencoder_option, cells

NEEDS_IMAGES = True
# Jin et al., Table 1: SSIM, LPIPS, kilobytes.
PRINTED = {
    "peppers": {
        "JPEG": (0.482, 0.644, 3.4),
        "WebP": (0.645, 0.428, 4.1),
        "without inversion": (0.562, 0.338, 3.4),
        "with inversion": (0.606, 0.27, 3.4),
    },
    "tiffany": {
        "JPEG": (0.635, 0.668, 3.6),
        "WebP": (0.744, 0.45, 3.6),
        "without inversion": (0.652, 0.343, 3.4),
        "with inversion": (0.668, 0.276, 3.4),
    },
}
PAPER_ROWS = list(PRINTED["peppers"])


def add_arguments(parser):
    add_autoencoder_option(parser)
    add_options(parser)


def run(options, results):
    autoencoder = comfy.Autoencoder(options.vae)
    regenerator = load_regenerator(options)
    for name, pixels in tqdm(images.load_crops(options.images, options.size).items(), unit="image", disable=None):
        image = StoredImage(name, pixels, autoencoder, options.shared, results)
        size = image.sdc(DITHERED)["bytes"]
        for baseline in USABLE_BASELINES:
            image.baseline_of_size(baseline, size)
        for setting in (BEST, PAPER):
            image.sdc(DITHERED, regenerator, setting)
        image.sdc(UNDITHERED)
        image.bound()


def report(rows: list[dict]) -> list[Table]:
    names = list(dict.fromkeys(row["key"]["image"] for row in rows))
    lines = []
    for name in names:
        ours = {label(row["key"]): row["value"] for row in rows if row["key"]["image"] == name}
        ours = {**dict.fromkeys(PAPER_ROWS), **ours}
        lines += [line(name, label, figures) for label, figures in ours.items()]
    keys = [row["key"] for row in rows]
    vae = next(key["vae"] for key in keys if "vae" in key)
    models = next(f"{key['checkpoint']} and {key['controlnet']}" for key in keys if "checkpoint" in key)
    notes = [
        "Left the paper's own figures. Its LPIPS network is not named: that column is not comparable with ours.",
        f"Ours: autoencoder {vae}; with inversion by {models}, {BEST}; once more as the paper has it: {PAPER}.",
        "Baselines may take the bytes of the row without inversion; + marks those whose smallest file has more.",
    ]  # fmt: skip
    return [Table("Table 1", ["", "paper SSIM", "LPIPS", "kB", "our bytes", *HEADER], lines, notes)]


def label(key: dict) -> str:
    if key["row"] != "SDC":
        return {"autoencoder": "autoencoder alone"}.get(key["row"], key["row"])
    if "checkpoint" in key:
        ours = all(key[name] == value for name, value in asdict(BEST).items())
        return "with inversion" if ours else "with inversion, paper's settings"
    return "64 colors, no dither" if key["dither"] == "none" else "without inversion"


def line(image: str, label: str, figures: dict | None) -> list[str]:
    paper = PRINTED.get(image, {}).get(label)
    printed = [f"{value:g}" for value in paper] if paper else [""] * 3
    if figures is None:
        return [f"{image}, {label}", *printed, *["missing"] * (1 + len(HEADER))]
    size = f"{figures['bytes']}{'' if figures.get('fits', True) else '+'}" if "bytes" in figures else "-"
    return [f"{image}, {label}", *printed, size, *cells(figures)]
