"""Plots, without a screen."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, ticker  # noqa: E402

matplotlib.rcParams.update(
    {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "grid.alpha": 0.3,
        "svg.fonttype": "none",
        "svg.hashsalt": "sdc",  # the same figures give the same file
    }
)


def axes(columns: int = 1, width: float = 5.0, height: float = 4.0):
    """A figure and its axes, side by side."""
    figure, made = pyplot.subplots(1, columns, figsize=(columns * width, height), squeeze=False)
    return figure, list(made[0])


def bytes_axis(axes):
    """File sizes along x, on a logarithmic scale."""
    axes.set(xscale="log", xlabel="bytes")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda size, _: f"{size / 1000:g}k" if size >= 1000 else f"{size:g}")
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def save(figure, path: Path):
    """Write a figure as its ending says: .svg, .png, .pdf."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
