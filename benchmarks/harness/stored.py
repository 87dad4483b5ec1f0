"""What codecs make of an image, measured and kept: the rows of `table1`, `rate` and `quality`."""

import functools
import math
import time
from pathlib import Path

import numpy as np
from sdc_pack import codec
from sdc_pack.nodes.comparison import baselines, metrics

from dev.tables import mean, show

from .measures import measure_others
from .results import Results, image_key

NET = "alex"
HEADER = [name for name, _ in metrics.COLUMNS.values()]
# As many bytes as the paper's preset and the better LPIPS, where nothing is regenerated.
DITHERED, UNDITHERED = codec.PRESETS["paper"].fixed, codec.PRESETS["clean"].fixed
USABLE_BASELINES = [name for name in baselines.BASELINES if baselines.missing(name) is None]


class StoredImage:
    """An image, and the figures of what is stored of it. Each method gives {"bytes", each of metrics.COLUMNS}."""

    def __init__(self, name: str, pixels: np.ndarray, autoencoder, shared: Path, results: Results):
        self.pixels, self.autoencoder, self.shared, self.results = pixels, autoencoder, shared, results
        self.key = image_key(name, pixels)
        self.files: dict[str, tuple] = {}

    @functools.cached_property
    def latent(self) -> np.ndarray:
        return self.autoencoder.encode(self.pixels)

    def bound(self) -> dict:
        """The autoencoder alone: nothing is stored."""
        return self.get(
            {"row": "autoencoder", "vae": self.autoencoder.name},
            lambda: figures(self.pixels, self.autoencoder.decode(self.latent), self.shared),
        )

    def sdc(self, settings: dict, regenerator=None, setting=None, look=None) -> dict:
        """Stored and decoded; with a setting of the regenerator also inverted and painted again.

        Besides the figures: calls of the UNet, and seconds of all that follows the decoding. `look` is called with the
        image when it is measured.
        """

        def measure():
            encoded, decoded = self.stored(settings)
            shown, calls, since = decoded, 0, time.monotonic()
            if setting:
                painted, calls = regenerator.run(codec.decode(encoded), decoded, setting)
                shown = self.autoencoder.decode(painted)
            seconds = time.monotonic() - since
            if look:
                look(shown)
            made = figures(self.pixels, shown, self.shared)
            return {"bytes": encoded.size, "calls": calls, "seconds": seconds, **made}

        key = regenerator.key_of(setting) if setting else {}
        return self.get({"row": "SDC", "vae": self.autoencoder.name, **settings, **key}, measure)

    def stored(self, settings: dict) -> tuple:
        """The file, and the image that is decoded from it."""
        if str(settings) not in self.files:
            encoded = encode_latent(self.latent, settings, latent_format=self.autoencoder.latent_format)
            self.files[str(settings)] = encoded, self.autoencoder.decode(codec.decode(encoded))
        return self.files[str(settings)]

    def baseline(self, name: str, quality: int) -> dict:
        return self.measured_baseline(name, {"quality": quality}, baselines.encode_baseline)

    def baseline_of_size(self, name: str, size: int) -> dict:
        return self.measured_baseline(name, {"size": size}, baselines.encode_baseline_to_size)

    def measured_baseline(self, name: str, setting: dict, encode) -> dict:
        def measure():
            encoded = encode(name, self.pixels, *setting.values())
            made = figures(self.pixels, encoded.pixels(), self.shared)
            return {"bytes": encoded.size, "fits": encoded.fits, "seconds": encoded.seconds, **made}

        return self.get({"row": name, **setting, "options": baselines.OPTIONS[name]}, measure)

    def get(self, key: dict, measure) -> dict:
        return self.results.get({**self.key, **key}, measure)


def encode_latent(latent: np.ndarray, settings: dict, **more) -> codec.EncodedImage:
    """The file of a row's settings: of at most "size" bytes by the preset best, or with a palette."""
    if "size" in settings:
        return codec.encode([latent], max_bytes=settings["size"], **more)[0]
    return codec.encode([latent], "custom", **settings, **more)[0]


def figures(original: np.ndarray, restored: np.ndarray, shared: Path) -> dict[str, float | None]:
    """Each of metrics.COLUMNS and OTHERS; None where one cannot be had, or is infinite: JSON has no word for that."""
    measured = metrics.measure(original, restored, load_lpips(shared)[0]) | measure_others(original, restored)
    return {name: value if value is None or math.isfinite(value) else None for name, value in measured.items()}


@functools.cache
def load_lpips(shared: Path):
    """LPIPS, or None, and a line for the table about it."""
    try:
        return metrics.load_lpips([shared / "models" / "lpips"], NET), "LPIPS: version 0.1 on AlexNet, lower is better."
    except metrics.MetricUnavailable as error:
        return None, str(error)


def means(values: list[dict]) -> dict[str, float | None]:
    """Of figures of several images."""
    return {name: mean([value.get(name) for value in values]) for name in values[0]}


def cells(figures: dict) -> list[str]:
    """The figures as a table shows them, in the order of HEADER."""
    return [show(figures[key], form) for key, (_, form) in metrics.COLUMNS.items()]


def cells_with_bytes(figures: dict) -> list[str]:
    return [show(figures.get("bytes"), ".0f"), *cells(figures)]


def add_autoencoder_option(parser):
    parser.add_argument("--vae", default="taesd", metavar="NAME", help="as Load VAE lists it (default: taesd)")
