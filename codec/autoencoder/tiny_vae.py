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
except ImportError:  # numpy does it, in more time
    torch = None  # type: ignore[assignment]

WEIGHTS, LATENT_FORMAT, SCALE, PREFIXES = plain.WEIGHTS, plain.LATENT_FORMAT, plain.SCALE, plain.PREFIXES


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
    latent = plain.tiled(lambda tile: run(tile.astype(np.float32) / 255), pixels, 8, 1)
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
    if torch is None:
        return plain.decode_latent(latent, scale)
    return plain.decode_latent(latent, scale, _by_torch(decoder() if scale == plain.FACTOR else small_decoder(scale)))


def _by_torch(network: "nn.Sequential") -> Callable[[np.ndarray], np.ndarray]:
    """The network as a function of (H, W, C) float32 arrays."""

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(x).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()

    return run
