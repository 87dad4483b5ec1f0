"""A comparison: an original, images made from it, baselines at the same file size, and the metrics of all."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ...codec.geometry import centered
from . import baselines, metrics
from .baseline_process import search

# VAE Encode trims a side to a multiple of 8, others of 16 or 32; a larger difference is another image.
MAX_TRIMMED = 64


@dataclass(frozen=True)
class Entry:
    """One image of the comparison; `figures` are those of metrics.measure against the original."""

    name: str
    pixels: np.ndarray = field(repr=False)  # (H, W, 3) uint8
    num_bytes: int | None = None  # bytes of its file, where one is known
    fits: bool = True  # False: a baseline that cannot write so small a file
    figures: dict = field(default_factory=dict)

    @property
    def bits_per_pixel(self) -> float | None:
        return None if self.num_bytes is None else 8 * self.num_bytes / (self.pixels.shape[0] * self.pixels.shape[1])


def to_batches(images: dict[str, torch.Tensor]) -> list[dict[str, np.ndarray]]:
    """Images of (H, W, 3) uint8 by the names of their inputs, one dict for each item of the batch.

    An input with one image is used for the whole batch. Gray becomes RGB, alpha is dropped. All are trimmed to the
    middle of the smallest of them, as VAE Encode does.

    Raises ValueError, naming the input, where sizes or batches do not match.
    """
    count = max(len(image) for image in images.values())
    height, width = (min(image.shape[axis] for image in images.values()) for axis in (1, 2))
    shown = " ".join(f"{name} {image.shape[2]}x{image.shape[1]}," for name, image in images.items()).rstrip(",")
    for name, image in images.items():
        if len(image) not in (1, count):
            raise ValueError(
                f"{name} has {len(image)} images and another input {count}; connect as many to each, or one."
            )
        if image.shape[1] - height >= MAX_TRIMMED or image.shape[2] - width >= MAX_TRIMMED:
            raise ValueError(f"The images have different sizes: {shown}. Scale them to the same size first.")
    trimmed = {}
    for name, image in images.items():
        rows, columns = centered(image.shape[1], height), centered(image.shape[2], width)
        image = image[:, rows, columns, : 3 if image.shape[3] >= 3 else 1]
        trimmed[name] = image.expand(-1, -1, -1, 3)
    return [
        {name: metrics.to_pixels(image[item % len(image)]) for name, image in trimmed.items()} for item in range(count)
    ]


@dataclass(frozen=True)
class Comparison:
    """One original and what was made of it, all measured."""

    original: np.ndarray  # (H, W, 3) uint8
    entries: list[Entry]  # the images given, then the baselines
    notes: list[str] = field(default_factory=list)  # about baselines that refused the image


def compare(
    original: np.ndarray,
    entries: list[Entry],
    names: list[str],
    max_bytes: int | None,
    lpips,
    step: Callable[[], None],
    check: Callable[[], None] = lambda: None,
) -> Comparison:
    """Measure entries and baselines against the original, and return the Comparison.

    Parameters
    ----------
    original : np.ndarray
        (H, W, 3) uint8; entries have the same size.
    names : list of str
        Baselines, out of `baselines.BASELINES`; none where `max_bytes` is None.
    max_bytes : int or None
        Maximum file size of the baselines.
    lpips : callable or None
        As for `metrics.measure`.
    step : callable
        Called without arguments before each measurement, len(entries) + len(names) times; its exceptions end the work.
    check : callable
        Likewise several times a second while a baseline is encoded.
    """

    def measured(entry: Entry) -> Entry:
        step()
        return replace(entry, figures=metrics.measure(original, entry.pixels, lpips))

    measured_entries, notes = [measured(entry) for entry in entries], []
    for name in names:
        assert max_bytes is not None
        try:
            best = search(name, original, max_bytes, check)
        except baselines.BaselineError as error:
            step()
            notes.append(str(error))
            continue
        measured_entries.append(measured(Entry(name, best.pixels(), best.num_bytes, best.fits)))
    return Comparison(original, measured_entries, notes)
