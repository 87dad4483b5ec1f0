"""What regeneration does to the decoded picture, by strength, Canny strength and number of UNet calls.

Through the nodes as a workflow runs them, with the tiny models unless others are named. The settings were chosen on
photographs that `run.py train` holds out, which are neither trained on nor measured here.
"""

import time
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from PIL import Image
from sdc_pack import codec
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev.environment import SetupError, say

from .harness import comfy, measure, pictures, plots
from .harness.regenerator import BEST, PAPER, Setting, add_options, load_regenerator
from .harness.results import picture_key
from .harness.tables import Table, mean

PRESETS = {"paper": codec.PAPER_PRESET, "64 colours, no dither": {"colours": 64, "dither": "none"}}
UNCHANGED = "decoded"
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
    parser.add_argument("--gallery", type=Path, metavar="DIR", help="write the pictures there")


def run(options, results):
    if not options.images:
        raise SetupError("Name pictures to measure on: --images DIR")
    comfy.start(options)
    regenerator = load_regenerator(options)
    own = None if options.vae else regenerator.vae
    autoencoder = comfy.Autoencoder(options.vae or options.checkpoint, own)
    originals = pictures.load(options.images, options.size)
    if autoencoder.latent_format == "SD1.x" and (options.shared / "models" / "vae_approx").is_dir():
        beside = comfy.Autoencoder("taesd")
        for name, pixels in originals.items():
            key = {**picture_key(name, pixels), "vae": autoencoder.name, **regenerator.key, "row": "autoencoder"}
            results.get(key, partial(measure_autoencoder, pixels, autoencoder, beside, options.shared))
    work = [(name, preset) for name in originals for preset in PRESETS]
    for name, preset in tqdm(work, unit="picture", disable=None):
        picture = Picture(name, originals[name], preset, autoencoder, regenerator, options)
        for setting in (None, *options.settings):
            results.get(picture.key(setting), partial(picture.measure, setting))
    for table in report(results.rows):
        say(table.text())
    say(measure.load_lpips(options.shared)[1])
    if options.plot:
        plot(results.rows, options.plot)


def measure_autoencoder(pixels, autoencoder, beside, shared) -> dict:
    """Encoded and decoded; the latents, and the picture of the latents, of another autoencoder of the same space."""
    latent, other = autoencoder.encode(pixels), beside.encode(pixels)
    return {
        **measure.figures(pixels, autoencoder.decode(latent), shared),
        "apart": float(np.linalg.norm(latent - other) / np.linalg.norm(other)),
        "other_lpips": measure.figures(pixels, autoencoder.decode(other), shared)["lpips"],
    }


class Picture:
    """One picture in one preset, decoded once."""

    def __init__(self, name, pixels, preset, autoencoder, regenerator, options):
        self.name, self.pixels, self.preset = name, pixels, preset
        self.autoencoder, self.regenerator, self.options = autoencoder, regenerator, options

    def key(self, setting: Setting | None) -> dict:
        key = {**picture_key(self.name, self.pixels), "preset": self.preset, "vae": self.autoencoder.name}
        return {**key, **self.regenerator.key_of(setting)} if setting else {**key, **self.regenerator.key}

    @cached_property
    def file(self) -> codec.EncodedPicture:
        return codec.encode(self.autoencoder.encode(self.pixels), **PRESETS[self.preset])

    @cached_property
    def decoded(self) -> np.ndarray:
        return self.autoencoder.decode(codec.decode(self.file))

    def measure(self, setting: Setting | None) -> dict:
        shown, calls, since = self.decoded, 0, time.monotonic()
        if setting:
            latent, calls = self.regenerator.run(codec.decode(self.file), self.decoded, setting)
            shown = self.autoencoder.decode(latent)
        seconds = time.monotonic() - since
        if self.options.gallery:
            self.options.gallery.mkdir(parents=True, exist_ok=True)
            name = f"{self.name}, {self.preset}, {setting or UNCHANGED}.png".replace(":", "-")
            Image.fromarray(shown).save(self.options.gallery / name)
        figures = measure.figures(self.pixels, shown, self.options.shared)
        return {"bytes": self.file.size, "calls": calls, "seconds": seconds, **figures}


def groups(rows: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """(preset, setting) -> figures of every picture, in one order."""
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        key = row["key"]
        if "preset" not in key:
            continue
        known = "steps" in key
        setting = str(Setting(key["steps"], key["strength"], key["canny_strength"])) if known else UNCHANGED
        found.setdefault((key["preset"], setting), []).append(row["value"])
    return dict(sorted(found.items(), key=lambda item: list(PRESETS).index(item[0][0])))


def averages(figures: list[dict]) -> dict:
    return {name: mean([one[name] for one in figures]) for name in (*metrics.COLUMNS, "bytes", "calls", "seconds")}


def report(rows: list[dict]) -> list[Table]:
    lines = []
    found = groups(rows)
    for (preset, setting), figures in found.items():
        before, means = found[preset, UNCHANGED], averages(figures)
        line = [f"{preset}: {setting}", f"{means['bytes']:.0f}", f"{means['calls']:.0f}", f"{means['seconds']:.1f}"]
        line += measure.cells(means)
        if setting == UNCHANGED or means["lpips"] is None:
            line += ["", ""]
        else:
            better = sum(after["lpips"] < one["lpips"] for after, one in zip(figures, before, strict=True))
            line += [f"{100 * (means['lpips'] / averages(before)['lpips'] - 1):+.1f} %", str(better)]
        lines.append(line)
    key = rows[-1]["key"]
    notes = [
        f"Means over {len({row['key']['pixels'] for row in rows})} pictures; {key['checkpoint']}, {key['controlnet']}, "
        f"autoencoder {key['vae']}.",
        f"The best setting, chosen on training photographs: {BEST}. The paper's: {PAPER}.",
        "UNet calls of inversion and regeneration together; seconds with the decoding, by the networks as trained, "
        "which ComfyUI runs padded, in more.",
    ]
    header = ["", "bytes", "UNet calls", "seconds", *measure.HEADER, "LPIPS change", "better pictures"]
    return [*autoencoder_table(rows), Table("Before and after regeneration", header, lines, notes)]


def autoencoder_table(rows: list[dict]) -> list[Table]:
    alone = [row for row in rows if row["key"].get("row") == "autoencoder"]
    if not alone:
        return []
    means = {name: mean([row["value"][name] for row in alone]) for name in alone[0]["value"]}
    other = "-" if means["other_lpips"] is None else f"{means['other_lpips']:.3f}"
    line = [alone[0]["key"]["vae"], *measure.cells(means), f"{means['apart']:.3f}", other]
    header = ["", *measure.HEADER, "latents from TAESD's, relative L2", "LPIPS of TAESD's latents"]
    return [Table("The autoencoder alone", header, [line], [f"Means over {len(alone)} pictures, nothing is stored."])]


def plot(rows: list[dict], path: Path):
    """LPIPS and SSIM over UNet calls; every point is a setting, the lines are the decoded pictures."""
    figure, axes = plots.axes(2)
    for axis, column in zip(axes, ("lpips", "ssim"), strict=True):
        for colour, preset in enumerate(PRESETS):
            points = {name: averages(figures) for (of, name), figures in groups(rows).items() if of == preset}
            points = {name: means for name, means in points.items() if means[column] is not None}
            if not points:
                continue
            if UNCHANGED in points:
                axis.axhline(points.pop(UNCHANGED)[column], color=f"C{colour}", label=f"{preset}, decoded")
            where = [(means["calls"], means[column]) for means in points.values()]
            axis.plot(*zip(*where, strict=True), "o", color=f"C{colour}", label=f"{preset}, regenerated")
        axis.set(xscale="log", xlabel="UNet calls, up and down", ylabel=metrics.COLUMNS[column][0])
    axes[0].legend(fontsize="small")
    plots.save(figure, path)
