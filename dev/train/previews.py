"""Small images from within the tiny decoder: what its features say of the pixels at a half and a quarter of the size.

A linear map each, by least squares; the decoder itself stays as it is.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from sdc_pack.codec.autoencoder import tiny_vae

from . import data, loop

PHOTOGRAPHS = 64
SIDE = 256  # pixels in the middle of each
RIDGE = 1e-3  # of the mean variance of a feature


@torch.no_grad()
def train(shared: Path, state: Path, steps: int | None = None) -> dict[str, torch.Tensor]:
    """(3, 64, 3, 3) weights and (3,) biases, "2.weight" to "4.bias", by pixels per latent. Nothing is kept."""
    paths, held_out = data.photographs(shared)
    encoder, decoder = data.halves(shared, "tiny")
    count = min(len(paths), steps or PHOTOGRAPHS)
    samples = {scale: [] for scale in tiny_vae.PREFIXES}
    sums: dict[int, list] = {}
    for path in loop.progress(paths[:: max(1, len(paths) // count)][:count], "fitting"):
        for scale, (patches, wanted) in pairs(encoder, decoder, path).items():
            ones = torch.cat([patches, patches.new_ones(len(patches), 1)], 1).double()
            square, product = sums.get(scale, [0, 0])
            sums[scale] = [square + ones.T @ ones, product + ones.T @ wanted.double()]
    found = {}
    for scale, (square, product) in sums.items():
        ridge = RIDGE * square.diagonal()[:-1].mean() * torch.eye(len(square), dtype=torch.float64)
        ridge[-1, -1] = 0
        solution = torch.linalg.solve(square + ridge, product).float()
        found |= {f"{scale}.weight": solution[:-1].T.reshape(3, -1, 3, 3), f"{scale}.bias": solution[-1]}
    for path in held_out[:: max(1, len(held_out) // 8)][:8]:
        for scale, (patches, wanted) in pairs(encoder, decoder, path).items():
            made = patches @ found[f"{scale}.weight"].flatten(1).T + found[f"{scale}.bias"]
            samples[scale].append((made - wanted).square().mean().item())
    for scale, errors in samples.items():
        error = torch.tensor(errors).mean().sqrt() * 255
        print(f"{scale} pixels a latent: held out, {error:.2f} of 255 from the decoded image, made smaller", flush=True)
    return found


def pairs(encoder, decoder, path: Path) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Pixels per latent -> (N, 576) features around each place, and its (N, 3) color."""
    pixels = data.pixels(path)
    top, left = ((side - min(side, SIDE)) // 2 for side in pixels.shape[1:])
    x = encoder(pixels[None, :, top : top + SIDE, left : left + SIDE].float() / 255)
    features = {}
    for number, layer in enumerate(decoder):
        x = layer(x)
        features[number] = x
    found = {}
    for scale, last in tiny_vae.PREFIXES.items():
        patches = F.unfold(features[last], 3, padding=1)[0].T
        found[scale] = patches, F.avg_pool2d(x.clamp(0, 1), 8 // scale)[0].flatten(1).T
    return found


def parts(trained: dict[str, torch.Tensor]) -> dict[str, torch.nn.Module]:
    """File in `weights/` -> what it holds."""
    holder = torch.nn.Module()
    for scale in tiny_vae.PREFIXES:
        layer = torch.nn.Conv2d(64, 3, 3)
        layer.load_state_dict({name: trained[f"{scale}.{name}"] for name in ("weight", "bias")})
        holder.add_module(str(scale), layer)
    return {"sdc_tiny_vae_previews.safetensors": holder}
