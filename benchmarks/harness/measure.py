"""How good a picture still is, and the names of the figures."""

import math
from pathlib import Path

import numpy as np
from sdc_pack.nodes import metrics

COLUMNS = {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "lpips": "LPIPS"}
FORMATS = {"psnr": ".2f", "ssim": ".3f", "ms_ssim": ".3f", "lpips": ".3f"}
NET = "alex"


def figures(original: np.ndarray, restored: np.ndarray, shared: Path) -> dict[str, float | None]:
    """PSNR in dB, SSIM, MS-SSIM and LPIPS (AlexNet); None where a figure cannot be had or is infinite."""
    measures = {
        "psnr": lambda: metrics.psnr(original, restored),
        "ssim": lambda: metrics.ssim(original, restored),
        "ms_ssim": lambda: metrics.ms_ssim(original, restored),
        "lpips": lambda: metrics.lpips(original, restored, lpips_weights(shared), NET),
    }
    return {name: attempt(measure) for name, measure in measures.items()}


def attempt(measure) -> float | None:
    try:
        value = measure()
    except metrics.MetricUnavailable:
        return None
    return value if math.isfinite(value) else None


def lpips_weights(shared: Path) -> Path:
    return metrics.find_lpips_weights([shared / "models" / "lpips"], NET)


def lpips_note(shared: Path) -> str:
    """One line under a table about its LPIPS column."""
    try:
        lpips_weights(shared)
    except metrics.MetricUnavailable as error:
        return str(error)
    return "LPIPS: version 0.1 on AlexNet, lower is better."
