"""docs/results.md: the tables and plots of other benches from their JSON files, and a gallery of what is lost.

Plots and gallery go to docs/results/, and so does figures.json: what the tables show, for programs. Each JSON file
becomes a chapter that has its name; a chapter whose file is not there stays as it is.
"""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from sdc_pack import codec
from sdc_pack.nodes.comparison import sheet, table
from sdc_pack.nodes.comparison.entries import Entry, compare

from dev.environment import SetupError, say
from dev.tables import Table

from . import list_benches, load_bench
from .harness import comfy, stale
from .harness.regenerator import BEST, PAPER, add_options, load_regenerator
from .harness.results import REPO
from .harness.stored import add_autoencoder_option, load_lpips
from .harness.summary import first_screen, unfold_tables

TRIED = "13:0.15:1 13:0.15:0 0:0.35:1 20:0.15:1 50:0.1:1 10:0.2:1"  # the others take up to ten times as long
CHAPTERS = {  # file name -> heading and how the file is made
    "table1": ("The paper's Table 1", "table1 --images ../shared/images/paper"),
    "kodak": ("Kodak, 24 photographs", "rate --images ../shared/images/kodak"),
    "generated": ("Images made with ComfyUI", "rate --images ../shared/images/generated"),
    "quality": ("What regeneration adds", f"quality --images ../shared/images/kodak --settings {TRIED}"),
    "quality_taesd": (
        "What regeneration adds where TAESD decodes",
        "quality --images ../shared/images/kodak --vae taesd --settings 13:0.15:1 20:0.1:1",
    ),
    "tune": ("How the setting was chosen", "tune"),
    "inversion": (
        "Inversion and back",
        "inversion --images ../shared/images/kodak/kodim{03,13,23}.png --size 256 --checkpoint sdc-tiny.safetensors",
    ),
    "speed": ("Speed and memory", "speed --images ../shared/images/kodak"),
}
IMAGES = {"speed": "mosaics of the images that its command names"}  # of benches whose rows are not of one image
INTRODUCTION = """# Results

Written by `python run.py bench results` from what the other benches have measured; nothing here is typed by hand.
Each table names the commit, the settings and the images that it was measured with; a chapter is marked stale where
that code has changed since. Images are center crops. PSNR in dB, SSIM with a 7x7 window, MS-SSIM on five scales, all
as means over RGB in 8 bits; LPIPS is version 0.1 on AlexNet, where lower is better. TAESD is a tiny stand-in for the
autoencoder of SD 1.x, and coarser. What a codec's smallest file cannot meet is not scaled down to fit.

## How to make it again

```
{commands}
```
"""
GALLERY = """## What is lost

Where this codec should not be used. Lettering becomes other lettering, a face another face, fine texture another
texture: sharp, plausible and wrong, where AVIF is soft and right. In PSNR and SSIM AVIF is nearer to the original at
these sizes, and for whatever has to be read, recognized or measured it is the better choice. (AVIF was given the bytes
of the preset `paper`; where its smallest file has more, that one is shown.) Regeneration is that of the tiny models:
once at the setting of the tables above, once at the paper's, full strength and 50 steps, more than so small a model
can bear: colors fade and detail turns to mush.
"""
CREDITS = {
    "faces": "Photograph of Eileen Collins by NASA, public domain (scikit-image).",
    "fine texture": "Grass by linolafett, CC0 (scikit-image).",
    "lettering": "Drawn for this page.",
}


def add_arguments(parser):
    parser.add_argument("--from", dest="folder", type=Path, default=Path("sdc-bench"), metavar="DIR", help="JSON files")
    parser.add_argument("--docs", type=Path, default=REPO / "docs", metavar="DIR", help="where results.md goes")
    parser.add_argument("--mark", action="store_true", help="only mark what is stale in the page that is there")
    add_autoencoder_option(parser)
    add_options(parser)


def run(options, results):
    page = options.docs / "results.md"
    if options.mark:
        page.write_text(marked(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
        say(f"Marked {page}")
        return
    files = sorted(options.folder.glob("*.json"))
    if not files:
        raise SetupError(f"There is no .json file in {options.folder}; make some: python run.py bench NAME --json FILE")
    (options.docs / "results").mkdir(parents=True, exist_ok=True)
    path = options.docs / "results" / "figures.json"
    texts, figures = measured_before(page, path)
    for file in files:
        texts[file.stem], figures[file.stem] = chapter(file, options.docs)
    order = sorted(texts, key=[*CHAPTERS, *texts].index)
    texts, figures = ({name: made[name] for name in order} for made in (texts, figures))
    speed = [texts.pop(name) for name in ("speed",) if name in texts]
    images, shown = gallery(options)
    figures["gallery"] = {"bench": "results", "commits": [results.commit], "tables": numbers([shown])}
    text = first_screen("\n".join([introduction(), *texts.values(), images, *speed]), figures)
    page.write_text(marked(text), encoding="utf-8", newline="\n")
    path.write_text(to_json(figures), encoding="utf-8", newline="\n")
    say(f"Wrote {page} and {path}")


def measured_before(page: Path, figures: Path) -> tuple[dict[str, str], dict[str, dict]]:
    """Chapters of the page that is there, without their folds, and their part of figures.json."""
    if not (page.is_file() and figures.is_file()):
        return {}, {}
    parts = re.split(r"^(?=## )", unfold_tables(page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    texts = {part.partition("\n")[0].removeprefix("## "): part.rstrip("\n") + "\n" for part in parts}
    kept = json.loads(figures.read_text(encoding="utf-8"))
    names = [name for name, (heading, _) in CHAPTERS.items() if heading in texts and name in kept]
    return {name: texts[CHAPTERS[name][0]] for name in names}, {name: kept[name] for name in names}


def marked(page: str) -> str:
    """With marks at the chapters that are stale."""
    return stale.mark(page, {heading: made.split()[0] for heading, made in CHAPTERS.values()})


def introduction() -> str:
    commands = [f"python run.py bench {made} --json sdc-bench/{name}.json" for name, (_, made) in CHAPTERS.items()]
    return INTRODUCTION.format(commands="\n".join([*commands, "python run.py bench results"]))


def chapter(path: Path, docs: Path) -> tuple[str, dict]:
    """A chapter of docs/results.md, and its part of figures.json."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["bench"] not in list_benches():
        raise SetupError(f"{path} is of the bench {stored['bench']!r}, which is not there.")
    bench, rows = load_bench(stored["bench"]), stored["rows"]
    parts = [f"## {CHAPTERS.get(path.stem, (path.stem,))[0]}\n"]
    if hasattr(bench, "plot"):
        image = f"results/{path.stem}.svg"
        bench.plot(rows, docs / image)
        parts.append(f"![{path.stem}]({image})\n")
    tables = bench.report(rows)
    commits = sorted({row["commit"] for row in rows})
    for each in tables:
        each.notes = [*each.notes, provenance(stored, commits)]
    parts += [each.markdown() for each in tables]
    made_by = ", ".join(f"{name} {version}" for name, version in stored["made_by"].items() if name != "code")
    parts.append(f"Measured at commit {', '.join(commits)} with {made_by}.\n")
    figures = {"bench": stored["bench"], "commits": commits, "settings": stored["settings"]}
    figures["images"] = len({row["key"]["pixels"] for row in rows if "pixels" in row["key"]})
    return "\n".join(parts), {**figures, "tables": numbers(tables)}


def provenance(stored: dict, commits: list[str]) -> str:
    """A note under a table: by which code it was measured, with which settings, on what."""
    names = list(dict.fromkeys(row["key"]["image"] for row in stored["rows"] if "image" in row["key"]))
    settings = [f"{name} {value}" for name, value in stored["settings"].items() if name != "size"]
    parts = [f"Commit {', '.join(commits)}", *settings]
    if names:
        shown = names if len(names) < 4 else [names[0], "...", names[-1]]
        side = stored["settings"].get("size")
        parts.append(f"{' '.join(shown)}{f' ({len(names)})' * (len(names) > 3)}, {crop_of(side)}")
    else:
        parts.append(IMAGES.get(stored["bench"], "no images"))
    return f"{'; '.join(parts)}."


def crop_of(side: int | None) -> str:
    return f"at most {side}x{side} pixels of each" if side else "whole"


def numbers(tables: list[Table]) -> dict[str, dict]:
    """Title -> header and rows, each with its label; None for what is not one number. Tables of other things go."""
    found = {}
    for shown in tables:
        rows = {line[0]: [to_number(cell) for cell in line[1:]] for line in shown.rows}
        rows = {label: cells for label, cells in rows.items() if set(cells) != {None}}
        if rows:
            found[shown.title] = {"header": shown.header[1:], "rows": rows, "notes": shown.notes}
    return found


def to_number(cell: str) -> float | int | None:
    """Of "3286", "4104+", "-16.2 %"."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(cell.removesuffix("+").removesuffix(" %"))
    return None


def to_json(figures: dict) -> str:
    """Indented, but for the innermost lists: one row of a table is one line."""
    text = json.dumps(figures, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}\"]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


def gallery(options) -> tuple[str, Table]:
    """The chapter of images, and the figures in it."""
    autoencoder = comfy.Autoencoder(options.vae)
    regenerator = load_regenerator(options)
    lpips, _ = load_lpips(options.shared)
    parts, lines = [GALLERY], []
    for name, pixels in samples().items():
        entries = []
        for label, preset in {"SDC, preset paper": "paper", "SDC, 64 undithered": "clean"}.items():
            latent_format = autoencoder.latent_format
            (encoded,) = codec.encode([autoencoder.encode(pixels)], preset, latent_format=latent_format)
            latent = codec.decode(encoded)
            decoded = autoencoder.decode(latent)
            entries.append(Entry(label, decoded, encoded.size))
            for how, setting in (("regenerated", BEST), ("as the paper has it", PAPER)) if len(entries) == 1 else ():
                painted, _ = regenerator.run(latent, decoded, setting)
                entries.append(Entry(how, autoencoder.decode(painted), encoded.size))
        compared = compare(pixels, entries, ["AVIF"], entries[0].size, lpips, lambda: None)
        image = f"results/{name.replace(' ', '_')}.jpg"
        drawn = Image.fromarray(sheet.draw_sheet(compared))
        drawn.resize((1300, round(drawn.height * 1300 / drawn.width))).save(options.docs / image, quality=75)
        parts.append(f"### {name.capitalize()}\n\n![{name}]({image})\n\n{CREDITS[name]}\n")
        lines += [[f"{name}, {entry.name}", *table.cells(entry)[1:]] for entry in compared.entries]
    figures = Table("Figures of the gallery", table.HEADER, lines)
    return "\n".join([*parts, figures.markdown()]), figures


def samples() -> dict[str, np.ndarray]:
    """512x512 images that may be shown: a page of lettering, a face, fine texture."""
    grass = np.repeat(skimage.data.grass()[..., None], 3, 2)
    return {"lettering": page(), "faces": skimage.data.astronaut(), "fine texture": grass}


def page() -> np.ndarray:
    image = Image.new("RGB", (512, 512), "white")
    pen, top = ImageDraw.Draw(image), 10
    for size in (42, 36, 30, 26, 22, 20, 18, 16, 14, 13, 12, 11, 10):
        pen.text((14, top), f"{size} px: 3 kB for 1 image?", "black", ImageFont.load_default(size))
        top += round(size * 1.75)
    return np.asarray(image)
