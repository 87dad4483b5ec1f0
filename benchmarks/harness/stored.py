"""What the codec and its baselines make of an image, measured."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sdc_pack import codec
from sdc_pack.codec.autoencoder.refinement import encode_refined
from sdc_pack.codec.presets import FAST, THOROUGH
from sdc_pack.nodes.comparison import baselines

from . import figures
from .measurements import Measurements, image_key

USABLE_BASELINES = [name for name in baselines.BASELINES if baselines.missing(name) is None]
# Settings of `codec.encode`, and what the tables call them. In the bytes of paper, clean has the better LPIPS.
PAPER, PAPER_LABEL = {"preset": "paper"}, "SDC, preset paper"
CLEAN, CLEAN_LABEL = {"preset": "clean"}, "SDC, 64 colors, no dither"
BOUND_LABEL = "autoencoder alone"


def best(max_bytes: int, effort: str = FAST) -> dict:
    return {"preset": "best", "max_bytes": max_bytes} | ({} if effort == FAST else {"effort": effort})


class StoredImage:
    """An image, and the figures of what is stored of it.

    Each method returns {"bytes", ...} with every figure of `measure`, a function like `figures.measure`. The row's key
    has the label by which the tables know it.
    """

    def __init__(
        self, name: str, pixels: np.ndarray, autoencoder, shared: Path, measurements: Measurements,
        measure: Callable[..., dict] = figures.measure,
    ):  # fmt: skip
        self.pixels, self.autoencoder, self.shared, self.measurements = pixels, autoencoder, shared, measurements
        self.measure = measure
        self.key = image_key(name, pixels)
        self.files: dict[str, tuple] = {}

    @functools.cached_property
    def latent(self) -> np.ndarray:
        return self.autoencoder.encode(self.pixels)

    def bound(self, label: str = BOUND_LABEL) -> dict:
        """The autoencoder alone: nothing is stored."""
        return self.get(
            label,
            {"vae": self.autoencoder.name},
            lambda: self.measure(self.pixels, self.autoencoder.decode(self.latent), self.shared),
        )

    def sdc(self, label: str, settings: dict, regenerator=None, setting=None, look=None) -> dict:
        """Stored and decoded; with a setting of the regenerator also inverted and regenerated.

        Also returns the number of UNet calls and the seconds of all that follows the decoding. `look` is called with
        the image when it is measured.
        """

        def measure():
            encoded, decoded = self.stored(settings)
            shown, calls, since = decoded, 0, time.monotonic()
            if setting:
                regenerated, calls = regenerator.run(codec.decode(encoded), decoded, setting)
                shown = self.autoencoder.decode(regenerated)
            seconds = time.monotonic() - since
            if look:
                look(shown)
            made = self.measure(self.pixels, shown, self.shared)
            return {"bytes": encoded.num_bytes, "calls": calls, "seconds": seconds, **made}

        key = {**regenerator.key_of(setting), "setting": str(setting)} if setting else {}
        return self.get(label, {"vae": self.autoencoder.name, **settings, **key}, measure)

    def stored(self, settings: dict) -> tuple:
        """The encoded image, and the pixels it decodes to."""
        if str(settings) not in self.files:
            encoded = self.encode(settings)
            self.files[str(settings)] = encoded, self.autoencoder.decode(codec.decode(encoded))
        return self.files[str(settings)]

    def encode(self, settings: dict) -> codec.EncodedImage:
        """By settings of `codec.encode`, and effort."""
        about = {name: value for name, value in settings.items() if name != "effort"}
        encode = functools.partial(codec.encode, **about, latent_format=self.autoencoder.latent_format)
        if settings.get("effort", FAST) == THOROUGH:
            return encode_refined([self.latent], [self.pixels], encode)[0]
        return encode([self.latent])[0]

    def baseline(self, name: str, quality: int) -> dict:
        label = f"{name}, quality {quality}"
        return self.measured_baseline(label, name, {"quality": quality}, baselines.encode_baseline)

    def baseline_of_size(self, name: str, max_bytes: int, label: str | None = None) -> dict:
        """The best within so many bytes, or else the smallest file, with "fits" false."""
        return self.measured_baseline(label or name, name, {"max_bytes": max_bytes}, baselines.encode_baseline_to_size)

    def measured_baseline(self, label: str, name: str, setting: dict, encode) -> dict:
        def measure():
            encoded = encode(name, self.pixels, *setting.values())
            made = self.measure(self.pixels, encoded.pixels(), self.shared)
            return {"bytes": encoded.num_bytes, "fits": encoded.fits, "seconds": encoded.seconds, **made}

        return self.get(label, {**setting, "options": baselines.OPTIONS[name]}, measure)

    def get(self, label: str, key: dict, measure) -> dict:
        return self.measurements.get({**self.key, "label": label, **key}, measure)


def by_label(rows: list[dict]) -> dict[str, list[dict]]:
    """Label -> figures of the images, in one order. A label that some images lack is left out."""
    images = list(dict.fromkeys(row["key"]["pixels"] for row in rows))
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        found.setdefault(row["key"]["label"], {})[row["key"]["pixels"]] = row["value"]
    return {label: [of[image] for image in images] for label, of in found.items() if len(of) == len(images)}


def count_images(rows: list[dict]) -> int:
    return len({row["key"]["pixels"] for row in rows})


def byte_count(figures: dict) -> str:
    """As a table shows it: "4104+" of a baseline whose smallest file is larger than was allowed."""
    return f"{figures['bytes']}{'' if figures.get('fits', True) else '+'}" if "bytes" in figures else "-"


def add_autoencoder_option(parser):
    parser.add_argument("--vae", default="taesd", metavar="NAME", help="as Load VAE lists it (default: taesd)")
