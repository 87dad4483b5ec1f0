"""Error diffusion (Floyd & Steinberg, 1976) towards a palette, for pixels of any number of channels."""

import numpy as np

from .kmeans import nearest


def floyd_steinberg(pixels: np.ndarray, entries: np.ndarray, strength: float) -> np.ndarray:
    """Replace each pixel by the nearest entry and pass its error on to neighbors not yet visited.

    The result is that of the usual raster scan (left to right, top to bottom; 7/16 of the error to the right, 3/16
    down left, 5/16 down, 1/16 down right; what leaves the image is dropped). A pixel at column x and row y waits
    only for pixels whose x + 2y is smaller, so all pixels that share x + 2y are done in one numpy step.

    Parameters
    ----------
    pixels : (H, W, C) float64 array
    entries : (K, C) float array
        Palette values in the same units as `pixels`.
    strength : float
        Share of the error that is passed on, 0 to 1.

    Returns
    -------
    (H, W) intp array
        Indices into `entries`.
    """
    height, width, channels = pixels.shape
    entries = entries.astype(np.float64)
    indices = np.empty((height, width), np.intp)
    # Errors on their way: waves[k, y] is for the pixel of row y in the k-th wave from now. The extra row takes what
    # falls out of the bottom.
    waves = np.zeros((4, height + 1, channels))
    for wave in range(width + 2 * (height - 1)):
        first = max(0, (wave - width + 2) // 2)
        last = min(height - 1, wave // 2)
        y = np.arange(first, last + 1)
        x = wave - 2 * y
        wanted = pixels[y, x] + waves[0, first : last + 1]
        chosen = nearest(wanted, entries)
        indices[y, x] = chosen
        error = (wanted - entries[chosen]) * strength
        here, below = slice(first, last + 1), slice(first + 1, last + 2)
        waves[1, below] += error * (3 / 16)
        waves[1, here] += error * (7 / 16)
        waves[2, below] += error * (5 / 16)
        waves[3, below] += error * (1 / 16)
        waves[:-1] = waves[1:]
        waves[-1] = 0
    return indices
