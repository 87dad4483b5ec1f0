"""Canny edges of an image, as the hint of a ControlNet."""

import numpy as np
import torch

from .canny import find_edges, to_gray


def canny_edges(image: torch.Tensor, low_threshold: int | None, high_threshold: int | None) -> torch.Tensor:
    """Edges of each image by OpenCV's Canny, or by `canny.find_edges`, which finds the same.

    Thresholds are in OpenCV's convention: the sum of the absolute 3x3 Sobel gradients of 8-bit gray, 0..2040, of
    which 0..255 is in common use. ComfyUI's own Canny node takes 0..1 for the length of the gradient of gray in 0..1,
    blurred first: its 0.4 corresponds to about 100 here.

    Parameters
    ----------
    image : torch.Tensor
        (B, H, W, C) in 0..1, C >= 3; further channels (alpha) are ignored.
    low_threshold, high_threshold : int or None
        None for both: 0.67 and 1.33 times the median gray of each image (the common rule with 0.33), but never so
        low that grain in a dark image becomes edges.

    Returns
    -------
    torch.Tensor
        (B, H, W, 3) float32: 1 on an edge, 0 elsewhere.

    Raises
    ------
    ValueError
        The low threshold is above the high one.
    """
    if low_threshold is not None and high_threshold is not None and low_threshold > high_threshold:
        raise ValueError(f"low_threshold ({low_threshold}) must not be above high_threshold ({high_threshold}).")
    pixels = (image[..., :3].float().clamp(0, 1) * 255).round().to(device="cpu", dtype=torch.uint8).numpy()
    edges = []
    for frame in pixels:
        gray = to_gray(frame)
        thresholds = (low_threshold, high_threshold) if low_threshold is not None else auto_thresholds(gray)
        edges.append(find_edges(gray, *thresholds))
    return torch.from_numpy(np.stack(edges)).float().unsqueeze(-1).repeat(1, 1, 1, 3)


def auto_thresholds(gray: np.ndarray) -> tuple[float, float]:
    """(low, high) for an image of 8-bit gray."""
    median = max(float(np.median(gray)), 45.0)
    return 0.67 * median, min(1.33 * median, 255.0)


def as_hint(image: torch.Tensor) -> torch.Tensor:
    """The user's own edges, (B, H, W, C) with C >= 1, as the hint of a ControlNet: (B, H, W, 3) float32 in 0..1."""
    image = image[..., :3].float().clamp(0, 1)
    return image if image.shape[-1] == 3 else image[..., :1].repeat(1, 1, 1, 3)
