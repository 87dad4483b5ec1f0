"""Other codecs, made to write as many bytes as an SDC file has. All by Pillow; AVIF and JPEG XL where it has them."""

import importlib
import io
import time
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, features

LOWEST, HIGHEST = 0, 99  # quality, on every codec's own scale; 100 is lossless to some
# A baseline is seen at its best: the slowest setting that gains anything, whatever time it takes. Where there are
# several, each is tried and the shortest file counts: a JPEG holds the same coefficients either way.
OPTIONS: dict[str, tuple[dict, ...]] = {
    "JPEG": ({"optimize": True}, {"optimize": True, "progressive": True}),
    "WebP": ({"method": 6},),
    "AVIF": ({"speed": 0},),
    "JPEG XL": ({"effort": 10},),
}
# Only to find out about which quality to begin with.
QUICK: dict[str, tuple[dict, ...]] = {"AVIF": ({"speed": 8},), "JPEG XL": ({"effort": 7},)}
PILLOW_FORMATS = {"JPEG XL": "JXL"}
BASELINES = tuple(OPTIONS)


@dataclass(frozen=True)
class BaselineImage:
    """What a baseline made of an image: its file, the quality it took and what the file decodes to."""

    name: str
    data: bytes
    quality: int
    seconds: float  # of processor time, which encoding at this quality took
    fits: bool = True  # False: this is the smallest file the codec writes, and it is larger than was asked for

    @property
    def size(self) -> int:
        return len(self.data)

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.data)).convert("RGB"))


def missing(name: str) -> str | None:
    """What to install so that a baseline can be used; None when it can be."""
    if name == "AVIF" and not features.check("avif"):
        return "AVIF needs Pillow 11.3 or later"
    if name == "WebP" and not features.check("webp"):
        return "this Pillow was built without WebP"
    if name == "JPEG XL":
        try:
            importlib.import_module("pillow_jxl")  # importing it makes Pillow know the format
        except ImportError:
            return "JPEG XL needs the package pillow-jxl-plugin"
    return None


def encode_baseline(name: str, pixels: np.ndarray, quality: int) -> BaselineImage:
    """What a baseline makes of an (H, W, 3) uint8 image, at its best."""
    return _encode(name, pixels, quality, OPTIONS[name])


def encode_baseline_to_size(name: str, pixels: np.ndarray, size: int) -> BaselineImage:
    """The best quality whose file has at most `size` bytes; else the smallest file there is.

    Found by bisection with a quick setting, then step by step with the best one, which is slow. Nothing is scaled down
    to fit: the baseline's smallest file is then returned with `fits` False.
    """
    low, high = LOWEST, HIGHEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _encode(name, pixels, middle, QUICK.get(name, OPTIONS[name])).size <= size:
            low = middle
        else:
            high = middle
    best = encode_baseline(name, pixels, low)
    while best.size > size and best.quality > LOWEST:
        best = encode_baseline(name, pixels, best.quality - 1)
    if best.size > size:
        return replace(best, fits=False)
    while best.quality < HIGHEST and (finer := encode_baseline(name, pixels, best.quality + 1)).size <= size:
        best = finer
    return best


def _encode(name: str, pixels: np.ndarray, quality: int, settings: tuple[dict, ...]) -> BaselineImage:
    image, files = Image.fromarray(pixels), []
    since = time.process_time()
    for options in settings:
        file = io.BytesIO()
        image.save(file, PILLOW_FORMATS.get(name, name), quality=quality, **options)
        files.append(file.getvalue())
    return BaselineImage(name, min(files, key=len), quality, time.process_time() - since)
