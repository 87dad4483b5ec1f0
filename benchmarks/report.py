"""Everything about your checkpoint and ControlNet on your images: one HTML page, its figures, a blind test.

Table 1's layout, what each part adds, LPIPS over strength and Canny strength, the best setting that was found, the
images, and pairs of them to judge without knowing which is which.
"""

import hashlib
import html
from dataclasses import replace
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

from .harness import comfy
from .harness.blind import write_sheet
from .harness.figures import OTHERS, load_lpips, means
from .harness.measurements import Measurements, commit, versions
from .harness.regenerator import PAPER_SETTING, Regenerator, Setting, add_options, listed, load_regenerator
from .harness.stored import BOUND_LABEL, PAPER, USABLE_BASELINES, StoredImage
from .harness.tables import Table, show
from .quality import before_and_after, label_of, other_measures
from .table1 import TABLE_HEADER, line

NEEDS_IMAGES = True
PRESET = "paper"
STRENGTHS = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
CANNY_STRENGTHS = (0.0, 0.3, 0.6, 1.0)
STEPS = 20  # of the grid
SIGMA = 0.35  # of the one call without inversion
STYLE = """body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: 0.2rem 0.8rem; text-align: right }
td:first-child, th:first-child { text-align: left } tr:nth-child(even) { background: #8881 }
.images { display: grid; gap: 0.5rem; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)) }
figure { margin: 0 } img { width: 100% } figcaption, li { font-size: 0.9rem }"""


def add_arguments(parser):
    add_options(parser)
    parser.add_argument("--vae", metavar="NAME", help="as Load VAE lists it, or a file (default: the checkpoint's)")
    parser.add_argument(
        "--output", type=Path, default=Path("sdc-report"), metavar="DIR", help="for all of it (default: sdc-report)"
    )
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"of the grid (default: {STEPS})")
    parser.add_argument(
        "--grid-images", type=int, default=4, metavar="N", help="the first so many make the grid (default: 4)"
    )


def run(options, measurements) -> list[Table]:
    report = Report(options, measurements)
    best = report.find_best()
    report.measure(best)
    return report.write(best)


class Report:
    def __init__(self, options, measurements: Measurements):
        self.options, self.measurements, self.folder = options, measurements, options.output
        self.regenerator = load_regenerator(options)
        if "weights" not in self.regenerator.key:  # the tiny models name theirs
            self.regenerator.key["weights"] = digest_of_models(self.regenerator)
        self.autoencoder = load_autoencoder(options, self.regenerator)
        self.images = {
            name: StoredImage(name, pixels, self.autoencoder, options.shared, measurements)
            for name, pixels in images.load_crops(options.images, options.size).items()
        }
        self.grid_names = list(self.images)[: options.grid_images]
        self.ranked_by = "lpips" if load_lpips(options.shared)[0] else "haarpsi"
        (self.folder / "images").mkdir(parents=True, exist_ok=True)

    def sdc(self, name: str, setting: Setting | None) -> dict:
        label = label_of(PRESET, setting)
        return self.images[name].sdc(label, PAPER, self.regenerator, setting, partial(self.keep, name, label))

    def grid_means(self, setting: Setting | None) -> dict:
        return means([self.sdc(name, setting) for name in self.grid_names])

    def find_best(self) -> Setting:
        """The setting of the grid with the best mean, by LPIPS where its weights are here."""
        grid = [self.setting(*place) for place in product(STRENGTHS, CANNY_STRENGTHS)]
        jobs = tqdm(grid, desc="grid", unit="setting", disable=None)
        found = {setting: self.grid_means(setting)[self.ranked_by] for setting in jobs}
        if None in found.values():
            raise SetupError("The images are too small to be measured: 64 pixels a side are needed.")
        return (min if self.ranked_by == "lpips" else max)(found, key=found.__getitem__)

    def setting(self, strength: float, canny_strength: float) -> Setting:
        return Setting(self.options.steps, strength, canny_strength)

    def measure(self, best: Setting):
        for name, image in tqdm(self.images.items(), desc="images", unit="image", disable=None):
            for setting in parts(best).values():
                max_bytes = self.sdc(name, setting)["bytes"]
            for baseline in USABLE_BASELINES:
                image.baseline_of_size(baseline, max_bytes)
                if not self.file(name, baseline).exists():
                    made = baselines.encode_baseline_to_size(baseline, image.pixels, max_bytes)
                    self.keep(name, baseline, made.pixels())
            self.keep(name, "original", image.pixels)
            image.bound()

    def file(self, name: str, label: str) -> Path:
        safe = "".join(letter if letter.isalnum() or letter in " .-_" else "-" for letter in f"{name}, {label}")
        return self.folder / "images" / f"{safe}.png"

    def keep(self, name: str, label: str, pixels: np.ndarray):
        Image.fromarray(pixels).save(self.file(name, label))

    def load(self, name: str, label: str) -> np.ndarray:
        return np.asarray(Image.open(self.file(name, label)).convert("RGB"))

    def write(self, best: Setting) -> list[Table]:
        """The page and the blind sheet."""
        note = f"Means over {len(self.images)} image{'s'[: len(self.images) - 1]}, preset {PRESET}."
        named = {f"{PRESET}: decoded": None} | {f"{PRESET}: {part}": setting for part, setting in parts(best).items()}
        found = {label: [self.sdc(name, setting) for name in self.images] for label, setting in named.items()}
        tables = [self.table1(best), before_and_after(found, note), other_measures(found, note), *self.grids()]
        introduction = [*self.provenance(), f"Best found: {best}. The paper's: {PAPER_SETTING}."]
        shown = {"original": "original", "decoded": label_of(PRESET, None), "best found": label_of(PRESET, best)}
        shown |= {"the paper's": label_of(PRESET, PAPER_SETTING)} | {name: name for name in USABLE_BASELINES}
        files = {name: {caption: f"images/{self.file(name, label).name}" for caption, label in shown.items()}
                 for name in self.images}  # fmt: skip
        page = make_page("SDC with your models", introduction, tables, files)
        (self.folder / "report.html").write_text(page, encoding="utf-8")
        write_sheet(self.folder, list(self.pairs(best)))
        say(f"Wrote {self.folder / 'report.html'}, and blind.html (its key: blind-key.json) next to it.\n")
        return tables

    def provenance(self) -> list[str]:
        found = ", ".join(f"{name} {version}" for name, version in versions().items())
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        key, side = self.regenerator.key, self.options.size
        return [
            f"Checkpoint {key['checkpoint']}, ControlNet {key['controlnet']} (weights {key['weights']}), autoencoder "
            f"{self.autoencoder.name}; empty prompt, cfg 1.",
            f"Commit {commit()}; {found}; {device}.",
            f"Images: {', '.join(self.images)}; {f'at most {side}x{side} pixels of each' if side else 'whole'}.",
            load_lpips(self.options.shared)[1],
        ]

    def table1(self, best: Setting) -> Table:
        lines = []
        for name, image in self.images.items():
            before = self.sdc(name, None)
            rows = {baseline: image.baseline_of_size(baseline, before["bytes"]) for baseline in USABLE_BASELINES}
            rows |= {"without inversion": before, "with inversion": self.sdc(name, PAPER_SETTING)}
            rows |= {"with inversion, best found": self.sdc(name, best), BOUND_LABEL: image.bound()}
            lines += [line(name, label, figures) for label, figures in rows.items()]
        notes = [
            "Baselines may take the bytes of the row without inversion; + marks a smallest file that is larger.",
            "The paper's own figures are of its two images. It does not name its LPIPS network.",
        ]
        return Table("Table 1", TABLE_HEADER, lines, notes)

    def grids(self) -> list[Table]:
        """By the measure that chose the best setting, and by SSIM."""
        tables = []
        for key in (self.ranked_by, "ssim"):
            title, form = (metrics.COLUMNS.get(key) or OTHERS[key])[:2]
            lines = []
            for strength in STRENGTHS:
                values = [self.grid_means(self.setting(strength, canny))[key] for canny in CANNY_STRENGTHS]
                lines.append([f"strength {strength:g}", *(show(value, form) for value in values)])
            decoded = show(self.grid_means(None)[key], form)
            notes = [f"{self.options.steps} steps, means over {', '.join(self.grid_names)}; decoded: {decoded}."]
            header = ["", *(f"Canny {canny:g}" for canny in CANNY_STRENGTHS)]
            tables.append(Table(f"{title} over strength and Canny strength", header, lines, notes))
        return tables

    def pairs(self, best: Setting):
        """(original, two images by name): regenerated against decoded, and against the last of the baselines."""
        strongest = "AVIF" if "AVIF" in USABLE_BASELINES else USABLE_BASELINES[-1]
        for name, image in self.images.items():
            regenerated = {"regenerated": self.load(name, label_of(PRESET, best))}
            for other, label in (("decoded", label_of(PRESET, None)), (strongest, strongest)):
                yield image.pixels, {**regenerated, other: self.load(name, label)}


def parts(best: Setting) -> dict[str, Setting]:
    return {
        "the ControlNet alone, one call without inversion": Setting(0, SIGMA, best.canny_strength or 1.0),
        "the best found, without the ControlNet": replace(best, canny_strength=0.0),
        "the best found": best,
        "the paper's setting": PAPER_SETTING,
    }


def load_autoencoder(options, regenerator: Regenerator) -> comfy.Autoencoder:
    if options.vae is None:
        return comfy.Autoencoder(regenerator.key["checkpoint"], regenerator.vae)
    return comfy.Autoencoder(listed("vae", options.vae) if Path(options.vae).is_file() else options.vae)


def digest_of_models(regenerator: Regenerator) -> str:
    """Of the files, whatever their names."""
    import folder_paths

    found = hashlib.sha256()
    for key, folder in (("checkpoint", "checkpoints"), ("controlnet", "controlnet")):
        with open(folder_paths.get_full_path_or_raise(folder, regenerator.key[key]), "rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:12]


def make_page(title: str, introduction: list[str], tables: list[Table], files: dict[str, dict[str, str]]) -> str:
    """HTML; `files` gives for each original the images to show by their captions, relative to the page."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(text)}</p>" for text in introduction)]
    parts += [*map(to_html, tables), "<h2>Images</h2>"]
    for name, shown in files.items():
        figures = [
            f'<figure><a href="{html.escape(file)}"><img src="{html.escape(file)}" alt="" loading="lazy"></a>'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, file in shown.items()
        ]
        parts += [f"<h3>{html.escape(name)}</h3>", f'<div class="images">{"".join(figures)}</div>']
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{"".join(parts)}</body></html>\n'


def to_html(table: Table) -> str:
    def row(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>\n"

    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    body = row(table.header, "th") + "".join(row(cells, "td") for cells in table.rows)
    return f"<h2>{html.escape(table.title)}</h2>\n<ul>{notes}</ul>\n<table>{body}</table>\n"
