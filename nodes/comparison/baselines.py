"""Baseline codecs at the file size of an SDC file, all by Pillow. `baseline_process` runs this file by itself, too."""

import functools
import importlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, features

MIN_QUALITY, MAX_QUALITY = 0, 99  # on each codec's own scale; 100 is lossless in some
# A baseline is shown at its best: the slowest setting that gains anything. Where there are several, the smallest file
# counts: both kinds of JPEG hold the same coefficients. JPEG keeps Pillow's colors at half size (4:2:0), which for
# 512x512 is closer up to 16 kB. AVIF's bytes would depend on the number of threads, tiles cost bytes, and colors at
# full size (4:4:4) gain more than they cost, from 3 to 30 kB. libavif 1.4 tunes libaom by "iq": by "ssim" PSNR is .3 to
# .6 dB higher, LPIPS lower up to 8 kB (3 % higher at 16 kB), and the smallest file has about half the bytes.
AVIF: dict = {"max_threads": 1, "autotiling": False, "subsampling": "4:4:4", "advanced": {"tune": "ssim"}}
# The benches alone measure HEIC, where pillow-heif is installed. Wavefronts (wpp) would cost 2 % of 3 kB; without
# adaptive quantization (tune psnr) and with deeper transforms both PSNR and LPIPS are better.
HEIC: dict = {
    "save_nclx_profile": False,
    "enc_params": {"preset": "placebo", "tune": "psnr", "tu-intra-depth": "4", "x265:wpp": "0"},
}
OPTIONS: dict[str, tuple[dict, ...]] = {
    "JPEG": ({"optimize": True}, {"optimize": True, "progressive": True}),
    "WebP": ({"method": 6},),
    "AVIF": ({"speed": 0, **AVIF},),
    "JPEG XL": ({"effort": 10},),
    "HEIC": (HEIC,),
}
# Only to find about which quality to start from. The nearer these files come to the best ones in size, the fewer slow
# steps follow: at 3 kB AVIF's are 7 % larger at speed 6, and 25 % at 8.
QUICK: dict[str, tuple[dict, ...]] = {"AVIF": ({"speed": 6, **AVIF},), "JPEG XL": ({"effort": 7},)}
# For when even the lowest quality is too large: there AVIF writes less with colors at half size, and often at speed 4
# than at 0; HEIC about half with adaptive quantization.
SMALLEST: dict[str, tuple[dict, ...]] = {
    "AVIF": tuple({**AVIF, "speed": speed, "subsampling": "4:2:0"} for speed in (0, 4)),
    "HEIC": ({**HEIC, "enc_params": {**HEIC["enc_params"], "tune": "ssim"}},),
}
PILLOW_FORMATS = {"JPEG XL": "JXL", "HEIC": "HEIF"}
BASELINES = tuple(OPTIONS)


class BaselineError(ValueError):
    """A codec refuses an image, such as one with more pixels a side than its format has."""


@dataclass(frozen=True)
class BaselineImage:
    """What a baseline made of an image: its file, the quality it took and what the file decodes to."""

    name: str
    data: bytes
    quality: int
    seconds: float  # of processor time, which encoding at this quality took
    fits: bool = True  # False: this is the codec's smallest file, and it is larger than requested

    @property
    def num_bytes(self) -> int:
        return len(self.data)

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return np.asarray(Image.open(io.BytesIO(self.data)).convert("RGB"))


def missing(name: str) -> str | None:
    """What to install so that a baseline can be used; None where it can be."""
    if name == "AVIF" and not features.check("avif"):
        return "AVIF needs Pillow 11.3 or later"
    if name == "WebP" and not features.check("webp"):
        return "this Pillow was built without WebP"
    if name == "JPEG XL":
        try:
            importlib.import_module("pillow_jxl")  # importing it makes Pillow know the format
        except ImportError:
            return "JPEG XL needs the package pillow-jxl-plugin"
    if name == "HEIC":
        try:
            importlib.import_module("pillow_heif.HeifImagePlugin")
        except ImportError:
            return "HEIC needs the package pillow-heif"
    return None


def encode_baseline(name: str, pixels: np.ndarray, quality: int) -> BaselineImage:
    """Encode an (H, W, 3) uint8 image at its best, or raise BaselineError."""
    return _encode(name, pixels, quality, OPTIONS[name])


def encode_baseline_to_size(
    name: str, pixels: np.ndarray, max_bytes: int, check: Callable[[], None] = lambda: None
) -> BaselineImage:
    """The best quality whose file has at most `max_bytes`, or the smallest file, with `fits` False.

    Found by bisection with a quick setting, then step by step with the best one, which is slow. The image is never
    scaled down.

    Parameters
    ----------
    name : str
        One of BASELINES.
    pixels : np.ndarray
        (H, W, 3) uint8.
    max_bytes : int
    check : callable
        Called before every encoding, of which there are about ten; its exceptions end the search.

    Raises
    ------
    BaselineError
        The codec refuses the image.
    """

    def encode(quality: int, settings: tuple[dict, ...]) -> BaselineImage:
        check()
        return _encode(name, pixels, quality, settings)

    low, high = MIN_QUALITY, MAX_QUALITY + 1
    while high - low > 1:
        middle = (low + high) // 2
        if encode(middle, QUICK.get(name, OPTIONS[name])).num_bytes <= max_bytes:
            low = middle
        else:
            high = middle
    options = OPTIONS[name]
    best = encode(low, options)
    while best.num_bytes > max_bytes and best.quality > MIN_QUALITY:
        best = encode(best.quality - 1, options)
    if best.num_bytes > max_bytes and name in SMALLEST:
        smaller = encode(MIN_QUALITY, SMALLEST[name])
        if smaller.num_bytes < best.num_bytes:
            best, options = smaller, SMALLEST[name]
    if best.num_bytes > max_bytes:
        return replace(best, fits=False)
    while best.quality < MAX_QUALITY and (finer := encode(best.quality + 1, options)).num_bytes <= max_bytes:
        best = finer
    return best


def _encode(name: str, pixels: np.ndarray, quality: int, settings: tuple[dict, ...]) -> BaselineImage:
    image, files = Image.fromarray(pixels), []
    since = time.process_time()
    for options in settings:
        if "effort" in options:
            options = {**options, "effort": highest_effort(options["effort"])}
        if "advanced" in options and not can_tune(**options["advanced"]):
            options = {key: value for key, value in options.items() if key != "advanced"}
        file = io.BytesIO()
        try:
            image.save(file, PILLOW_FORMATS.get(name, name), quality=quality, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise BaselineError(f"{name} cannot encode {image.width}x{image.height}: {error}") from error
        files.append(file.getvalue())
    return BaselineImage(name, min(files, key=len), quality, time.process_time() - since)


@functools.cache
def can_tune(**advanced: str) -> bool:
    """Whether Pillow's AVIF takes these options of libaom; it may have been built with another encoder."""
    try:
        Image.new("RGB", (1, 1)).save(io.BytesIO(), "AVIF", advanced=advanced)
        return True
    except (ValueError, RuntimeError, OSError):
        return False


@functools.cache
def highest_effort(wanted: int) -> int:
    """The highest effort up to this one that the installed plugin knows; before 1.3.8 it ends at 9."""
    for effort in range(wanted, 1, -1):
        try:
            Image.new("RGB", (1, 1)).save(io.BytesIO(), PILLOW_FORMATS["JPEG XL"], effort=effort)
            return effort
        except ValueError:
            continue
    return 1
