"""Other codecs, made to write as many bytes as an SDC file has. All by Pillow; AVIF and JPEG XL where it has them."""

import importlib
import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, features

LOWEST, HIGHEST = 0, 99  # quality, on every codec's own scale; 100 is lossless to some
# A rival is to be seen at its best, within reason: AVIF would gain another 3 % in six times the time.
OPTIONS: dict[str, dict] = {
    "JPEG": {"optimize": True},
    "WebP": {"method": 6},
    "AVIF": {"speed": 6},
    "JPEG XL": {"effort": 9},
}
PILLOW_FORMATS = {"JPEG XL": "JXL"}
RIVALS = tuple(OPTIONS)


@dataclass(frozen=True)
class RivalPicture:
    """What a rival made of a picture: its file, the quality it took and what the file decodes to."""

    name: str
    data: bytes
    quality: int
    fits: bool = True  # False: this is the smallest file the codec writes, and it is larger than was asked for

    @property
    def size(self) -> int:
        return len(self.data)

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.data)).convert("RGB"))


def missing(name: str) -> str | None:
    """What to install so that a rival can be used; None when it can be."""
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


def encode_rival(name: str, pixels: np.ndarray, quality: int) -> RivalPicture:
    """What a rival makes of an (H, W, 3) uint8 picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, PILLOW_FORMATS.get(name, name), quality=quality, **OPTIONS[name])
    return RivalPicture(name, file.getvalue(), quality)


def encode_rival_to_size(name: str, pixels: np.ndarray, size: int) -> RivalPicture:
    """The best quality whose file has at most `size` bytes, found by bisection; else the smallest file there is.

    Nothing is scaled down to fit: the rival's smallest file is then returned with `fits` False.
    """
    best = encode_rival(name, pixels, LOWEST)
    if best.size > size:
        return replace(best, fits=False)
    low, high = LOWEST, HIGHEST + 1
    while high - low > 1:
        tried = encode_rival(name, pixels, (low + high) // 2)
        if tried.size <= size:
            low, best = tried.quality, tried
        else:
            high = tried.quality
    return best
