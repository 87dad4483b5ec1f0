"""Table 1 of the paper, its eight rows beside ours.

The paper's figures are those it prints; its LPIPS network is not named (VGG is likely), so its LPIPS values
cannot be compared with ours. Ours are measured here, with the autoencoder that is named.
"""

from functools import partial

from sdc_pack import codec
from sdc_pack.nodes import rivals
from tqdm import tqdm

from dev.environment import SetupError, say

from .harness import comfy, measure, pictures, tables
from .harness.results import picture_key

# Jin et al., Table 1: SSIM, LPIPS, kilobytes.
PAPER = {
    "peppers": {
        "JPEG": (0.482, 0.644, 3.4),
        "WebP": (0.645, 0.428, 4.1),
        "without inversion": (0.562, 0.338, 3.4),
        "with inversion": (0.606, 0.27, 3.4),
    },
    "tiffany": {
        "JPEG": (0.635, 0.668, 3.6),
        "WebP": (0.744, 0.45, 3.6),
        "without inversion": (0.652, 0.343, 3.4),
        "with inversion": (0.668, 0.276, 3.4),
    },
}

# The paper's row, and what takes the same bytes and has the better LPIPS where nothing regenerates.
SETTINGS = {"without inversion": codec.PAPER_PRESET, "64 colours, no dither": {"colours": 64, "dither": "none"}}


def add_arguments(parser):
    parser.add_argument("--vae", default="taesd", metavar="NAME", help="as Load VAE lists it (default: taesd)")


def run(options, results):
    if not options.images:
        raise SetupError("Name the folder of Peppers and Tiffany: --images DIR")
    comfy.start(options)
    autoencoder = comfy.Autoencoder(options.vae)
    originals = pictures.load(options.images, options.size)
    lines = []
    for name, pixels in tqdm(originals.items(), unit="picture", disable=None):
        measured = measure_rows(name, pixels, autoencoder, options.shared, results)
        lines += [line(name, row, figures) for row, figures in measured.items()]
    say("Rivals have at most the bytes of the row without inversion; + where their smallest file has more.")
    say(f"Autoencoder: {autoencoder.name}. " + measure.load_lpips(options.shared)[1])
    say(
        "Paper: its figures as printed. It does not name its LPIPS network: that column cannot be compared with ours.\n"
    )
    say(tables.table(["", "paper SSIM", "LPIPS", "kB", "ours", *measure.HEADER], lines))


def measure_rows(name, pixels, autoencoder, shared, results) -> dict[str, dict]:
    """Row -> its figures, the paper's four first and in its order."""
    picture = picture_key(name, pixels)

    def stored(settings):
        encoded = codec.encode(autoencoder.encode(pixels), **settings, latent_format=autoencoder.latent_format)
        return {"bytes": encoded.size, **figures(autoencoder.decode(codec.decode(encoded)))}

    def rival(name, size):
        encoded = rivals.encode_to_size(name, pixels, size)
        return {"bytes": encoded.size, "fits": encoded.fits, **figures(encoded.decode())}

    def figures(restored):
        return measure.figures(pixels, restored, shared)

    rows = {
        row: results.get({**picture, "vae": autoencoder.name, "settings": settings}, partial(stored, settings))
        for row, settings in SETTINGS.items()
    }
    size = rows["without inversion"]["bytes"]
    for codec_name in filter(lambda name: rivals.missing(name) is None, rivals.RIVALS):
        key = {**picture, "rival": codec_name, "size": size}
        rows[codec_name] = results.get(key, partial(rival, codec_name, size))
    order = [*PAPER["peppers"], *rows]
    return dict(sorted(rows.items(), key=lambda row: order.index(row[0])))


def line(name: str, row: str, figures: dict) -> list[str]:
    paper = PAPER.get(name, {}).get(row)
    printed = [f"{value:g}" for value in paper] if paper else ["", "", ""]
    size = f"{figures['bytes']}{'' if figures.get('fits', True) else '+'}"
    return [f"{name}, {row}", *printed, size, *measure.cells(figures)]
