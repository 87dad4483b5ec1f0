"""From a latent to a palette and indices, step 2 of "Post-processing Based Image Coding via Stable Diffusion"."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from . import entries
from .dither import floyd_steinberg
from .kmeans import kmeans, nearest

MAX_TRAINING_POINTS = 1 << 16


def quantize(
    latents: Sequence[np.ndarray], colors: int, strength: float, seed: int, step: Callable[[], object]
) -> tuple[entries.Palette, list[np.ndarray]]:
    """Fit a palette to latents and choose an entry for each place.

    Parameters
    ----------
    latents : sequence of (C, H, W) float64 arrays
        Of one shape, finite, within the float16 range.
    colors : int
        Most entries, 2 to 4096.
    strength : float
        Share of the error that is dithered, 0 to 1; 0 for the nearest entry everywhere.
    seed : int
        Of the k-means start.
    step : callable
        Called without arguments after each latent; what it raises ends the work.

    Returns
    -------
    (Palette, list of (H, W) integer arrays)
        The palette reduced to the entries in use, and the index of each place of each latent.
    """
    images = [np.ascontiguousarray(np.moveaxis(latent, 0, -1)) for latent in latents]
    channels = images[0].shape[-1]
    # Training on an evenly spread part of large latents keeps the cost linear in their area.
    stride = math.ceil(math.sqrt(len(images) * images[0].size / channels / MAX_TRAINING_POINTS))
    training = np.concatenate([pixels[::stride, ::stride].reshape(-1, channels) for pixels in images])
    trained = entries.from_centers(kmeans(training, colors, np.random.Generator(np.random.PCG64(seed))))
    # Pixels are matched with what a decoder will see, not with the centers before rounding. No image's error is
    # dithered into the next.
    values = trained.values()
    chosen = []
    for pixels in images:
        chosen.append(_choose(pixels, values, strength))
        step()
    used, compact = np.unique(np.stack(chosen), return_inverse=True)
    return trained.keep(used), list(compact.reshape(len(chosen), *chosen[0].shape))


def _choose(pixels: np.ndarray, values: np.ndarray, strength: float) -> np.ndarray:
    if strength > 0:
        return floyd_steinberg(pixels, values, strength)
    return nearest(pixels.reshape(-1, pixels.shape[-1]), values).reshape(pixels.shape[:2])
