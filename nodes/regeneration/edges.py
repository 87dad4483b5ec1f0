"""Canny edges of an image, as the ControlNet sees them."""

import numpy as np
import torch

from ..images.opencv import import_cv2


def canny_edges(image: torch.Tensor, low_threshold: int | None, high_threshold: int | None) -> torch.Tensor:
    """Edges of each image by OpenCV's Canny.

    Thresholds are in OpenCV's convention: the sum of the absolute 3x3 Sobel gradients of 8-bit gray, 0..2040, of
    which 0..255 is in common use. ComfyUI's own Canny node takes 0..1 for the length of the gradient of gray in 0..1,
    blurred first: its 0.4 corresponds to about 100 here.

    Parameters
    ----------
    image : torch.Tensor
        (B, H, W, C) in 0..1, C >= 3; further channels (alpha) are not looked at.
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
    ImportError
        OpenCV is not installed.
    """
    if low_threshold is not None and high_threshold is not None and low_threshold > high_threshold:
        raise ValueError(f"low_threshold ({low_threshold}) must not be above high_threshold ({high_threshold}).")
    cv2 = import_cv2()
    pixels = (image[..., :3].clamp(0, 1) * 255).round().to(device="cpu", dtype=torch.uint8).numpy()
    edges = []
    for frame in pixels:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        thresholds = (low_threshold, high_threshold) if low_threshold is not None else auto_thresholds(gray)
        edges.append(cv2.Canny(gray, *thresholds))
    return torch.from_numpy(np.stack(edges)).float().div(255).unsqueeze(-1).repeat(1, 1, 1, 3)


def auto_thresholds(gray: np.ndarray) -> tuple[float, float]:
    """(low, high) for an image of 8-bit gray."""
    median = max(float(np.median(gray)), 45.0)
    return 0.67 * median, min(1.33 * median, 255.0)


def as_hint(image: torch.Tensor) -> torch.Tensor:
    """Somebody's own edges, (B, H, W, C) with one channel or more, as a ControlNet takes them: (B, H, W, 3)."""
    image = image[..., :3].float().clamp(0, 1)
    return image if image.shape[-1] == 3 else image[..., :1].repeat(1, 1, 1, 3)


def fit_to_latent(image: torch.Tensor, samples: torch.Tensor, factor: int, name: str = "image") -> torch.Tensor:
    """Trim an image (B, H, W, C) exactly as VAE Encode does, so that edges lie where the latent has them.

    A ControlNet would otherwise crop the hint about its center by aspect ratio and shift it. An image of
    another size but the same shape is left for ComfyUI to scale.

    Raises ValueError when image and latent differ in shape; `name` says which input it is.
    """
    height, width = image.shape[1:3]
    latent_height, latent_width = samples.shape[-2:]
    trimmed_height, trimmed_width = height // factor * factor, width // factor * factor
    if trimmed_height * latent_width != trimmed_width * latent_height or trimmed_height == 0:
        raise ValueError(
            f"The {name} is {width}x{height}, but the latent is that of an image of {latent_width * factor}x"
            f"{latent_height * factor}, which has another shape. Connect the image that VAE Decode made of it."
        )
    top, left = height % factor // 2, width % factor // 2
    return image[:, top : top + trimmed_height, left : left + trimmed_width]
