"""Canny edges of 8-bit images by OpenCV where it is installed, else the same, to the pixel, by numpy and SciPy."""

import numpy as np

from ..images import opencv

# OpenCV's fixed-point gray, 0.299 R + 0.587 G + 0.114 B, and tan(22.5 degrees), both by 2^15.
RED, GREEN, BLUE = 9798, 19235, 3735
TANGENT = 13573


def to_gray(pixels: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of (H, W, 3) uint8, as `cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)`."""
    if opencv.cv2 is not None:
        return opencv.cv2.cvtColor(pixels, opencv.cv2.COLOR_RGB2GRAY)
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return ((RED * red + GREEN * green + BLUE * blue + (1 << 14)) >> 15).astype(np.uint8)


def find_edges(gray: np.ndarray, low: float, high: float) -> np.ndarray:
    """(H, W) bool of (H, W) uint8, as `cv2.Canny(gray, low, high)`: 3x3 Sobel, L1 norm of the gradient.

    A pixel is a candidate where the gradient is above `low` and the largest across the edge, in one of four
    directions. Edges are the candidates above `high`, and those that are connected to one by candidates.
    """
    if opencv.cv2 is not None:
        return opencv.cv2.Canny(gray, low, high) > 0
    from scipy import ndimage

    low, high = np.floor(low), np.floor(high)
    padded = np.pad(gray.astype(np.int32), 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    columns = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    x, y = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    size = np.pad(np.abs(x) + np.abs(y), 1)

    def beside(down: int, right: int) -> np.ndarray:
        return size[1 + down : size.shape[0] - 1 + down, 1 + right : size.shape[1] - 1 + right]

    here, flat = beside(0, 0), np.abs(x) * TANGENT
    steep = flat + (np.abs(x) << 16)
    height = np.abs(y) << 15
    horizontal = (here > beside(0, -1)) & (here >= beside(0, 1))
    vertical = (here > beside(-1, 0)) & (here >= beside(1, 0))
    falling = (here > beside(-1, -1)) & (here > beside(1, 1))
    rising = (here > beside(-1, 1)) & (here > beside(1, -1))
    diagonal = np.where((x ^ y) < 0, rising, falling)
    largest = np.where(height < flat, horizontal, np.where(height > steep, vertical, diagonal))
    candidates = largest & (here > low)
    labels, count = ndimage.label(candidates, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[labels[candidates & (here > high)]] = True
    return kept[labels]
