"""Which setting of inversion and regeneration is best, on photographs that nothing was trained on or is measured on.

By default on those that `run.py train controlnet` holds out, by subject. A setting is chosen for each preset: the
lowest LPIPS of those that ask the UNet four times at most and do not lower the SSIM.
"""

from sdc_pack.nodes.comparison import metrics
from tqdm import tqdm

from dev import images
from dev.tables import Table, show
from dev.train.coder.photographs import photographs

from .harness import comfy
from .harness.measures import OTHERS
from .harness.regenerator import Setting, add_options, load_regenerator
from .harness.stored import StoredImage, means
from .quality import PRESETS, UNCHANGED, better_on, groups

MAX_CALLS = 4
GRID = [
    *(Setting(13, 0.15, canny) for canny in (0.5, 0.75, 1.0, 1.25)),
    *(Setting(20, strength, 1.0) for strength in (0.1, 0.15)),
    Setting(10, 0.2, 1.0), Setting(16, 0.13, 1.0),
    *(Setting(0, sigma, 1.0) for sigma in (0.2, 0.28, 0.35, 0.45)),
]  # fmt: skip


def add_arguments(parser):
    add_options(parser)
    parser.add_argument("--vae", metavar="NAME", help="as Load VAE lists it (default: that of the checkpoint)")
    parser.add_argument(
        "--settings", nargs="+", type=Setting.parse, default=GRID, metavar="STEPS:STRENGTH:CANNY", help="what to try"
    )


def run(options, results):
    regenerator = load_regenerator(options)
    autoencoder = comfy.Autoencoder(options.vae or options.checkpoint, None if options.vae else regenerator.vae)
    paths = options.images or photographs(options.shared)[1]
    for name, pixels in tqdm(images.load_crops(paths, options.size).items(), unit="image", disable=None):
        image = StoredImage(name, pixels, autoencoder, options.shared, results)
        for settings in PRESETS.values():
            for setting in (None, *options.settings):
                image.sdc(settings, regenerator, setting)


def report(rows: list[dict]) -> list[Table]:
    found = groups(rows)
    shown = {"lpips": metrics.COLUMNS["lpips"], "ssim": metrics.COLUMNS["ssim"], "haarpsi": OTHERS["haarpsi"][:2]}
    lines = []
    for (preset, setting), values in found.items():
        average, before = means(values), found[preset, UNCHANGED]
        line = [f"{preset}: {setting}", f"{average['calls']:.0f}"]
        for key, (_, form) in shown.items():
            line += [show(average[key], form), "" if setting == UNCHANGED else better_on(key, values, before)]
        lines.append([*line, "chosen" if setting == choose(found, preset) else ""])
    count = len({row["key"]["pixels"] for row in rows})
    names = [cell for name, _ in shown.values() for cell in (name, "better images")]
    notes = [
        f"Means over {count} photographs that nothing was trained on; {rows[-1]['key']['checkpoint']}, "
        f"{rows[-1]['key']['controlnet']}.",
        f"Chosen: the lowest LPIPS with at most {MAX_CALLS} UNet calls and no lower SSIM than decoded.",
    ]
    return [Table("The setting is chosen", ["", "UNet calls", *names, ""], lines, notes)]


def choose(found: dict, preset: str) -> str | None:
    """The setting, or None where none is allowed."""
    averages = {setting: means(values) for (of, setting), values in found.items() if of == preset}
    least = averages[UNCHANGED]["ssim"]
    allowed = {
        setting: average["lpips"]
        for setting, average in averages.items()
        if setting != UNCHANGED and average["lpips"] is not None
        if average["calls"] <= MAX_CALLS and average["ssim"] >= least
    }
    return min(allowed, key=allowed.__getitem__) if allowed else None
