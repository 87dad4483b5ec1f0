"""Everything about a checkpoint and a ControlNet of yours on your images: one HTML page, a JSON file, a blind sheet.

For the first who has a real Stable Diffusion 1.5: Table 1's layout, what each part adds, LPIPS over strength and Canny
strength, the best setting that was found, the images, and pairs of them to judge without knowing which is which.
"""

import hashlib
import json
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sdc_pack.nodes.comparison import baselines, metrics
from tqdm import tqdm

from dev import images
from dev.environment import SetupError, say
from dev.tables import Table, show

from .harness import comfy
from .harness.blind import write_sheet
from .harness.measures import OTHERS
from .harness.page import make_page
from .harness.regenerator import PAPER, Regenerator, Setting, add_options, listed, load_regenerator
from .harness.results import Results
from .harness.stored import DITHERED, HEADER, USABLE_BASELINES, StoredImage, cells, load_lpips, means
from .quality import UNCHANGED, ablation, other_measures
from .table1 import PRINTED

NEEDS_IMAGES = True
PRESET = "paper"
STRENGTHS = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
CANNY_STRENGTHS = (0.0, 0.3, 0.6, 1.0)
STEPS = 20  # of the grid
SIGMA = 0.35  # of the one call without inversion


def add_arguments(parser):
    add_options(parser)
    parser.add_argument("--vae", metavar="NAME", help="as Load VAE lists it, or a file (default: the checkpoint's)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where page, figures and images go")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"of the grid (default: {STEPS})")
    parser.add_argument(
        "--grid-images", type=int, default=4, metavar="N", help="the first so many make the grid (default: 4)"
    )


def run(options, results):
    options.output.mkdir(parents=True, exist_ok=True)
    if options.json:
        raise SetupError("This bench writes report.json into the folder that --output names.")
    results = Results(options.output / "report.json", "report", results.head["settings"], options.keep)
    try:
        bench = Report(options, results)
        best = bench.find_best()
        bench.measure(best)
        bench.write(best)
    finally:
        results.save()


class Report:
    def __init__(self, options, results):
        self.options, self.results, self.folder = options, results, options.output
        self.regenerator = load_regenerator(options)
        if "weights" not in self.regenerator.key:  # the tiny models name theirs
            self.regenerator.key["weights"] = digest_of_models(self.regenerator)
        self.autoencoder = load_autoencoder(options, self.regenerator)
        self.images = {
            name: StoredImage(name, pixels, self.autoencoder, options.shared, results)
            for name, pixels in images.load_crops(options.images, options.size).items()
        }
        self.ranked_by = "lpips" if load_lpips(options.shared)[0] else "haarpsi"
        self.grid = {
            (strength, canny): Setting(options.steps, strength, canny)
            for strength, canny in product(STRENGTHS, CANNY_STRENGTHS)
        }

    def sdc(self, name: str, setting: Setting | None) -> dict:
        look = partial(self.keep, name, str(setting or UNCHANGED))
        return self.images[name].sdc(DITHERED, self.regenerator, setting, look)

    def find_best(self) -> Setting:
        """The setting of the grid with the best mean, by LPIPS where its weights are here."""
        names = list(self.images)[: self.options.grid_images]
        jobs = tqdm(self.grid.values(), desc="grid", unit="setting", disable=None)
        found = {setting: means([self.sdc(name, setting) for name in names])[self.ranked_by] for setting in jobs}
        known = {setting: value for setting, value in found.items() if value is not None}
        if not known:
            raise SetupError("The images are too small to be measured: 64 pixels a side are needed.")
        return (min if self.ranked_by == "lpips" else max)(known, key=known.__getitem__)

    def parts(self, best: Setting) -> dict[str, Setting]:
        return {
            "the ControlNet alone, one call without inversion": Setting(0, SIGMA, best.canny_strength or 1.0),
            "the best found, without the ControlNet": replace(best, canny_strength=0.0),
            "the best found": best,
            "as the paper has it": PAPER,
        }

    def measure(self, best: Setting):
        for name, image in tqdm(self.images.items(), desc="images", unit="image", disable=None):
            size = self.sdc(name, None)["bytes"]
            for setting in self.parts(best).values():
                self.sdc(name, setting)
            for baseline in USABLE_BASELINES:
                image.baseline_of_size(baseline, size)
                if not self.file(name, baseline).exists():
                    self.keep(name, baseline, baselines.encode_baseline_to_size(baseline, image.pixels, size).pixels())
            self.keep(name, "original", image.pixels)
            image.bound()

    def file(self, name: str, what: str) -> Path:
        safe = "".join(letter if letter.isalnum() or letter in " .-_" else "-" for letter in f"{name}, {what}")
        return self.folder / "images" / f"{safe}.png"

    def keep(self, name: str, what: str, pixels: np.ndarray):
        file = self.file(name, what)
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(file)

    def write(self, best: Setting):
        count = len(self.images)
        about = f"Means over {count} image{'s' * (count > 1)}, preset {PRESET}."
        found = {
            (PRESET, str(setting or UNCHANGED)): [self.sdc(name, setting) for name in self.images]
            for setting in (None, *self.parts(best).values())
        }
        tables = [
            self.table1(best), ablation(found, about, [PRESET], self.parts(best)), *self.grids(),
            other_measures(found, about),
        ]  # fmt: skip
        shown = {"original": "original", "decoded": UNCHANGED, "the best found": str(best), "the paper's": str(PAPER)}
        shown |= {baseline: baseline for baseline in USABLE_BASELINES}
        files = {
            name: {caption: f"images/{self.file(name, what).name}" for caption, what in shown.items()}
            for name in self.images
        }
        introduction = [*self.about(), f"Best found: {best}. The paper's: {PAPER}."]
        page = make_page("SDC with your models", introduction, tables, files)
        (self.folder / "report.html").write_text(page, encoding="utf-8")
        content = {"about": introduction, "best": asdict(best), "tables": [asdict(table) for table in tables]}
        (self.folder / "tables.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        write_sheet(self.folder, list(self.pairs(best)))
        for table in tables:
            say(table.text())
        say(f"Wrote {self.folder / 'report.html'}, tables.json and blind.html (its key: blind-key.json) beside it.")

    def about(self) -> list[str]:
        made_by = ", ".join(f"{name} {version}" for name, version in self.results.head["made_by"].items())
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        key = self.regenerator.key
        return [
            f"Checkpoint {key['checkpoint']}, ControlNet {key['controlnet']} (weights {key['weights']}), autoencoder "
            f"{self.autoencoder.name}; empty prompt, guidance 1.",
            f"Commit {self.results.commit}; {made_by}; {device}.",
            f"Images: {', '.join(self.images)}; at most {self.options.size}x{self.options.size} pixels of each."
            if self.options.size
            else f"Images: {', '.join(self.images)}; whole.",
            load_lpips(self.options.shared)[1],
        ]

    def table1(self, best: Setting) -> Table:
        lines = []
        for name, image in self.images.items():
            before = self.sdc(name, None)
            rows = {baseline: image.baseline_of_size(baseline, before["bytes"]) for baseline in USABLE_BASELINES}
            rows |= {"without inversion": before, "with inversion": self.sdc(name, PAPER)}
            rows |= {"with inversion, best found": self.sdc(name, best), "autoencoder alone": image.bound()}
            for label, figures in rows.items():
                paper = PRINTED.get(name, {}).get(label)
                size = f"{figures['bytes']}{'' if figures.get('fits', True) else '+'}" if "bytes" in figures else "-"
                printed = [f"{value:g}" for value in paper] if paper else [""] * 3
                lines.append([f"{name}, {label}", *printed, size, *cells(figures)])
        notes = [
            "Baselines may take the bytes of the row without inversion; + marks those whose smallest file has more.",
            "Left the paper's own figures, of its two images. Its LPIPS network is not named.",
        ]
        return Table("Table 1", ["", "paper SSIM", "LPIPS", "kB", "our bytes", *HEADER], lines, notes)

    def grids(self) -> list[Table]:
        names = list(self.images)[: self.options.grid_images]
        tables = []
        for key in dict.fromkeys((self.ranked_by, "ssim")):
            title, form = (metrics.COLUMNS.get(key) or OTHERS[key])[:2]
            lines = []
            for strength in STRENGTHS:
                values = [means([self.sdc(n, self.grid[strength, c]) for n in names])[key] for c in CANNY_STRENGTHS]
                lines.append([f"strength {strength:g}", *(show(value, form) for value in values)])
            notes = [
                f"{self.options.steps} steps, means over {', '.join(names)}; decoded, before it: "
                f"{show(means([self.sdc(n, None) for n in names])[key], form)}."
            ]
            header = ["", *(f"Canny {canny:g}" for canny in CANNY_STRENGTHS)]
            tables.append(Table(f"{title} over strength and Canny strength", header, lines, notes))
        return tables

    def pairs(self, best: Setting):
        """(original, two images by name): regenerated against decoded, and against the last of the baselines."""

        def load(name, what):
            return np.asarray(Image.open(self.file(name, what)).convert("RGB"))

        strongest = "AVIF" if "AVIF" in USABLE_BASELINES else USABLE_BASELINES[-1]
        for name, image in self.images.items():
            regenerated = {"regenerated": load(name, str(best))}
            for other, what in (("decoded", UNCHANGED), (strongest, strongest)):
                yield image.pixels, {**regenerated, other: load(name, what)}


def load_autoencoder(options, regenerator: Regenerator) -> comfy.Autoencoder:
    if options.vae is None:
        return comfy.Autoencoder(regenerator.key["checkpoint"], regenerator.vae)
    return comfy.Autoencoder(listed("vae", options.vae) if Path(options.vae).is_file() else options.vae)


def digest_of_models(regenerator: Regenerator) -> str:
    """Of the files, whatever their names."""
    import folder_paths

    found = hashlib.sha256()
    for kind in ("checkpoint", "controlnet"):
        folder = "checkpoints" if kind == "checkpoint" else kind
        with open(folder_paths.get_full_path_or_raise(folder, regenerator.key[kind]), "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:12]
