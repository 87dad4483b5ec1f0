"""Images to measure on."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from sdc_pack.codec.geometry import centered

from .environment import SetupError

SIDE = 512  # the paper's images, and what SD 1.x was trained on
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


def load_crops(paths: list[Path], size: int = SIDE) -> dict[str, np.ndarray]:
    """Name -> (H, W, 3) uint8: the center `size` x `size` of every image, or as much of it as there is.

    Sides are trimmed to multiples of 8, so that an autoencoder gives back the same size; `size` 0 only does that.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
            if not found:
                raise SetupError(f"There is no image in {path}")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise SetupError(f"There is no {path}")
    images: dict[str, np.ndarray] = {}
    for file in files:
        name = file.stem if file.stem not in images else str(file)
        images[name] = crop(load_rgb(file), size)
    return images


def load_rgb(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, upright."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise SetupError(f"{path} cannot be read as an image: {error}") from None


def crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """The center, as VAE Encode trims where `size` is 0."""
    return pixels[tuple(centered(side, (min(side, size) if size else side) // 8 * 8) for side in pixels.shape[:2])]
