"""Where an image lies in what its latent decodes to, one side at a time; FORMAT.md specifies it.

Slices and indices alone, which serve numpy arrays and torch tensors alike.
"""

import numpy as np


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
