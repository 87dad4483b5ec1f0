"""Measures besides those of SDC Compare, by the library piq; none of them was near to anything trained here.

They have no weights. DISTS and FID, which need networks that no package brings, are left out.
"""

import numpy as np
import torch

# Key -> what people call it, digits that mean anything, and whether less is better.
OTHERS = {
    "gmsd": ("GMSD", ".4f", True),
    "haarpsi": ("HaarPSI", ".3f", False),
    "fsim": ("FSIM", ".3f", False),
    "vif_p": ("VIFp", ".3f", False),
}
SOURCES = (
    "GMSD: Xue et al. 2014, lower is better. HaarPSI: Reisenhofer et al. 2018; FSIM: Zhang et al. 2011; VIFp: Sheikh "
    "and Bovik 2006, on pixels; higher is better. DISTS and FID need networks that no package brings: left out."
)
SMALLEST = 41  # pixels a side, for the coarsest of VIF's four scales


def measure_others(original: np.ndarray, restored: np.ndarray) -> dict[str, float | None]:
    """Each of OTHERS for two (H, W, 3) uint8 images; None for all of images that are too small."""
    if min(original.shape[:2]) < SMALLEST:
        return dict.fromkeys(OTHERS)
    import piq

    pair = [torch.tensor(x).permute(2, 0, 1)[None] / 255 for x in (original, restored)]
    return {key: getattr(piq, key)(*pair, data_range=1.0).item() for key in OTHERS}


def is_better(key: str, after: float, before: float) -> bool:
    """By a measure of metrics.COLUMNS or of OTHERS."""
    lower = key == "lpips" or key in OTHERS and OTHERS[key][2]
    return after < before if lower else after > before
