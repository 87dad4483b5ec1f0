"""How near a restored image is to its original: the measures of SDC Compare, and four more by the library piq.

Those four need no weights, and nothing here was trained with any of them. DISTS and FID are left out: no package
brings the networks they need.
"""

import functools
import math
from pathlib import Path

import numpy as np
import torch
from sdc_pack.nodes.comparison import metrics

from .tables import mean, show

NET = "alex"
HEADER = [name for name, _ in metrics.COLUMNS.values()]
# Key -> name, digits that mean anything, and whether lower is better.
OTHERS = {
    "gmsd": ("GMSD", ".4f", True),
    "haarpsi": ("HaarPSI", ".3f", False),
    "fsim": ("FSIM", ".3f", False),
    "vif_p": ("VIFp", ".3f", False),
}
SOURCES = (
    "GMSD: Xue et al. 2014, lower is better. HaarPSI: Reisenhofer et al. 2018; FSIM: Zhang et al. 2011; VIFp: Sheikh "
    "and Bovik 2006, on pixels; higher is better."
)
MIN_SIDE = 41  # pixels, for the coarsest of VIF's four scales


def measure(original: np.ndarray, restored: np.ndarray, shared: Path) -> dict[str, float | None]:
    """Every figure of two (H, W, 3) uint8 images; None where one cannot be had, or is infinite, as JSON has no word
    for that."""
    found = metrics.measure(original, restored, load_lpips(shared)[0])
    if min(original.shape[:2]) < MIN_SIDE:
        found |= dict.fromkeys(OTHERS)
    else:
        import piq

        pair = [torch.tensor(x).permute(2, 0, 1)[None] / 255 for x in (original, restored)]
        found |= {key: getattr(piq, key)(*pair, data_range=1.0).item() for key in OTHERS}
    return {name: value if value is None or math.isfinite(value) else None for name, value in found.items()}


@functools.cache
def load_lpips(shared: Path):
    """LPIPS, or None, and a line about it."""
    try:
        return metrics.load_lpips([shared / "models" / "lpips"], NET), "LPIPS: version 0.1 on AlexNet, lower is better."
    except metrics.MetricUnavailable as error:
        return None, str(error)


def is_better(key: str, one: float, other: float) -> bool:
    lower = key == "lpips" or key in OTHERS and OTHERS[key][2]
    return one < other if lower else one > other


def wins(key: str, ours: list[dict], theirs: list[dict]) -> str:
    """On how many images ours are better by one measure."""
    pairs = [(one[key], other[key]) for one, other in zip(ours, theirs, strict=True)]
    return "-" if any(None in pair for pair in pairs) else str(sum(is_better(key, *pair) for pair in pairs))


def means(values: list[dict]) -> dict[str, float | None]:
    """Of the figures of several images."""
    return {name: mean([value.get(name) for value in values]) for name in values[0]}


def cells(figures: dict) -> list[str]:
    """The figures as a table shows them, in the order of HEADER."""
    return [show(figures[key], form) for key, (_, form) in metrics.COLUMNS.items()]


def cells_with_bytes(figures: dict) -> list[str]:
    return [show(figures.get("bytes"), ".0f"), *cells(figures)]
