"""Large images through ComfyUI's VAE in tiles that run into each other, so that memory hardly grows with the image.

ComfyUI's own tiled nodes hold several whole images as floats: at 50 megapixels 600 MB each.
"""

import math

import numpy as np
import torch

from ..codec.geometry import trimmed

MAX_WHOLE = 2 << 20  # pixels; up to here an image is worked on as a whole, as VAE Encode and VAE Decode do
TILE, OVERLAP = 64, 16  # latents


def encode(vae, pixels: np.ndarray) -> torch.Tensor:
    """Latent (1, C, h, w) of an image (H, W, 3) uint8, trimmed as VAE Encode does."""
    factor = vae.spacial_compression_encode()
    height, width = (side // factor for side in pixels.shape[:2])
    if pixels.shape[0] * pixels.shape[1] <= MAX_WHOLE:
        return vae.encode(_floats(pixels))
    y, x = (trimmed(side, factor).start for side in pixels.shape[:2])
    latent = torch.zeros(1, vae.latent_channels, height, width)
    for top, bottom, rows in _spans(height, 1):
        for left, right, columns in _spans(width, 1):
            tile = pixels[y + top * factor : y + bottom * factor, x + left * factor : x + right * factor]
            latent[..., top:bottom, left:right] += vae.encode(_floats(tile)).cpu() * (rows[:, None] * columns)
    return latent


def decode(vae, latent: torch.Tensor) -> torch.Tensor:
    """Image (1, H, W, 3) uint8 of a latent (1, C, h, w)."""
    factor = vae.spacial_compression_decode()
    height, width = latent.shape[-2:]
    if height * width * factor**2 <= MAX_WHOLE:
        return _bytes(vae.decode(latent))
    image = torch.empty(1, height * factor, width * factor, 3, dtype=torch.uint8)
    spans = _spans(height, factor)
    ends = [top for top, _, _ in spans[1:]] + [height]
    below = torch.zeros(0, width * factor, 3)  # what the tiles above have given to these rows
    for (top, bottom, rows), end in zip(spans, ends, strict=True):
        band = torch.zeros((bottom - top) * factor, width * factor, 3)
        band[: len(below)] += below
        for left, right, columns in _spans(width, factor):
            tile = vae.decode(latent[..., top:bottom, left:right])[0].cpu()
            band[:, left * factor : right * factor] += tile * (rows[:, None] * columns)[..., None]
        image[0, top * factor : end * factor] = _bytes(band[: (end - top) * factor])
        below = band[(end - top) * factor :]
    return image


def _spans(length: int, scale: int) -> list[tuple[int, int, torch.Tensor]]:
    """Start and end of each tile along a side, in latents, with the share that it has in each of its `scale` values a
    latent. Shares add up to 1 everywhere."""
    if length <= TILE:
        return [(0, length, torch.ones(length * scale))]
    count = math.ceil((length - OVERLAP) / (TILE - OVERLAP))
    starts = [round(number * (length - TILE) / (count - 1)) for number in range(count)]
    places = torch.arange(1, TILE * scale + 1)
    # Squared, as a tile is least like the whole image at its own edge.
    ramp = torch.minimum(places, places.flip(0)).clamp(max=OVERLAP * scale).float() ** 2
    total = torch.zeros(length * scale)
    for start in starts:
        total[start * scale : (start + TILE) * scale] += ramp
    return [(start, start + TILE, ramp / total[start * scale : (start + TILE) * scale]) for start in starts]


def _floats(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255)[None]


def _bytes(image: torch.Tensor) -> torch.Tensor:
    return (image.clamp(0, 1) * 255).round().byte().cpu()
