"""From a latent to a palette and indices, step 2 of "Post-processing Based Image Coding via Stable Diffusion"."""

import math

import numpy as np

from . import entries
from .dither import floyd_steinberg
from .kmeans import kmeans, nearest

MAX_TRAINING_POINTS = 1 << 16


def quantise(latent, colours, strength, seed):
    """Fit a palette to a latent and choose an entry for each place.

    Parameters
    ----------
    latent : (C, H, W) float64 array
        Finite, within the float16 range.
    colours : int
        Most entries, 2 to 4096.
    strength : float
        Share of the error that is dithered, 0 to 1; 0 for the nearest entry everywhere.
    seed : int
        Of the k-means start.

    Returns
    -------
    (Palette, (H, W) integer array)
        The palette reduced to the entries in use, and the index of each place.
    """
    pixels = np.ascontiguousarray(np.moveaxis(latent, 0, -1))
    channels = pixels.shape[-1]
    # Training on an evenly spread part of a large latent keeps the cost linear in its area.
    step = math.ceil(math.sqrt(pixels.size / channels / MAX_TRAINING_POINTS))
    training = pixels[::step, ::step].reshape(-1, channels)
    trained = entries.from_centres(kmeans(training, colours, np.random.Generator(np.random.PCG64(seed))))
    # Pixels are matched with what a decoder will see, not with the centres before rounding.
    values = trained.values()
    if strength > 0:
        chosen = floyd_steinberg(pixels, values, strength)
    else:
        chosen = nearest(pixels.reshape(-1, channels), values).reshape(pixels.shape[:2])
    used, compact = np.unique(chosen, return_inverse=True)
    return trained.keep(used), compact.reshape(chosen.shape)
