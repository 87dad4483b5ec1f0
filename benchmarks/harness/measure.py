"""How good a picture still is, for benches."""

import functools
import math
from pathlib import Path

import numpy as np
from sdc_pack.nodes.comparison import metrics

NET = "alex"


def figures(original: np.ndarray, restored: np.ndarray, shared: Path) -> dict[str, float | None]:
    """Each of metrics.COLUMNS; None where a figure cannot be had, or is infinite, which JSON has no word for."""
    measured = metrics.measure(original, restored, load_lpips(shared)[0])
    return {name: value if value is None or math.isfinite(value) else None for name, value in measured.items()}


@functools.cache
def load_lpips(shared: Path):
    """LPIPS, or None, and a line for the table about it."""
    try:
        return metrics.load_lpips([shared / "models" / "lpips"], NET), "LPIPS: version 0.1 on AlexNet, lower is better."
    except metrics.MetricUnavailable as error:
        return None, str(error)


def cells(figures: dict) -> list[str]:
    """The figures as a table shows them, in the order of HEADER."""
    return ["-" if figures[key] is None else format(figures[key], form) for key, (_, form) in metrics.COLUMNS.items()]


HEADER = [name for name, _ in metrics.COLUMNS.values()]
