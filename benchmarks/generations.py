"""Generation loss: an image that is compressed, decoded and compressed again twenty times, by each preset.

By the pack's own small autoencoder, in two ways: from the pixels of the decoded image, as who saves a PNG and
compresses that; and from the latent alone, as Load SDC and SD Latent Quantize do. Load SDC and Save SDC lose nothing.
"""

from functools import partial

import numpy as np
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae
from tqdm import tqdm

from dev import images

from .harness import figures
from .harness.measurements import image_key
from .harness.tables import Table, mean

NEEDS_IMAGES = True
ROUNDS = (1, 2, 5, 10, 20)
PRESETS = ("best", "fine", "clean", "paper")
ALONE = "the autoencoder alone"
COLUMNS = ("lpips", "psnr")


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, nargs="+", default=list(ROUNDS), metavar="N", help="which to measure")


def run(options, measurements) -> list[Table]:
    rounds = sorted(options.rounds)
    for name, pixels in tqdm(images.load_crops(options.images, options.size).items(), unit="image", disable=None):
        for way in ways():
            key = {**image_key(name, pixels), "way": way, "rounds": rounds}
            measurements.get(key, partial(measure, pixels, way, rounds, options.shared))
    return report(measurements.rows, rounds)


def ways() -> list[str]:
    return [ALONE, *(f"{preset}, from {source}" for preset in PRESETS for source in ("pixels", "the latent"))]


def measure(pixels: np.ndarray, way: str, rounds: list[int], shared) -> dict:
    """Figures after each of these rounds."""
    preset, _, source = way.partition(", from ")
    latent, found = tiny_vae.encode_pixels(pixels), {}
    for number in range(1, rounds[-1] + 1):
        if way != ALONE:
            latent = codec.decode(codec.encode([latent], preset)[0])
        again = source != "the latent" and number < rounds[-1]
        if again or number in rounds:
            decoded = tiny_vae.decode_latent(latent)
        if number in rounds:
            shown = figures.measure(pixels, decoded, shared)
            found[str(number)] = {column: shown[column] for column in COLUMNS}
        if again:
            latent = tiny_vae.encode_pixels(decoded)
    return found


def report(rows: list[dict], rounds: list[int]) -> list[Table]:
    count = len({row["key"]["pixels"] for row in rows})
    notes = [f"Means over {count} images; after so many rounds."]
    tables = []
    for column, (title, form) in zip(COLUMNS, (("LPIPS", ".3f"), ("PSNR", ".2f")), strict=True):
        lines = []
        for way in ways():
            own = [row["value"] for row in rows if row["key"]["way"] == way]
            means = [mean([each[str(number)][column] for each in own]) for number in rounds]
            lines.append([way, *("-" if value is None else format(value, form) for value in means)])
        tables.append(Table(f"Generation loss, {title}", ["", *map(str, rounds)], lines, notes))
    return tables
