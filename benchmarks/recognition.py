"""Whether a face is still the same person, and whether lettering can be read, at 3.2 kB for 512x512.

On images of ComfyUI's templates and other libraries, on photographs that `run.py train` holds out, and on lettering
drawn for this, as well as those given: all in which a face or lettering is recognized with confidence.
"""

from collections.abc import Iterator
from importlib import resources
from itertools import combinations

import numpy as np
import skimage.data
from matplotlib import cbook, font_manager
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from dev import images
from dev.environment import SetupError
from dev.train import data

from .harness import comfy, stored
from .harness.recognizers import SAME_PERSON, Recognized
from .harness.regenerator import BEST, EXACT, add_options, load_regenerator
from .harness.tables import Table, mean, show

BYTES_PER_PIXEL = 3200 / 512**2
BASELINES = ("AVIF", "HEIC")
PAPER_LABEL, BEST_LABEL, ORIGINAL = "SDC, preset paper", "SDC, preset best", "original"
REGENERATED = "{}, regenerated"
# Portraits that come with ComfyUI 0.30.0: package, names.
TEMPLATES = {
    "image": ("flux1_krea_dev-1", "flux_dev_checkpoint_example-1", "hidream_e1_1-2"),
    "api": (
        "api_nano_banana_pro-2", "api_runway_text_to_image-1", "api_stability_ai_stable_image_ultra_t2i-1",
        "templates-subject_holding_product.app-1",
    ),
}  # fmt: skip
TEXT = "Sphinx of black quartz, judge my vow 0123456789 "
FONTS = ("", "DejaVu Serif", "DejaVu Sans:bold", "DejaVu Sans Mono")  # the first is the one in Pillow
HEIGHTS = {"below 24 pixels": (0, 24), "24 to 47": (24, 48), "48 and more": (48, 10**6)}  # with ascenders


def add_arguments(parser):
    parser.add_argument(
        "--sources", nargs="*", choices=SOURCES, default=list(SOURCES), help="what to take besides --images"
    )
    parser.add_argument("--vae", metavar="NAME", help="as Load VAE lists it (default: that of the checkpoint)")
    add_options(parser)


def run(options, measurements) -> list[Table]:
    regenerator = load_regenerator(options)
    autoencoder = comfy.Autoencoder(options.vae or options.checkpoint, None if options.vae else regenerator.vae)
    for name, pixels in tqdm(list(candidates(options)), unit="image", disable=None):
        if not (recognized := Recognized(pixels)):
            continue
        image = stored.StoredImage(name, pixels, autoencoder, options.shared, measurements, recognized.compare)
        image.get(ORIGINAL, {}, lambda found=recognized: {"descriptors": [list(face) for face in found.descriptors]})
        image.bound()
        max_bytes = round(BYTES_PER_PIXEL * pixels.shape[0] * pixels.shape[1])
        presets = (PAPER_LABEL, stored.PAPER, BEST), (BEST_LABEL, stored.best(max_bytes), EXACT)
        for label, settings, setting in presets:
            image.sdc(label, settings)
            image.sdc(REGENERATED.format(label), settings, regenerator, setting)
        for baseline in BASELINES:
            image.baseline_of_size(baseline, max_bytes)
    if not measurements.rows:
        raise SetupError("No face and no lettering is recognized in these images.")
    return report(measurements.rows)


def candidates(options) -> Iterator[tuple[str, np.ndarray]]:
    """Names and (H, W, 3) uint8 images."""
    found = images.load_crops(options.images, options.size) if options.images else {}
    for source in options.sources:
        found |= {f"{source}, {name}": images.crop(each, options.size) for name, each in SOURCES[source](options)}
    return iter(found.items())


def from_libraries(options) -> Iterator[tuple[str, np.ndarray]]:
    yield "astronaut", skimage.data.astronaut()
    yield "page", gray(skimage.data.page())
    yield "motorcycle", images.load_rgb(resources.files("skimage") / "data" / "motorcycle_left.png")
    yield "hopper", images.load_rgb(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    for package, names in TEMPLATES.items():
        folder = resources.files(f"comfyui_workflow_templates_media_{package}") / "templates"
        for name in names:
            yield name, images.load_rgb(folder / f"{name}.webp")


def held_out(options) -> Iterator[tuple[str, np.ndarray]]:
    for path in data.photographs(options.shared)[1]:
        yield data.name_of(path), images.load_rgb(path)


def drawn(options) -> Iterator[tuple[str, np.ndarray]]:
    """Lines of several sizes and typefaces: black on white, and white on a wall."""
    for name, back, color in (("paper", np.full((512, 512, 3), 255, np.uint8), "black"),
                              ("wall", gray(skimage.data.brick()) // 2, "white")):  # fmt: skip
        image, top = Image.fromarray(back), 8
        for number, size in enumerate((12, 16, 20, 24, 28, 36, 44, 56, 72)):
            font = load_font(FONTS[number % len(FONTS)], size)
            text = (TEXT[6 * number :] + TEXT)[: int(480 / font.getlength(TEXT) * len(TEXT))].strip()
            ImageDraw.Draw(image).text((12, top), text, color, font)
            top += round(1.4 * size) + 4
        yield name, np.asarray(image)


def gray(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[..., None], 3, axis=2)


def load_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont(name), size) if name else ImageFont.load_default(size)


SOURCES = {"libraries": from_libraries, "held out": held_out, "drawn": drawn}


def report(rows: list[dict]) -> list[Table]:
    found = stored.by_label(rows)
    originals, key = found.pop(ORIGINAL), next(row["key"] for row in rows if "checkpoint" in row["key"])
    note = f"Decoded by {key['vae']}; regenerated by {key['checkpoint']} and {key['controlnet']}, {BEST}, or {EXACT}."
    tables = [faces_table(found, originals), lettering_table(found)]
    return [Table(table.title, table.header, table.rows, [note, *table.notes]) for table in tables if table.rows]


def faces_table(found: dict[str, list[dict]], originals: list[dict]) -> Table:
    lines = []
    for label, values in found.items():
        values = [value for value in values if value["distances"]]
        distances = [each for value in values for each in value["distances"]]
        same = sum(each < SAME_PERSON for each in distances)
        seen = sum(sum(value["found"]) for value in values)
        if distances:
            lines.append([label, *bytes_of(values), show(mean(distances), ".3f"), str(same), str(seen)])
    descriptors = [np.array(each) for value in originals for each in value["descriptors"]]
    apart = [float(np.linalg.norm(one - other)) for one, other in combinations(descriptors, 2)]
    notes = [f"{len(descriptors)} faces. Distance of dlib's descriptors; less than {SAME_PERSON} is the same person."]
    if apart:
        notes.append(f"Two faces in different originals are {mean(apart):.3f} apart, and at least {min(apart):.3f}.")
    header = ["", "bytes", "larger files", "distance", "the same person", "seen as a face"]
    return Table("Is the face the same person", header, lines, notes)


def lettering_table(found: dict[str, list[dict]]) -> Table:
    lines, shown = [], []
    for label, values in found.items():
        values = [value for value in values if value["lines"]]
        shown = [line for value in values for line in value["lines"]]
        rates = [error_rate(shown, *bounds) for bounds in HEIGHTS.values()]
        if shown:
            lines.append([label, *bytes_of(values), error_rate(shown), *rates])
    counts = ", ".join(
        f"{sum(low <= height < high for height, *_ in shown)} {name}" for name, (low, high) in HEIGHTS.items()
    )
    notes = [f"{len(shown)} lines, by their height: {counts}. Wrong, missing and added characters as a share."]
    header = ["", "bytes", "larger files", "character error rate", *HEIGHTS]
    return Table("Can the lettering be read", header, lines, notes)


def error_rate(lines: list[list[int]], low: int = 0, high: int = 10**6) -> str:
    """Of the lines of these heights."""
    chosen = [line for line in lines if low <= line[0] < high]
    characters = sum(count for _, count, _ in chosen)
    return f"{100 * sum(wrong for *_, wrong in chosen) / characters:.1f} %" if chosen else "-"


def bytes_of(values: list[dict]) -> list[str]:
    """Their mean, and how many are larger than was allowed."""
    larger = sum(not value.get("fits", True) for value in values)
    return [show(mean([value.get("bytes") for value in values]), ".0f"), str(larger)]
