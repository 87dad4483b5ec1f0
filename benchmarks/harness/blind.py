"""A sheet to judge by eye: pairs of images in random order, without names. The key lies in a file of its own."""

import html
import json
import random
import secrets
from pathlib import Path

import numpy as np
from PIL import Image

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Which one?</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1600px; padding: 0 1rem }}
figure {{ display: inline-block; margin: 0 0.5rem 0 0; width: 32% }} img {{ width: 100% }}
fieldset {{ border: 0; margin: 0 0 3rem; padding: 0 }} label {{ margin-right: 2rem }}
</style>
<h1>Which one is nearer to the original?</h1>
<p>On the left is the original, then two images made from it in random order. Choose, then press <em>Save</em>. Who made
which is in <code>{key}</code>: do not look there before.</p>
<form id="sheet">
{pairs}
<button>Save</button>
</form>
<script>
document.getElementById("sheet").onsubmit = event => {{
  event.preventDefault();
  const link = document.createElement("a");
  const chosen = Object.fromEntries(new FormData(event.target));
  link.href = URL.createObjectURL(new Blob([JSON.stringify(chosen, null, 1)], {{ type: "application/json" }}));
  link.download = "answers.json";
  link.click();
}};
</script>
</html>
"""
PAIR = """<fieldset><legend>{number}</legend>
{figures}
<p>{choices}</p></fieldset>"""


def write_sheet(folder: Path, pairs: list[tuple[np.ndarray, dict[str, np.ndarray]]], seed: int | None = None):
    """Write blind.html, its images, and blind-key.json: pair -> letter -> name.

    A pair is an original and two images by their names, all (H, W, 3) uint8. Without a seed the order cannot be told.
    """
    chance = random.Random(secrets.randbits(64) if seed is None else seed)
    pairs = chance.sample(pairs, len(pairs))
    (folder / "blind").mkdir(parents=True, exist_ok=True)
    key: dict[str, dict[str, str]] = {}
    blocks = []
    for number, (original, made) in enumerate(pairs, 1):
        order = chance.sample(sorted(made), len(made))
        key[f"pair {number}"] = dict(zip("AB", order, strict=True))
        shown = {"original": original} | {letter: made[name] for letter, name in key[f"pair {number}"].items()}
        figures = []
        for label, pixels in shown.items():
            file = f"blind/{number}-{label}.png"
            Image.fromarray(pixels).save(folder / file)
            figures.append(f'<figure><img src="{file}" alt="{label}"><figcaption>{label}</figcaption></figure>')
        choices = " ".join(
            f'<label><input type="radio" name="pair {number}" value="{value}"> {html.escape(text)}</label>'
            for value, text in (("A", "A"), ("B", "B"), ("same", "no difference"))
        )
        blocks.append(PAIR.format(number=number, figures="\n".join(figures), choices=choices))
    page = PAGE.format(key="blind-key.json", pairs="\n".join(blocks))
    (folder / "blind.html").write_text(page, encoding="utf-8")
    (folder / "blind-key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")
