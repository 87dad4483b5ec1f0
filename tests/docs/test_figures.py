"""Every figure in the documents is one that a bench has measured, as the JSON files of docs/results/ keep them.

Tables in docs/ name their source in a comment. In README and weights/README, what is left once all measured rows and
phrases are taken out may hold no figure: so one that nobody measured fails as a changed one does.
"""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.harness.regenerator import BEST, EXACT

ROOT = Path(__file__).parents[2]
EQUAL, ALL, REGENERATED = (
    "At the file size of preset paper, image by image",
    "All settings",
    "Before and after regeneration",
)
PAPER, CLEAN, AT_PAPER = "SDC, preset paper", "SDC, 64 colors, no dither", "SDC, preset best, at the file size of paper"
TABLE = re.compile(r"<!-- (\w+): (.+) -->\n((?:\|.*\n)+)")
# Bytes, a decimal fraction, but not a version such as 0.16.3, a share, so many of so many, or decibels.
FIGURE = re.compile(r"\d+ bytes|(?<![\d.])\d+\.\d{2,3}(?![\d.]*\d)|\d+(?:\.\d+)? ?%|\d+ of \d+|\d+ dB")
NOT_MEASURED = ("width x height / 80 bytes", "strength 0.15", "0.25 megapixels", "Python 3.11")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def measured(name: str, title: str) -> dict:
    (table,) = (each for each in json.loads(read(f"docs/results/{name}.json"))["tables"] if each["title"] == title)
    return table


def figures(name: str, title: str, row: str, *columns: str) -> list[str]:
    """Cells of one row, with a minus sign for a hyphen."""
    table = measured(name, title)
    (cells,) = (cells for cells in table["rows"] if cells[0] == row)
    return [cells[table["header"].index(column)].replace("-", "−") for column in columns]


def wins(name: str, count: int, ours: str, theirs: str, column: str) -> str:
    """ "3 of 24" images."""
    return f"{figures(name, f'Wins out of {count} images', f'{ours} over {theirs}', column)[0]} of {count}"


def split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def row(*cells: str) -> str:
    return " ".join(f"| {' | '.join(cells)} |".split())


def left_over(page: str, claims: list[str]) -> list[str]:
    """Figures of the page that are in none of the claims, each of which has to be there, whatever its line breaks."""
    text = " ".join(read(page).split())
    for claim in claims:
        assert claim in text, f"Measured and not said so: {claim}"
        text = text.replace(claim, "")
    return FIGURE.findall(text)


@pytest.mark.parametrize("page", ["docs/results.md", "docs/rate.md"])
def test_tables_are_those_measured(page):
    text = read(page)
    tables = TABLE.findall(text)
    assert len(tables) == len(re.findall(r"^\| --- \|", text, re.MULTILINE)) > 8
    for name, title, shown in tables:
        header, _, *lines = map(split, shown.splitlines())
        table, columns = measured(name, title), [0]
        for column in header[1:]:
            columns.append(table["header"].index(column, columns[-1] + 1))
        known = [[cells[column] for column in columns] for cells in table["rows"]]
        assert [line for line in lines if line not in known] == [], title


def test_every_file_of_figures_is_shown_with_its_commit():
    shown = read("docs/results.md") + read("docs/rate.md")
    files = sorted((ROOT / "docs/results").glob("*.json"))
    assert len(files) > 8
    for file in files:
        assert f"<!-- {file.stem}: " in shown
        commit = json.loads(file.read_text(encoding="utf-8"))["commit"]
        assert commit in shown and "dirty" not in commit


def test_summary_of_the_results():
    euler = [
        figures("inversion", "Other samplers from our NOISE", f"sdc-tiny.safetensors, {refine}", "sampler euler")[0]
        for refine in (0, 4)
    ]
    taesd, paper, best, avif = map(seconds, ("autoencoder", "SDC", "SDC best by size", "AVIF"))
    claims = [
        "LPIPS {} to {}.".format(*lpips_of("64 colors, no dither")),
        "by Eq. (1) LPIPS {} becomes {},".format(*lpips_of("best, 3200 bytes")),
        "by which LPIPS changes by {} and gets better on {} of 24".format(*by_exact_pair()).replace("−", "-"),
        *(f"from {before} to {after} on {name.capitalize()}" for name, (before, after) in full_strength().items()),
        "relative error of {}, and of {} with refine 4".format(*euler).replace("−", "-"),
        f"TAESD takes {taesd} s to encode on one thread, and the codec {paper} s (*paper*) or {best} s (*best*) more.",
        f"AVIF took {avif} s",
    ]
    text = " ".join(read("docs/results.md").split())
    assert [claim for claim in claims if claim not in text] == []


def by_exact_pair() -> list[str]:
    """By how much LPIPS of *best* changes, and on how many images it is better."""
    return figures("quality", REGENERATED, f"best, 3200 bytes: {EXACT}", "LPIPS change", "better images")


def lpips_of(preset: str) -> list[str]:
    """Decoded, and regenerated."""
    return [figures("quality", REGENERATED, f"{preset}: {how}", "LPIPS")[0] for how in ("decoded", str(BEST))]


def by_either(preset: str) -> list[str]:
    """LPIPS, decoded by the tiny autoencoder and by TAESD."""
    return [figures(name, REGENERATED, f"{preset}: decoded", "LPIPS")[0] for name in ("quality", "quality_taesd")]


def full_strength() -> dict[str, list[str]]:
    """Image -> LPIPS decoded, and regenerated by the paper's settings."""
    stages = "without inversion", "with inversion, paper's settings"
    return {
        image: [figures("table1", "Table 1", f"{image}, {stage}", "LPIPS")[0] for stage in stages]
        for image in ("peppers", "tiffany")
    }


def seconds(what: str) -> str:
    return figures("speed", "Seconds and memory by image size", f"{what}, 512x512", "encode, s")[0]


def test_readme():
    columns = "bytes", "SSIM", "PSNR", "LPIPS"
    stored = {
        "SDC, preset *best*: learned codec": (ALL, "SDC, preset best, 3200 bytes at most"),
        "SDC, preset *best*, smaller": (ALL, "SDC, preset best, 1700 bytes at most"),
        "SDC, preset *paper*: 64 colors, dithered": (EQUAL, PAPER),
        **{name: (EQUAL, name) for name in (CLEAN, "AVIF", "HEIC", "WebP", "JPEG")},
    }
    claims = [row(label, *figures("kodak", *place, *columns)) for label, place in stored.items()]
    columns = "UNet calls", "SSIM", "PSNR", "LPIPS"
    claims.append(row("decoded", *figures("quality", REGENERATED, "paper: decoded", *columns), ""))
    for label, setting in (
        ("inverted and regenerated", str(BEST)),
        ("the same without the ControlNet", "13 steps, strength 0.15, canny strength 0"),
        ("the ControlNet without inversion", "once at sigma 0.35, canny strength 1"),
    ):
        *cells, change, better = figures(
            "quality", REGENERATED, f"paper: {setting}", *columns, "LPIPS change", "better images"
        )
        claims.append(row(label, *cells, f"{change}, better on {better} of 24"))
    fast, thorough = (
        figures("effort", "Effort", f"{each}, 3200 bytes", "PSNR", "SSIM", "LPIPS") for each in ("fast", "thorough")
    )
    (better,) = figures("effort", "Effort", "thorough, 3200 bytes", "better than fast")
    psnr, ssim, lpips = (f"from {before} to {after}" for before, after in zip(fast, thorough, strict=True))
    others = [
        figures("effort", "Effort", f"{each}, 3200 bytes, decoded by TAESD", "LPIPS")[0]
        for each in ("fast", "thorough")
    ]
    claims.append("nothing is refined, LPIPS rises from {} to {}.".format(*others))
    shown = "In 3200 bytes, decoded by the small VAE of the pack,"
    claims.append(f"{shown} LPIPS goes {lpips}, PSNR {psnr} dB and SSIM {ssim}; LPIPS is better on {better} of 24.")
    decoded, harmed = lpips_of("best, 3200 bytes")
    (exact,) = figures("quality", REGENERATED, f"best, 3200 bytes: {EXACT}", "LPIPS")
    claims.append("LPIPS goes from {} to {} ({}, better on {} of 24).".format(decoded, exact, *by_exact_pair()))
    claims.append(f"By Eq. (1), as in the table, it would rise to {harmed}.")
    decoded = by_either("best, 3200 bytes")
    claims.append("*best* it makes an image of LPIPS {} where TAESD makes one of {}".format(*decoded))
    claims.append("*paper* one of {} instead of {}.".format(*by_either("paper")))
    for compared, theirs in (("*paper*,", PAPER), ("at the same size,", AT_PAPER)):
        psnr, ssim, lpips = (wins("kodak", 24, "AVIF", theirs, column) for column in ("PSNR", "SSIM", "LPIPS"))
        assert psnr == ssim
        claims.append(f"{compared} AVIF wins on SSIM and PSNR for {psnr} photographs and on LPIPS for {lpips}.")
    dithered, plain = (wins("generated", 12, "AVIF", theirs, "LPIPS") for theirs in (PAPER, CLEAN))
    claims.append(f"it wins on LPIPS for {dithered}, and for {plain} if SDC does not dither.")
    claims.append(f"({float(seconds('AVIF')):.1f} seconds for AVIF)")
    left = left_over("README.md", [*claims, *NOT_MEASURED])
    assert [figure for figure in left if f"file of {figure}" not in " ".join(read("README.md").split())] == []


@pytest.mark.parametrize("name", ["espresso", "astronaut"])
def test_images_of_the_readme_say_their_bytes(name):
    """Those on the label, which `run.py images` keeps in the image's comment; of the size that is the default."""
    (paragraphs,) = re.findall(rf"!\[[^]]*\]\(docs/{name}\.jpg\)\n\n.+?\n\n", read("README.md"), re.DOTALL)
    image = Image.open(ROOT / f"docs/{name}.jpg")
    label = image.info["comment"].decode()
    assert re.findall(r"file of (\d+ bytes)", " ".join(paragraphs.split())) == [label, label]
    side_by_side = image.width * image.height
    assert 0.085 < 8 * int(label.split()[0]) / (side_by_side / 2) <= 0.095


def test_weights_readme():
    alone = [("quality", "sdc-tiny.safetensors"), ("quality_taesd", "taesd")]
    shown = [figures(name, "The autoencoder alone", model, "LPIPS", "SSIM", "PSNR") for name, model in alone]
    claims = [row("encoded and decoded: LPIPS, SSIM, PSNR", *(f"{', '.join(cells)} dB" for cells in shown))]
    other = [figures(name, "The autoencoder alone", model, "LPIPS of TAESD's latents")[0] for name, model in alone]
    claims.append(row("TAESD's latents, decoded: LPIPS", *other))
    apart = figures("quality", "The autoencoder alone", "sdc-tiny.safetensors", "latents from TAESD's, relative L2")
    claims.append(row("latents, relative L2 from TAESD's", *apart, ""))
    (change,) = figures("quality", REGENERATED, f"paper: {BEST}", "LPIPS change")
    claims.append(f"take {change.removeprefix('−')} off LPIPS of *paper* in the mean")
    claims.append("at 3200 bytes has LPIPS {} where it has {} decoded by TAESD".format(*by_either("best, 3200 bytes")))
    claims.append("*paper* {} where it has {}.".format(*by_either("paper")))
    claims += ["from {} to {}".format(*lpips) for lpips in full_strength().values()]
    assert not left_over("weights/README.md", claims)
