"""Every figure in README and in the summary of docs/results.md is one that a bench has measured.

docs/results/figures.json holds what the benches printed. What is left of a text once all measured rows and sentences
are taken out may hold no figure: so one that nobody measured fails as a changed one does.
"""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.harness import summary

ROOT = Path(__file__).parents[2]
RATE, ALL, REGENERATED = summary.EQUAL_BYTES, "All settings", summary.REGENERATED
# Bytes, a decimal fraction, but not a version such as 0.16.3, a share, so many of so many, or decibels.
FIGURE = re.compile(r"\d+ bytes|(?<![\d.])\d+\.\d{2,3}(?![\d.]*\d)|\d+(?:\.\d+)? ?%|\d+ of \d+|\d+ dB")
NOT_MEASURED = ("width x height / 80 bytes", "strength 0.15", "0.25 megapixels", "Python 3.11")


@pytest.fixture(scope="module")
def figures() -> dict:
    return json.loads(read("docs/results/figures.json"))


@pytest.fixture(scope="module")
def quote(figures):
    """Figures as documents write them: "24" or "0.300"; a minus sign for a hyphen."""

    def cells(name: str, table: str, row: str, *columns: str) -> list[str]:
        return [summary.cell(figures, name, table, row, column).replace("-", "−") for column in columns]

    return cells


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def count_of(figures: dict, name: str, winner: str, loser: str, column: str) -> str:
    """ "1 of 24": on how many images one is better than the other."""
    notes = figures[name]["tables"][RATE]["notes"]
    (counts,) = (note for note in notes if f"which {winner} is better than {loser}:" in note)
    return f"{re.search(rf' {column} ([0-9]+)', counts)[1]} of {figures[name]['images']}"


def take_out(text: str, claims: list[str]) -> str:
    """The text without these claims, on one line; each has to be there, whatever its line breaks."""
    text = " ".join(text.split())
    for claim in claims:
        assert claim in text, f"Measured and not said so: {claim}"
        text = text.replace(claim, "")
    return text


def test_readme(figures, quote):
    columns = "bytes", "SSIM", "PSNR", "LPIPS"
    learned = {"SDC, preset *best*: learned codec": 3200, "SDC, preset *best*, smaller": 1700}
    claims = [
        row(label, *quote("kodak", ALL, f"SDC, preset best, {size} bytes at most", *columns))
        for label, size in learned.items()
    ]
    stored = {
        "SDC, preset *paper*: 64 colors, dithered": "SDC, preset paper",
        "SDC, 64 colors, no dither": "SDC, 64 colors, no dither",
        **{name: name for name in ("AVIF", "WebP", "JPEG")},
    }
    claims += [row(label, *quote("kodak", RATE, name, *columns)) for label, name in stored.items()]
    stages = {
        "inverted and regenerated": f"paper: {summary.BEST}",
        "the same without the ControlNet": "paper: 13 steps, strength 0.15, canny strength 0",
        "the ControlNet without inversion": "paper: once at sigma 0.35, canny strength 1",
    }
    columns = "UNet calls", "SSIM", "PSNR", "LPIPS"
    claims.append(row("decoded", *quote("quality", REGENERATED, "paper: decoded", *columns), ""))
    for label, name in stages.items():
        change, better = quote("quality", REGENERATED, name, *summary.CHANGE)
        better = f"better on {better} of {figures['quality']['images']}"
        claims.append(row(label, *quote("quality", REGENERATED, name, *columns), f"{change}, {better}"))
    lpips = (quote("quality", REGENERATED, f"best, 3200 bytes: {how}", "LPIPS")[0] for how in ("decoded", summary.BEST))
    claims.append("at this setting LPIPS goes from {} to {}.".format(*lpips))
    for beside, preset in (("*paper*,", "the preset paper"), ("at the same size,", "the preset best in as many bytes")):
        pixels, lpips = (count_of(figures, "kodak", "AVIF", preset, column) for column in ("PSNR", "LPIPS"))
        assert pixels == count_of(figures, "kodak", "AVIF", preset, "SSIM")
        claims.append(f"{beside} AVIF wins on SSIM and PSNR for {pixels} photographs and on LPIPS for {lpips}.")
    dithered, plain = (
        count_of(figures, "generated", "AVIF", other, "LPIPS")
        for other in ("the preset paper", "64 colors without dither")
    )
    claims.append(f"it wins on LPIPS for {dithered}, and for {plain} if SDC does not dither.")
    claims.append(f"Means over the {figures['kodak']['images']} Kodak photographs")
    claims.append(f"({seconds_of_avif(quote)} seconds for AVIF)")
    text = re.sub(r"file of \d+ bytes", "", take_out(read("README.md"), [*claims, *NOT_MEASURED]))
    assert not FIGURE.findall(text)


def seconds_of_avif(quote) -> str:
    (seconds,) = quote("speed", "Seconds and memory by image size", "AVIF, 512x512", "encode, s")
    return f"{float(seconds):.1f}"


def row(*cells: str) -> str:
    return " ".join(f"| {' | '.join(cells)} |".split())


def test_rate(figures, quote):
    """docs/rate.md has every row of SDC and of its baselines, and what the bench says of the preset best."""
    text, columns = read("docs/rate.md"), ("bytes", "SSIM", "PSNR", "LPIPS")
    for name in ("kodak", "generated"):
        equal, every = (figures[name]["tables"][title] for title in (RATE, ALL))
        ours = [label for label in every["rows"] if label.startswith("SDC, ")]
        claims = [row(label.removeprefix("SDC, "), *quote(name, ALL, label, *columns)) for label in ours]
        baselines = [label for label in equal["rows"] if not label.startswith("SDC, ")]
        claims += [row(label, *quote(name, RATE, label, *columns)) for label in baselines]
        claims += [f"* {re.sub(r'-(?=[0-9])', '−', note)}\n" for note in equal["notes"] if "preset best" in note]
        claims.append(f"Commit {', '.join(figures[name]['commits'])}.")
        claims.append(f"AVIF takes {seconds_of_avif(quote)} s for an image of 512x512")
        assert len(ours) > 10 and [claim for claim in claims if claim not in text] == []


@pytest.mark.parametrize("bench", ["families", "coders"])
def test_other_tables_of_rate(bench):
    """docs/rate.md has the rows that a bench has printed, kept in docs/rate/."""
    kept, text = json.loads(read(f"docs/rate/{bench}.json")), " ".join(read("docs/rate.md").split())
    assert [label for label, cells in kept["rows"].items() if row(label, *cells) not in text] == []


@pytest.mark.parametrize("name", ["espresso", "astronaut"])
def test_images_of_the_readme_say_their_bytes(name):
    """Those on the label, which `run.py images` keeps in the image's comment; of the size that is the default."""
    (paragraphs,) = re.findall(rf"!\[[^]]*\]\(docs/{name}\.jpg\)\n\n.+?\n\n", read("README.md"), re.DOTALL)
    image = Image.open(ROOT / f"docs/{name}.jpg")
    label = image.info["comment"].decode()
    assert re.findall(r"file of (\d+ bytes)", " ".join(paragraphs.split())) == [label, label]
    side_by_side = image.width * image.height
    assert 0.085 < 8 * int(label.split()[0]) / (side_by_side / 2) <= 0.095


def test_weights_readme(figures, quote):
    columns = "LPIPS", "SSIM", "PSNR"
    alone = [("quality", "sdc-tiny.safetensors"), ("quality_taesd", "taesd")]
    shown = [quote(name, "The autoencoder alone", model, *columns) for name, model in alone]
    both = [f"{lpips}, {ssim}, {psnr} dB" for lpips, ssim, psnr in shown]
    claims = [row("encoded and decoded: LPIPS, SSIM, PSNR", *both)]
    other = [quote(name, "The autoencoder alone", model, "LPIPS of TAESD's latents")[0] for name, model in alone]
    claims.append(row("TAESD's latents, decoded: LPIPS", *other))
    apart = quote(*alone[0][:1], "The autoencoder alone", alone[0][1], "latents from TAESD's, relative L2")
    claims.append(row("latents, relative L2 from TAESD's", *apart, ""))
    change = quote("quality", REGENERATED, f"paper: {summary.BEST}", "LPIPS change")[0].removeprefix("−")
    claims.append(f"take {change} off LPIPS in the mean")
    for image in ("peppers", "tiffany"):
        names = (f"{image}, {how}" for how in ("without inversion", "with inversion, paper's settings"))
        claims.append("from {} to {}".format(*(quote("table1", "Table 1", name, "LPIPS")[0] for name in names)))
    left = take_out(read("weights/README.md"), claims)
    assert not FIGURE.findall(left)


def test_summary_of_the_results(figures):
    page = read("docs/results.md")
    assert summary.summary(figures) in page
    assert re.search(rf"^\| paper: {summary.CHOSEN} \|.+\| chosen \|$", page, re.MULTILINE)


def test_first_screen_is_made_of_what_was_measured(figures):
    page = "# Results\n\n## Chapter\n\n### Table\n\n* A note.\n\n|  | a |\n| --- | ---: |\n| b | 1 |\n\nMeasured.\n"
    made = summary.first_screen(page, figures)
    folded = page[page.index("* A note") :].replace("\n\nMeasured.\n", "\n\n</details>\n\nMeasured.\n")
    chapter = f"## Chapter\n\n### Table\n\n<details>\n<summary>Table of 1 row</summary>\n\n{folded}"
    assert made == f"# Results\n\n{summary.summary(figures)}\n{chapter}"
    without = {name: kept for name, kept in figures.items() if name != "kodak"}
    assert "There is no summary: 'kodak' has not been measured." in summary.first_screen(page, without)


def test_figures_are_those_of_the_tables(figures):
    """As docs/results.md prints them, row by row."""
    page = read("docs/results.md").splitlines()
    lines = {}
    for line in page:
        if line.startswith("| "):
            label, *cells = (cell.strip() for cell in line[1:-1].split("|"))
            lines.setdefault(label, []).append([to_number(cell) for cell in cells])
    for name, kept in figures.items():
        for title, table in kept["tables"].items():
            assert f"### {title}" in page
            assert all(f"* {note}" in page for note in table["notes"]), name
            for label, cells in table["rows"].items():
                assert cells in lines[label], f"{name}, {title}: {label}"


def to_number(cell: str) -> float | None:
    try:
        return float(cell.removesuffix("+").removesuffix(" %"))
    except ValueError:
        return None
