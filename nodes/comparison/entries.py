"""What a comparison holds: an original, images made of it, baselines with as many bytes, and the figures of all."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from . import baselines, metrics

# VAE Encode trims a side to a multiple of 8, others of 16 or 32; more is no trimming but another image.
MAX_TRIMMED = 64
# Qualities at which a baseline's curve is drawn, and how many times the bytes compared it may take.
CURVE = (0, 2, 5, 10, 20, 30, 45, 60, 75)
CURVE_ENDS = 8


@dataclass(frozen=True)
class Entry:
    """One image of the comparison; `figures` are those of metrics.measure against the original."""

    name: str
    pixels: np.ndarray = field(repr=False)  # (H, W, 3) uint8
    size: int | None = None  # bytes of its file, where one is known
    fits: bool = True  # False: a baseline that cannot write so small a file
    figures: dict = field(default_factory=dict)

    @property
    def bits_per_pixel(self) -> float | None:
        return None if self.size is None else 8 * self.size / (self.pixels.shape[0] * self.pixels.shape[1])


def to_batches(images: dict[str, torch.Tensor]) -> list[dict[str, np.ndarray]]:
    """Images of (H, W, 3) uint8 by the names of their inputs, one dict for each item of the batch.

    An input with one image serves the whole batch. Gray becomes RGB, alpha is left out. All are trimmed about the
    center to the smallest of them, which is how VAE Encode trims.

    Raises ValueError, naming the input, where images or batches do not belong together.
    """
    count = max(len(image) for image in images.values())
    height, width = (min(image.shape[axis] for image in images.values()) for axis in (1, 2))
    shown = " ".join(f"{name} {image.shape[2]}x{image.shape[1]}," for name, image in images.items()).rstrip(",")
    for name, image in images.items():
        if len(image) not in (1, count):
            raise ValueError(f"{name} has {len(image)} images and another input {count}; give each as many, or one.")
        if image.shape[1] - height >= MAX_TRIMMED or image.shape[2] - width >= MAX_TRIMMED:
            raise ValueError(f"The images have different sizes: {shown}. Scale them to one size before comparing them.")
    trimmed = {}
    for name, image in images.items():
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        image = image[:, top : top + height, left : left + width, : 3 if image.shape[3] >= 3 else 1]
        trimmed[name] = image.expand(-1, -1, -1, 3)
    return [
        {name: metrics.to_pixels(image[item % len(image)]) for name, image in trimmed.items()} for item in range(count)
    ]


@dataclass(frozen=True)
class Comparison:
    """One original and what was made of it, all measured."""

    original: np.ndarray  # (H, W, 3) uint8
    entries: list[Entry]  # the images given, then the baselines
    curves: dict[str, list[Entry]]  # each baseline at several sizes


def compare(original, entries: list[Entry], names: list[str], size: int | None, lpips, step, curve=CURVE) -> Comparison:
    """Measure entries and the baselines of these names, which may take `size` bytes.

    `lpips` is for metrics.measure, `curve` holds the qualities at which baselines are measured besides. `step()` is
    called for each of the `count_steps` images.
    """

    def measured(entry: Entry) -> Entry:
        step()
        return replace(entry, figures=metrics.measure(original, entry.pixels, lpips))

    entries = [measured(entry) for entry in entries]
    curves: dict[str, list[Entry]] = {}
    for name in names:
        assert size is not None  # there are names only where it is known
        entries.append(measured(to_entry(baselines.encode_baseline_to_size(name, original, size))))
        curves[name] = []
        for quality in curve:
            baseline = baselines.encode_baseline(name, original, quality)
            curves[name].append(measured(to_entry(baseline)))
            if baseline.size > CURVE_ENDS * size:
                break
    return Comparison(original, entries, curves)


def count_steps(entries: int, names: int) -> int:
    """How often `compare` calls `step` at most."""
    return entries + names * (1 + len(CURVE))


def to_entry(baseline: baselines.BaselineImage) -> Entry:
    return Entry(baseline.name, baseline.pixels(), baseline.size, baseline.fits)
