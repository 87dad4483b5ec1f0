"""Every latent space that files can hold: bytes and quality of the presets, by its tiny autoencoder, and metadata.

All decoded and not regenerated, beside the autoencoder alone. Sizes of prompts and workflows are those of `metadata`,
where the images carry any.
"""

from sdc_pack import codec
from tqdm import tqdm

from dev import images
from dev.tables import Table

from . import metadata
from .harness import comfy
from .harness.stored import HEADER, UNDITHERED, StoredImage, cells_with_bytes, means

NEEDS_IMAGES = True
AUTOENCODERS = {"SD1.x": "taesd", "SDXL": "taesdxl", "SD3": "taesd3", "Flux": "taef1"}
PALETTES = {"clean": UNDITHERED, "fine": {**UNDITHERED, "colors": 256}}


def add_arguments(parser):
    parser.add_argument(
        "--families", nargs="+", choices=AUTOENCODERS, default=list(AUTOENCODERS), metavar="NAME",
        help=f"of {', '.join(AUTOENCODERS)} (default: all)",
    )  # fmt: skip


def run(options, results):
    bits_per_pixel = codec.PRESETS["best"].defaults["bits_per_pixel"]
    crops = images.load_crops(options.images, options.size)
    for family in options.families:
        autoencoder = comfy.Autoencoder(AUTOENCODERS[family])
        for name, pixels in tqdm(crops.items(), desc=family, unit="image", disable=None):
            image = StoredImage(name, pixels, autoencoder, options.shared, results)
            image.bound()
            best = {"size": int(bits_per_pixel * pixels.shape[0] * pixels.shape[1] / 8)}
            for settings in (best, *PALETTES.values()):
                image.sdc(settings)
    metadata.run(options, results)


def report(rows: list[dict]) -> list[Table]:
    measured = [row for row in rows if "vae" in row["key"]]
    groups: dict[str, list[dict]] = {}
    for row in measured:
        groups.setdefault(label(row["key"]), []).append(row["value"])
    count = len({row["key"]["pixels"] for row in measured})
    notes = [
        f"Means over {count} images, decoded by the tiny autoencoder of each family; nothing is regenerated.",
        "Families have different autoencoders: within one the presets compare, between them only whole ways do.",
    ]
    lines = [[name, *cells_with_bytes(means(values))] for name, values in groups.items()]
    carried = [row for row in rows if "vae" not in row["key"]]
    return [
        Table("Latent families", ["", "bytes", *HEADER], lines, notes),
        *(metadata.report(carried) if carried else []),
    ]


def label(key: dict) -> str:
    """ "SDXL, best" of a row's key."""
    family = next(family for family, vae in AUTOENCODERS.items() if vae == key["vae"])
    if key["row"] == "autoencoder":
        return f"{family}, {key['vae']} alone"
    if "size" in key:
        return f"{family}, best"
    return f"{family}, {next(name for name, settings in PALETTES.items() if settings['colors'] == key['colors'])}"
