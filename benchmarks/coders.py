"""Ways to code a latent beside each other, on training photographs that no coder learned from.

Palettes and the learned codec are real files. Codebooks and scalars were only tried: what an ideal entropy coder would
take is counted, and a file's frame added. docs/rate.md says what came of it.
"""

import functools
import math
from pathlib import Path

import numpy as np
from sdc_pack import codec
from sdc_pack.codec import container
from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev import images
from dev.environment import SetupError, say
from dev.tables import Table, show
from dev.train import data
from dev.train.coder import FAMILIES, photographs

from .harness import comfy, faces
from .harness.quantizers import Codebook, Prediction, Scalars, palette_bytes
from .harness.stored import HEADER, UNDITHERED, StoredImage, cells, encode_latent, figures, means

FRAME = container.FRAMING + 4 + 5  # a section's head, and the name of weights with the quality
SIDE = 512
PALETTES = (64, 256)
SIZES = (1700, 3200, 4800)  # of the learned codec
THRIFTY = 3200
CODEBOOKS = ((256, 0.0), (1024, 0.0), (1024, 1.0), (1024, 3.0))  # entries, price of a bit in squared error
SCALARS = ((4.0, 0.0), (3.0, 0.0), (3.0, 0.3))  # step, dead zone
EQUAL = (0.25, 0.20, 0.15)  # LPIPS
FILE, BOUND, WITH = "file", "autoencoder", ", neighbors known"
LEARNED, THRIFT = "learned transform (preset best)", "learned transform, integers chosen for their bits"
PALETTE, KNOWN = "palette of the image (files)", "palette of the image" + WITH
BOOK, CONSTRAINED = "codebook for all", "codebook for all, entropy-constrained"
SCALAR, DEAD = "scalar" + WITH, "scalar with a dead zone" + WITH


def add_arguments(parser):
    parser.add_argument("--faces", type=Path, metavar="FILE", help="only draw faces, as each preset keeps them")
    parser.add_argument("--count", type=int, default=24, metavar="N", help="held-out photographs (default: 24)")
    parser.add_argument("--learn", type=int, default=48, metavar="N", help="photographs to learn from (default: 48)")


def run(options, results):
    autoencoder = comfy.Autoencoder("taesd")
    if options.faces:
        say(faces.draw(options.faces, autoencoder, options.shared).text())
        return
    learn, held_out = photographs.photographs(options.shared)
    if len(held_out) < 2:
        raise SetupError("This bench needs the training photographs, images/train under SDC_SHARED.")
    crops = {photographs.name_of(path): images.crop(images.load_rgb(path), SIDE) for path in held_out}
    # Of equal images one; the largest, spread over all subjects.
    crops = dict({pixels.tobytes(): (name, pixels) for name, pixels in crops.items()}.values())
    largest = sorted(crops, key=lambda name: (-crops[name].size, name))[: options.count]
    shown = [StoredImage(name, crops[name], autoencoder, options.shared, results) for name in crops if name in largest]
    for image in tqdm(shown, desc="files", unit="image", disable=None):
        image.get({"row": BOUND}, lambda p=image: {"bytes": 0, **of_latent(p, p.latent)})
        for size in (*SIZES, stored(image, UNDITHERED)["bytes"]):
            stored(image, {"size": size})
        stored(image, {**UNDITHERED, "colors": 256})
        stored(image, {"size": THRIFTY, "mask": "black"})
    tried(options, learn[:: max(1, len(learn) // options.learn)][: options.learn], shown)


def stored(image: StoredImage, settings: dict) -> dict:
    """Figures of a file. Under a mask that is black everywhere, all integers are chosen for their bits too."""

    def measure():
        mask = {"mask": np.zeros(image.latent.shape[1:])} if "mask" in settings else {}
        encoded = encode_latent(image.latent, {k: v for k, v in settings.items() if k != "mask"}, **mask)
        return {"bytes": encoded.size, **of_latent(image, codec.decode(encoded))}

    return image.get({"row": FILE, **settings}, measure)


def of_latent(image: StoredImage, latent: np.ndarray) -> dict:
    decoded = image.autoencoder.decode(latent.astype(np.float32))
    return {
        "error": float(np.square(latent - image.latent).mean()),
        **figures(image.pixels, decoded, image.shared),
    }


def tried(options, learn: list, shown: list[StoredImage]):
    """The ways that are no files."""
    kept = options.models.parent / "training" / "coder" / f"bench-{len(learn)}.safetensors"
    latents = photographs.latents(FAMILIES["SD1.x"], options.shared, learn, 0, kept)
    grids = [latent.float().numpy().transpose(1, 2, 0)[:64, :64] / data.tiny_vae.SCALE for latent in latents.values()]

    def each(name: str, setting: dict, decode, sizes):
        """`decode(grid)`, and `sizes(grid)`, how many bytes by what is known."""
        for image in shown:
            grid = image.latent.transpose(1, 2, 0).astype(np.float64)

            def measure(image=image, grid=grid):
                made = of_latent(image, decode(grid).transpose(2, 0, 1))
                return {"bytes_known": FRAME + sizes(grid)[1], "bytes": FRAME + sizes(grid)[0], **made}

            image.get({"row": name, **setting}, measure)

    for count, price in tqdm(CODEBOOKS, desc="codebooks", disable=None):
        book = Codebook(grids, count, price)
        each(BOOK, {"entries": count, "price": price}, book.decode, book.bytes)
    for step, dead in SCALARS:
        scalars = Scalars(grids, step, dead)
        each(SCALAR, {"step": step, "dead": dead}, scalars.decode, lambda grid, made=scalars: (made.bytes(grid),) * 2)
    for colors in PALETTES:
        settings = {**UNDITHERED, "colors": colors}
        decoded = [codec.decode(codec.encode([grid.transpose(2, 0, 1)], "custom", **settings)[0]) for grid in grids]
        prediction = Prediction([latent.transpose(1, 2, 0) for latent in decoded])
        for image in shown:
            measure = functools.partial(palette_row, image, settings, prediction)
            image.get({"row": KNOWN, "colors": colors}, measure)


def palette_row(image: StoredImage, settings: dict, prediction: Prediction) -> dict:
    """The same image as the file's, with other bytes for its indices."""
    encoded = codec.encode([image.latent], "custom", **settings)[0]
    section = len(container.parse(encoded.data, math.inf)[1]["P"])
    palette = encoded.stored
    size = container.FRAMING + 8 + section + palette_bytes(prediction, palette.values.astype(float), palette.indices)
    return {**stored(image, settings), "bytes": size}


def report(rows: list[dict]) -> list[Table]:
    if not rows:  # faces were drawn
        return []
    count = len({row["key"]["pixels"] for row in rows})
    curves = points(rows)
    lines = [
        [name, setting, f"{point['bytes']:.0f}", show(point.get("error"), ".2f"), *cells(point)]
        for name, curve in curves.items()
        for setting, point in curve.items()
    ]
    notes = [
        f"Means over {count} training photographs held out by subject, centers of at most {SIDE}x{SIDE}; TAESD.",
        "Files are real; other bytes are what an ideal entropy coder takes, with a file's frame.",
    ]
    first = Table("Ways to code a latent", ["", "setting", "bytes", "latent's squared error", *HEADER], lines, notes)
    equal = [
        [name, *(show(bytes_at(list(curve.values()), lpips), ".0f") for lpips in EQUAL)]
        for name, curve in curves.items()
        if len(curve) > 1 and name != BOUND
    ]
    second = Table(
        "Bytes at equal LPIPS",
        ["", *(f"LPIPS {lpips:.2f}" for lpips in EQUAL)],
        equal,
        [
            "Between two settings the logarithm of the bytes is a line; none where LPIPS is not reached by both.",
            *winners(equal),
            best_and_palettes(rows),
        ],
    )
    return [first, second]


def points(rows: list[dict]) -> dict[str, dict[str, dict]]:
    """Way -> setting -> means; a setting that some images lack is left out."""
    count = len({row["key"]["pixels"] for row in rows})
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        for at, value in places(row["key"], row["value"]):
            groups.setdefault(at, []).append(value)
    curves: dict[str, dict[str, dict]] = {}
    for (name, setting), values in groups.items():
        if len(values) == count:
            curves.setdefault(name, {})[setting] = means(values)
    return curves


def places(key: dict, value: dict) -> list[tuple[tuple[str, str], dict]]:
    """The ways and settings that a row belongs to, with its figures there."""
    if key["row"] == BOUND:
        return [((BOUND, "nothing stored"), value)]
    if key["row"] == BOOK:
        setting = f"{key['entries']} entries, price {key['price']:g}"
        alone = CONSTRAINED if key["price"] else BOOK
        return [((alone, setting), value), ((alone + WITH, setting), {**value, "bytes": value["bytes_known"]})]
    if key["row"] == SCALAR:
        return [((DEAD if key["dead"] else SCALAR, f"step {key['step']:g}, dead zone {key['dead']:g}"), value)]
    if "colors" in key:
        return [((KNOWN if key["row"] == KNOWN else PALETTE, f"{key['colors']} colors, no dither"), value)]
    if "mask" in key:
        return [((THRIFT, f"{key['size']} bytes at most"), value)]
    return [((LEARNED, f"{key['size']} bytes at most"), value)] if key["size"] in SIZES else []


def bytes_at(curve: list[dict], lpips: float) -> float | None:
    """Bytes at which a curve reaches this LPIPS."""
    if any(point["lpips"] is None for point in curve):
        return None
    pairs = sorted((point["lpips"], math.log(point["bytes"])) for point in curve)
    if not pairs[0][0] <= lpips <= pairs[-1][0]:
        return None
    return math.exp(np.interp(lpips, *zip(*pairs, strict=True)))


def winners(equal: list[list[str]]) -> list[str]:
    found = []
    for column, lpips in enumerate(EQUAL, 1):
        sizes = {line[0]: int(line[column]) for line in equal if line[column] != "-"}
        if len(sizes) > 1:
            first, second = sorted(sizes, key=sizes.__getitem__)[:2]
            less = 100 * (1 - sizes[first] / sizes[second])
            found.append(f"At LPIPS {lpips:.2f}: {first}, {less:.0f} % less than the next, {second}.")
    return found


def best_and_palettes(rows: list[dict]) -> str:
    """On how many photographs the preset best, in at most as many bytes, beats 64 colors without dither."""
    files = {
        (row["key"]["pixels"], row["key"].get("size")): row["value"]
        for row in rows
        if row["key"]["row"] == FILE and "mask" not in row["key"]
    }
    palettes = {row["key"]["pixels"]: row["value"] for row in rows
                if row["key"]["row"] == FILE and row["key"].get("colors") == 64}  # fmt: skip
    counts = []
    for key, (metric, _) in metrics.COLUMNS.items():
        pairs = [(files[pixels, value["bytes"]][key], value[key]) for pixels, value in palettes.items()]
        if None not in sum(pairs, ()):
            better = sum((a < b) if key == "lpips" else (a > b) for a, b in pairs)
            counts.append(f"{metric} {better}")
    return (
        f"Photographs of {len(palettes)} on which the preset best, in at most as many bytes, is better than 64 colors "
        f"without dither: {', '.join(counts)}."
    )
