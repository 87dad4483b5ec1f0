"""Where an image lies in what its latent decodes to, one side at a time; FORMAT.md specifies it.

Slices and indices serve numpy arrays and torch tensors alike.
"""

import numpy as np

from .errors import SdcArgumentError


def centered(side: int, kept: int) -> slice:
    """The `kept` pixels in the middle of a side."""
    start = (side - kept) // 2
    return slice(start, start + kept)


def trimmed(side: int, factor: int) -> slice:
    """What ComfyUI's VAE Encode keeps of a side: the middle, a multiple of `factor`. A shorter side stays whole."""
    return centered(side, side // factor * factor or side)


def restored(decoded: int, true: int) -> np.ndarray:
    """For each pixel of the true side, the pixel of the decoded side that shows it: (true,) int64.

    Pixels that VAE Encode cut off, half of them at each end, repeat the nearest one that is left. Padding, which is at
    the far end, is left out.
    """
    kept = min(decoded, true)
    return (np.arange(true) - (true - kept) // 2).clip(0, kept - 1)


def mask_to_latent(
    mask: np.ndarray, latent_size: tuple[int, int], image_size: tuple[int, int], factor: int
) -> np.ndarray:
    """Return the largest value of a mask within the area of each latent element.

    Parameters
    ----------
    mask : (h, w) real array
        0 to 1. If it has the size of the true image, what VAE Encode cuts off is left out; a mask of any other size
        covers what the latent covers.
    latent_size, image_size : (int, int)
        Height and width of the latent, and of the true image in pixels.
    factor : int
        Pixels per latent element, each way.

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
    if mask.shape == tuple(image_size):
        covered = [factor * places for places in latent_size]
        kept = [centered(side, min(side, whole)) for side, whole in zip(mask.shape, covered, strict=True)]
        padding = [(0, max(0, whole - side)) for side, whole in zip(mask.shape, covered, strict=True)]
        mask = np.pad(mask[tuple(kept)], padding, mode="edge")
    for axis, places in enumerate(latent_size):
        side = mask.shape[axis]
        edges = [(side * place // places, -(-side * (place + 1) // places)) for place in range(places)]
        mask = np.stack([mask.take(range(*edge), axis).max(axis) for edge in edges], axis)
    return mask
