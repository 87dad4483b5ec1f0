"""Every latent format that files can hold: bytes and quality of the presets, by its tiny autoencoder.

Decoded and not regenerated. `bench metadata` measures what prompts and workflows take in such files.
"""

from tqdm import tqdm

from dev import images

from .harness import comfy
from .harness.figures import HEADER, cells_with_bytes, means
from .harness.stored import StoredImage, by_label, count_images
from .harness.tables import Table

NEEDS_IMAGES = True
PRESETS = ("best", "clean", "fine")
AUTOENCODERS = {"SD1.x": "taesd", "SDXL": "taesdxl", "SD3": "taesd3", "Flux": "taef1"}


def add_arguments(parser):
    parser.add_argument(
        "--latent-formats", nargs="+", choices=AUTOENCODERS, default=list(AUTOENCODERS), metavar="NAME",
        help=f"of {', '.join(AUTOENCODERS)} (default: all)",
    )  # fmt: skip


def run(options, measurements) -> list[Table]:
    crops = images.load_crops(options.images, options.size)
    for latent_format in options.latent_formats:
        autoencoder = comfy.Autoencoder(AUTOENCODERS[latent_format])
        for name, pixels in tqdm(crops.items(), desc=latent_format, unit="image", disable=None):
            image = StoredImage(name, pixels, autoencoder, options.shared, measurements)
            image.bound(f"{latent_format}, {autoencoder.name} alone")
            for preset in PRESETS:
                image.sdc(f"{latent_format}, preset {preset}", {"preset": preset})
    return report(measurements.rows)


def report(rows: list[dict]) -> list[Table]:
    lines = [[label, *cells_with_bytes(means(values))] for label, values in by_label(rows).items()]
    notes = [
        f"Means over {count_images(rows)} images, decoded by each latent format's tiny autoencoder, not regenerated.",
        "Compare presets within a format. Between formats the autoencoders differ too.",
    ]
    return [Table("Latent formats", ["", "bytes", *HEADER], lines, notes)]
