"""The small autoencoder in numpy alone: what torch does with `network`, for machines that have no torch.

Arrays are (H, W, C) float32. A convolution lays out the neighborhoods of some thousand places at a time, which stay in
the processor's cache, and multiplies them by all weights at once.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
LATENT_FORMAT = "SD1.x"  # the latent space it knows
FACTOR = 8  # pixels per latent
SCALE = 0.18215  # between ComfyUI's LATENT and the latents of the networks, whose variance is about 1
TILE = 96  # latents a side that are worked on at once, so that a large image needs no more memory than a small one
REACH = 20  # latents beyond a tile that its pixels, or latents, still depend on
# Pixels per latent of a small image -> the last layer of the decoder that it needs.
PREFIXES = {2: 10, 4: 15}
CHUNK = 1024  # places whose neighborhoods are laid out at once
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
    return _run(pixels, ENCODER, read_weights("sdc_tiny_vae_encoder.safetensors"))


def decode(latent: np.ndarray) -> np.ndarray:
    """(h, w, 4) scaled latents -> (8 h, 8 w, 3), about 0..1 and not clamped."""
    return _run(np.tanh(latent / 3) * 3, DECODER, read_weights("sdc_tiny_vae_decoder.safetensors"))


def decode_small(latent: np.ndarray, scale: int) -> np.ndarray:
    """(h, w, 4) scaled latents -> (scale h, scale w, 3), from the layers of the decoder up to the last one needed."""
    layers = {number: kind for number, kind in DECODER.items() if number <= PREFIXES[scale]}
    features = _run(np.tanh(latent / 3) * 3, layers, read_weights("sdc_tiny_vae_decoder.safetensors"))
    colors = read_weights("sdc_tiny_vae_previews.safetensors")
    return conv(features, colors[f"{scale}.weight"], colors[f"{scale}.bias"])


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


def _run(x: np.ndarray, layers: dict[int, str], weights: dict[str, np.ndarray]) -> np.ndarray:
    for number, kind in layers.items():
        if kind == "block":
            y = x
            for part in (0, 2, 4):
                y = conv(y, weights[f"{number}.conv.{part}.weight"], weights[f"{number}.conv.{part}.bias"])
                if part < 4:
                    np.maximum(y, 0, out=y)
            y += x
            x = np.maximum(y, 0, out=y)
            continue
        if kind == "twice":
            x = x.repeat(2, 0).repeat(2, 1)
        x = conv(x, weights[f"{number}.weight"], weights.get(f"{number}.bias"), 2 if kind == "half" else 1)
        if kind == "relu conv":
            np.maximum(x, 0, out=x)
    return x


def conv(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None, stride: int = 1) -> np.ndarray:
    """3x3 convolution of (h, w, inputs) with zeros around, by (outputs, inputs, 3, 3) weights."""
    outputs, inputs = weights.shape[:2]
    matrix = np.ascontiguousarray(weights.transpose(2, 3, 1, 0).reshape(9 * inputs, outputs))
    height, width = (-(-side // stride) for side in x.shape[:2])
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.empty((height, width, outputs), np.float32)
    rows = max(1, CHUNK // width)
    patches = np.empty((min(rows, height), width, 9, inputs), np.float32)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        for tap in range(9):
            i, j = divmod(tap, 3)
            first = top * stride + i
            patches[:count, :, tap] = padded[first : first + count * stride : stride, j : j + width * stride : stride]
        part = patches[:count].reshape(count * width, 9 * inputs) @ matrix
        y[top : top + count] = part.reshape(count, width, outputs)
    if bias is not None:
        y += bias
    return y
