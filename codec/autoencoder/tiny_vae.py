"""The pack's own small autoencoder for the latent space of Stable Diffusion 1.x: images to latents and back.

It was trained to give TAESD's latents and images and has its architecture, so ComfyUI reads it as one.
"""

import functools
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .network import WIDTH, make_decoder, make_encoder

LATENT_FORMAT = "SD1.x"  # the latent space it knows
SCALE = 0.18215  # between ComfyUI's LATENT and the latents of the networks, whose variance is about 1
WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
TILE = 96  # latents a side that are worked on at once, so that a large image needs no more memory than a small one
REACH = 20  # latents beyond a tile that its pixels, or latents, still depend on
# Pixels per latent of a small image -> the last layer of the decoder that it needs.
PREFIXES = {2: 10, 4: 15}


@functools.cache
def encoder() -> nn.Sequential:
    return _load(make_encoder(), "sdc_tiny_vae_encoder.safetensors")


@functools.cache
def decoder() -> nn.Sequential:
    return _load(make_decoder(), "sdc_tiny_vae_decoder.safetensors")


@functools.cache
def small_decoder(scale: int) -> nn.Sequential:
    """A decoder of `scale` pixels per latent: the first layers of `decoder`, and a layer that reads colors off them."""
    from safetensors.torch import load_file

    colors = nn.Conv2d(WIDTH, 3, 3, padding=1)
    stored = load_file(WEIGHTS / "sdc_tiny_vae_previews.safetensors")
    colors.load_state_dict({name: stored[f"{scale}.{name}"].float() for name in ("weight", "bias")})
    return nn.Sequential(*decoder()[: PREFIXES[scale] + 1], colors.requires_grad_(False)).eval()


def _load(network: nn.Sequential, file: str) -> nn.Sequential:
    from safetensors.torch import load_file

    network.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS / file).items()})
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
    image = torch.from_numpy(pixels).permute(2, 0, 1)
    return (_tiled(lambda tile: encoder()(tile.float() / 255), image, 8, 1) / SCALE).numpy()


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
    z = torch.from_numpy(np.ascontiguousarray(latent)) * SCALE
    network = decoder() if scale == 8 else small_decoder(scale)

    def pixels(tile):
        return (network(tile).clamp(0, 1) * 255).round().to(torch.uint8)

    return _tiled(pixels, z, 1, scale).permute(1, 2, 0).contiguous().numpy()


@torch.inference_mode()
def _tiled(network, x: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Run `network` over (C, H, W), which has `before` pixels a latent and is to have `after`, tile by tile."""
    height, width = (side // before for side in x.shape[1:])
    rows = []
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, TILE):
            first_row, first_column = max(0, top - REACH), max(0, left - REACH)
            tile = x[
                :,
                first_row * before : (top + TILE + REACH) * before,
                first_column * before : (left + TILE + REACH) * before,
            ]
            y = network(tile[None])[0]
            bottom, right = min(top + TILE, height) - first_row, min(left + TILE, width) - first_column
            row.append(y[:, (top - first_row) * after : bottom * after, (left - first_column) * after : right * after])
        rows.append(torch.cat(row, dim=2))
    return torch.cat(rows, dim=1)
