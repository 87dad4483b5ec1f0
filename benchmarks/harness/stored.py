"""What codecs make of a picture, measured and kept: the rows of `table1` and `rate`."""

from functools import partial

import numpy as np
from sdc_pack import codec
from sdc_pack.nodes.comparison import rivals

from . import measure
from .results import Results, picture_key

USABLE_RIVALS = [name for name in rivals.RIVALS if rivals.missing(name) is None]


class Picture:
    """A picture, and the figures of what is stored of it. Each method gives {"bytes", figures of metrics.measure}."""

    def __init__(self, name: str, pixels: np.ndarray, autoencoder, shared, results: Results):
        self.pixels, self.autoencoder, self.shared, self.results = pixels, autoencoder, shared, results
        self.key = picture_key(name, pixels)
        self.encoded = None

    def latent(self) -> np.ndarray:
        if self.encoded is None:
            self.encoded = self.autoencoder.encode(self.pixels)
        return self.encoded

    def bound(self) -> dict:
        """The autoencoder alone: nothing is stored."""
        return self.get(
            {"row": "autoencoder", "vae": self.autoencoder.name},
            lambda: self.figures(self.autoencoder.decode(self.latent())),
        )

    def sdc(self, settings: dict) -> dict:
        return self.get({"row": "SDC", "vae": self.autoencoder.name, **settings}, partial(self.measure_sdc, settings))

    def regenerated(self, settings: dict, regenerator, setting) -> dict:
        """SDC, then inverted and repainted."""
        key = {"row": "SDC", "vae": self.autoencoder.name, **settings, **regenerator.key_of(setting)}
        return self.get(key, partial(self.measure_sdc, settings, partial(regenerator.run, setting=setting)))

    def rival(self, name: str, quality: int) -> dict:
        key = {"row": name, "quality": quality}
        return self.get(key, lambda: self.measure_rival(rivals.encode_rival(name, self.pixels, quality)))

    def rival_of_size(self, name: str, size: int) -> dict:
        key = {"row": name, "size": size}
        return self.get(key, lambda: self.measure_rival(rivals.encode_rival_to_size(name, self.pixels, size)))

    def get(self, key: dict, measure) -> dict:
        return self.results.get({**self.key, **key}, measure)

    def measure_sdc(self, settings: dict, regenerate=None) -> dict:
        encoded = codec.encode(self.latent(), **settings, latent_format=self.autoencoder.latent_format)
        latent = codec.decode(encoded)
        restored = self.autoencoder.decode(latent)
        if regenerate is not None:
            painted, _ = regenerate(latent, restored)
            restored = self.autoencoder.decode(painted)
        return {"bytes": encoded.size, **self.figures(restored)}

    def measure_rival(self, encoded: rivals.RivalPicture) -> dict:
        return {"bytes": encoded.size, "fits": encoded.fits, **self.figures(encoded.pixels())}

    def figures(self, restored: np.ndarray) -> dict:
        return measure.figures(self.pixels, restored, self.shared)


def options_of_autoencoder(parser):
    parser.add_argument("--vae", default="taesd", metavar="NAME", help="as Load VAE lists it (default: taesd)")
