"""From a mask of an image to one of its latent."""

import numpy as np

from .errors import SdcArgumentError


def mask_to_latent(
    mask: np.ndarray, latent_size: tuple[int, int], image_size: tuple[int, int], factor: int
) -> np.ndarray:
    """Return how much of a mask falls on each place of a latent: the most that is in the area of the place.

    Parameters
    ----------
    mask : (h, w) real array
        0 to 1. Of the true image's size: then what the autoencoder has cut off is left out. Of any other size: it
        covers what the latent covers.
    latent_size, image_size : (int, int)
        Height and width of the latent, and of the true image in pixels.
    factor : int
        Pixels per place of the latent, each way.

    Returns
    -------
    (H, W) float32 array

    Raises
    ------
    SdcArgumentError
        Not one mask, or values outside of 0 to 1.
    """
    mask = np.asarray(mask, np.float32)
    if mask.ndim != 2 or not mask.size:
        raise SdcArgumentError(f"a mask has shape {mask.shape}; pass (height, width)")
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise SdcArgumentError("a mask holds values outside of 0 to 1")
    is_of_image = mask.shape == tuple(image_size)
    for axis, places in enumerate(latent_size):
        side = mask.shape[axis]
        start, length = 0, side
        if is_of_image:
            # FORMAT.md says where the image lies: its center is kept, or padding follows it.
            start, length = max(0, (side - factor * places) // 2), factor * places
        parts = []
        for place in range(places):
            first = min(start + length * place // places, side - 1)  # what is padding repeats the last pixel
            end = min(start - (-length * (place + 1) // places), side)
            parts.append(mask.take(range(first, max(end, first + 1)), axis).max(axis))
        mask = np.stack(parts, axis)
    return mask
