"""The small autoencoder in numpy alone: what torch does with `network`, for machines that have no torch.

Arrays are (H, W, C) float32.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .features import Features, conv, transformed

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
LATENT_FORMAT = "SD1.x"  # the latent space it knows
FACTOR = 8  # pixels per latent
SCALE = 0.18215  # between ComfyUI's LATENT and the latents of the networks, whose variance is about 1
TILE = 96  # latents a side that are worked on at once, so that a large image needs no more memory than a small one
REACH = 20  # latents beyond a tile that its pixels, or latents, still depend on
# Pixels per latent of a small image -> the last layer of the decoder that it needs.
PREFIXES = {2: 10, 4: 15}
# Layers by their names in a file of weights: "conv" with bias, "block" of three convolutions, "half" and "twice" the
# size by a convolution without bias. What is not named holds no weights.
ENCODER = {
    0: "conv", 1: "block", 2: "half", 3: "block", 4: "block", 5: "block", 6: "half", 7: "block", 8: "block", 9: "block",
    10: "half", 11: "block", 12: "block", 13: "block", 14: "conv",
}  # fmt: skip
DECODER = {
    1: "relu conv", 3: "block", 4: "block", 5: "block", 7: "twice", 8: "block", 9: "block", 10: "block", 12: "twice",
    13: "block", 14: "block", 15: "block", 17: "twice", 18: "block", 19: "conv",
}  # fmt: skip


@functools.cache
def read_weights(file: str) -> dict[str, np.ndarray]:
    """Float32 arrays of a safetensors file of the pack, in float16."""
    data = (WEIGHTS / file).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    found = {}
    for name, about in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in about["data_offsets"])
            found[name] = np.frombuffer(data[start:end], "<f2").astype(np.float32).reshape(about["shape"])
    return found


def decode_latent(
    latent: np.ndarray, scale: int = FACTOR, run: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """Image of a latent, tile by tile.

    Parameters
    ----------
    latent : (4, h, w) float32 array
        In the convention of ComfyUI's LATENT.
    scale : int
        Pixels per latent: 8 for the image in full, 4 or 2 for a smaller one.
    run : callable, optional
        The network of that scale where numpy is not to run it: (h, w, 4) scaled latents -> (scale h, scale w, 3).

    Returns
    -------
    (scale * h, scale * w, 3) uint8 array
    """
    if run is None:
        run = decode if scale == FACTOR else functools.partial(decode_small, scale=scale)

    def pixels(tile):
        return np.rint(run(tile).clip(0, 1) * 255).astype(np.uint8)

    return tiled(pixels, np.ascontiguousarray(latent.transpose(1, 2, 0)) * np.float32(SCALE), 1, scale)


def encode(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) in 0..1 -> (H / 8, W / 8, 4), scaled latents."""
    return _run(pixels, ENCODER, "sdc_tiny_vae_encoder.safetensors")


def decode(latent: np.ndarray) -> np.ndarray:
    """(h, w, 4) scaled latents -> (8 h, 8 w, 3), about 0..1 and not clamped."""
    return _run(np.tanh(latent / 3) * 3, DECODER, "sdc_tiny_vae_decoder.safetensors")


def decode_small(latent: np.ndarray, scale: int) -> np.ndarray:
    """(h, w, 4) scaled latents -> (scale h, scale w, 3), from the layers of the decoder up to the last one needed."""
    layers = {number: kind for number, kind in DECODER.items() if number <= PREFIXES[scale]}
    colors = read_weights("sdc_tiny_vae_previews.safetensors")
    last = colors[f"{scale}.weight"], colors[f"{scale}.bias"]
    return _run(np.tanh(latent / 3) * 3, layers, "sdc_tiny_vae_decoder.safetensors", last)


def tiled(run: Callable, x: np.ndarray, before: int, after: int) -> np.ndarray:
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


def _run(
    x: np.ndarray, layers: dict[int, str], file: str, last: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Run layers of a file of weights over (h, w, c), and `last`, weights and bias of one more, after them."""
    weights = read_weights(file)
    (number, kind), *others = layers.items()
    x = conv(x, weights[f"{number}.weight"], weights[f"{number}.bias"])
    if kind == "relu conv":
        np.maximum(x, 0, out=x)
    features = Features.of(x)
    spare = features.like(), features.like()
    for number, kind in others:
        if kind == "block":
            if not features.fits(spare[0]):
                spare = features.like(), features.like()
            parts = [prepared(file, f"{number}.conv.{part}") for part in (0, 2, 4)]
            features.convolve(*parts[0], spare[0])
            spare[0].convolve(*parts[1], spare[1])
            spare[1].convolve(*parts[2], features, add=True)
        elif kind == "twice":
            features = features.enlarge(weights[f"{number}.weight"])
        elif kind == "half":
            features = Features.of(conv(features.to_array(), weights[f"{number}.weight"], None, 2))
        else:
            last = weights[f"{number}.weight"], weights[f"{number}.bias"]
    assert last
    return features.read(*last)


@functools.cache
def prepared(file: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a convolution as `Features.convolve` takes them, and its bias."""
    weights = read_weights(file)
    return transformed(weights[f"{name}.weight"]), weights[f"{name}.bias"]
