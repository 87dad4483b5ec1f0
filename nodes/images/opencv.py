"""OpenCV, which a Python has in one of several builds or not at all, and what stands in for it.

Installing one build over another breaks both, and which one is right is up to the user's other packs; so the pack
installs none. Where there is none, SciPy, which comes with ComfyUI, does the same more slowly.
"""

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]


def filter_rows_and_columns(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums over the windows that fit into x, (H, W, C) float64: (H - n + 1, W - n + 1, C) for n weights."""
    if cv2 is not None:
        sums = cv2.sepFilter2D(x, -1, weights, weights)
    else:
        from scipy import ndimage

        sums = ndimage.correlate1d(ndimage.correlate1d(x, weights, axis=0), weights, axis=1)
    margin = len(weights) // 2
    return sums[margin:-margin, margin:-margin]
