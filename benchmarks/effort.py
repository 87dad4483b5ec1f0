"""What effort "thorough" gains, and what it takes: preset best at equal bytes.

By the small autoencoder of the pack, for whose decoder latents are refined, and decoded by TAESD, for which they are
not.
"""

import functools
import time

from sdc_pack import codec
from sdc_pack.codec.presets import EFFORTS, FAST
from tqdm import tqdm

from dev import images

from .harness import comfy
from .harness.figures import HEADER, OTHERS, SOURCES, cells, means, wins
from .harness.stored import StoredImage, best, by_label, count_images
from .harness.tables import Table, show

NEEDS_IMAGES = True
SIZES = (3200, 1700)  # bytes
TINY, TAESD = "sdc_tiny", "taesd"


class Tiny:
    """The pack's own autoencoder, as `comfy.Autoencoder` is one."""

    name, latent_format = TINY, "SD1.x"

    def __init__(self):
        from sdc_pack.codec.autoencoder import tiny_vae

        self.encode, self.decode = tiny_vae.encode_pixels, tiny_vae.decode_latent


def add_arguments(parser):
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N", help="bytes of a file")


def run(options, measurements) -> list[Table]:
    tiny, taesd = Tiny(), comfy.Autoencoder(TAESD)
    for name, pixels in tqdm(images.load_crops(options.images, options.size).items(), unit="image", disable=None):
        image = StoredImage(name, pixels, tiny, options.shared, measurements)
        for size in options.sizes:
            for effort in EFFORTS:
                settings = best(size, effort)
                stored = functools.cache(functools.partial(encode, image, settings))
                for decoder in (tiny, taesd):
                    measure = functools.partial(measure_stored, image, stored, decoder)
                    image.get(label_of(effort, size, decoder.name), {**settings, "decoder": decoder.name}, measure)
    return report(measurements.rows, options.sizes)


def label_of(effort: str, size: int, decoder: str) -> str:
    return f"{effort}, {size} bytes{', decoded by TAESD' if decoder == TAESD else ''}"


def encode(image: StoredImage, settings: dict) -> tuple[codec.EncodedImage, float]:
    """The file, and the seconds that it took to make it of the latent."""
    assert image.latent is not None  # made before
    since = time.monotonic()
    return image.encode(settings), time.monotonic() - since


def measure_stored(image: StoredImage, stored, decoder) -> dict:
    encoded, seconds = stored()
    shown = decoder.decode(codec.decode(encoded))
    return {"bytes": encoded.num_bytes, "seconds": seconds, **image.measure(image.pixels, shown, image.shared)}


def report(rows: list[dict], sizes: list[int]) -> list[Table]:
    found, lines, others = by_label(rows), [], []
    for size in sizes:
        fast = found[label_of(FAST, size, TINY)]
        for label, values in found.items():
            if f", {size} bytes" not in label:
                continue
            average = means(values)
            won = [str(sum(one["lpips"] < other["lpips"] for one, other in zip(values, fast, strict=True)))]
            line = [label, f"{average['bytes']:.0f}", f"{average['seconds']:.1f}"]
            lines.append([*line, *cells(average), *(won if values is not fast else [""])])
            cell = [show(average[key], form) for key, (_, form, _) in OTHERS.items()]
            others.append(
                [label, *cell, *([wins(key, values, fast) for key in OTHERS] if values is not fast else [""] * 4)]
            )
    note = f"Means over {count_images(rows)} images. Seconds to encode the latent."
    header = ["", "bytes", "seconds", *HEADER, f"better than {FAST}"]
    names = [name for name, *_ in OTHERS.values()]
    return [
        Table("Effort", header, lines, [note, "Better by LPIPS, in so many images."]),
        Table(
            "Effort, by other measures", ["", *names, *(f"{name} better" for name in names)], others,
            [note, SOURCES, "Better than fast in so many images."],
        ),
    ]  # fmt: skip
