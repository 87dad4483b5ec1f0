"""The pack's own small autoencoder for the latent space of Stable Diffusion 1.x: images to latents and back.

It was trained to give TAESD's latents and images and has its architecture, so ComfyUI reads it as one. torch runs it
where there is torch, numpy where there is not.
"""

import functools
from collections.abc import Callable

import numpy as np

from . import plain

try:
    import torch
    from torch import nn

    from .network import WIDTH, make_decoder, make_encoder
except ImportError:  # numpy does it, in several times the time
    torch = None  # type: ignore[assignment]

WEIGHTS = plain.WEIGHTS
LATENT_FORMAT = "SD1.x"  # the latent space it knows
SCALE = 0.18215  # between ComfyUI's LATENT and the latents of the networks, whose variance is about 1
TILE = 96  # latents a side that are worked on at once, so that a large image needs no more memory than a small one
REACH = 20  # latents beyond a tile that its pixels, or latents, still depend on
# Pixels per latent of a small image -> the last layer of the decoder that it needs.
PREFIXES = {2: 10, 4: 15}


@functools.cache
def encoder() -> "nn.Sequential":
    return _load(make_encoder(), "sdc_tiny_vae_encoder.safetensors")


@functools.cache
def decoder() -> "nn.Sequential":
    return _load(make_decoder(), "sdc_tiny_vae_decoder.safetensors")


@functools.cache
def small_decoder(scale: int) -> "nn.Sequential":
    """A decoder of `scale` pixels per latent: the first layers of `decoder`, and a layer that reads colors off them."""
    colors = nn.Conv2d(WIDTH, 3, 3, padding=1)
    stored = plain.read_weights("sdc_tiny_vae_previews.safetensors")
    colors.load_state_dict({name: torch.from_numpy(stored[f"{scale}.{name}"]) for name in ("weight", "bias")})
    return nn.Sequential(*decoder()[: PREFIXES[scale] + 1], colors.requires_grad_(False)).eval()


def _load(network: "nn.Sequential", file: str) -> "nn.Sequential":
    network.load_state_dict({name: torch.from_numpy(value) for name, value in plain.read_weights(file).items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # a third faster on a CPU


def encode_pixels(pixels: np.ndarray) -> np.ndarray:
    """Latent of an image.

    Parameters
    ----------
    pixels : (H, W, 3) uint8 array
        Sides that are no multiples of 8 are filled up to the right and below with the last column and row.

    Returns
    -------
    (4, ceil(H / 8), ceil(W / 8)) float32 array
        In the convention of ComfyUI's LATENT, as `codec.encode` takes it.
    """
    below, right = (-side % 8 for side in pixels.shape[:2])
    pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)), mode="edge")
    run = plain.encode if torch is None else _by_torch(encoder())
    latent = _tiled(lambda tile: run(tile.astype(np.float32) / 255), pixels, 8, 1)
    return np.ascontiguousarray(latent.transpose(2, 0, 1)) / np.float32(SCALE)


def decode_latent(latent: np.ndarray, scale: int = 8) -> np.ndarray:
    """Image of a latent.

    Parameters
    ----------
    latent : (4, h, w) float32 array
        In the convention of ComfyUI's LATENT.
    scale : int
        Pixels per latent: 8 for the image in full, 4 or 2 for a smaller one, which takes a third or a twelfth of the
        work.

    Returns
    -------
    (scale * h, scale * w, 3) uint8 array
    """
    run: Callable[[np.ndarray], np.ndarray]
    if torch is not None:
        run = _by_torch(decoder() if scale == 8 else small_decoder(scale))
    elif scale == 8:
        run = plain.decode
    else:
        run = functools.partial(plain.decode_small, scale=scale, last=PREFIXES[scale])

    def pixels(tile):
        return np.rint(run(tile).clip(0, 1) * 255).astype(np.uint8)

    return _tiled(pixels, np.ascontiguousarray(latent.transpose(1, 2, 0)) * np.float32(SCALE), 1, scale)


def _by_torch(network: "nn.Sequential") -> Callable[[np.ndarray], np.ndarray]:
    """The network as a function of (H, W, C) float32 arrays."""

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(x).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()

    return run


def _tiled(run: Callable, x: np.ndarray, before: int, after: int) -> np.ndarray:
    """Run a network over (H, W, C), which has `before` pixels a latent and is to have `after`, tile by tile."""
    height, width = (side // before for side in x.shape[:2])
    rows = []
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, TILE):
            first_row, first_column = max(0, top - REACH), max(0, left - REACH)
            tile = x[
                first_row * before : (top + TILE + REACH) * before,
                first_column * before : (left + TILE + REACH) * before,
            ]
            y = run(tile)
            bottom, right = min(top + TILE, height) - first_row, min(left + TILE, width) - first_column
            row.append(y[(top - first_row) * after : bottom * after, (left - first_column) * after : right * after])
        rows.append(np.concatenate(row, 1))
    return np.ascontiguousarray(np.concatenate(rows))
