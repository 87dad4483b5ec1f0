"""The encoder of the tiny autoencoder, once more: for the decoder and the learned codec as they are.

It goes on from the one in `weights/`, and learns to make latents that show the photograph better in as many bytes.
What decodes stays what it is, so nothing changes for a file that exists. Other autoencoders of SD 1.x decode such
files, too: so TAESD decodes a share of the crops, and the latents are to stay near to TAESD's. In the end the weights
go back half of the way to where they began, after Wortsman et al., "Robust fine-tuning of zero-shot models" (2022):
what is learned for coarse files costs fine ones something, and half-way both are better than at the beginning.
"""

import copy
from pathlib import Path

import torch
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae
from torch.nn.functional import mse_loss

from . import data, loop
from .judge import Judge
from .vae import CROP, MEASURED, QUALITY, mean_differences, shipped_coder, weighed, with_palette

STEPS = 1_700
BATCH = 4
LEARNED = 2  # of them, the first, are coded by the learned codec; one is not coded, and the last may get a palette
THEIRS = 0.3  # share of the crops that TAESD decodes
RATE = 1.5e-4  # falls all the time
NEARNESS = 0.2  # of the squared distance from TAESD's latents
SHARES = {"LPIPS": 1.5, "features": 0.5, "L1": 0.3}  # of how different two images are
QUALITIES = (0.25, 0.85)  # of the learned codec, 0 to 1
BACK = 0.5  # share of the way that is gone back in the end


def train(shared: Path, state: Path, steps: int | None = None) -> torch.nn.Module:
    device = loop.device()
    chosen, held_out = data.photographs(shared)
    crops = data.Crops([(data.pixels(path),) for path in chosen], CROP, factors=(8,), mirrored=True)
    network, decoder = (half.to(device) for half in data.halves(shared, "tiny"))
    begun = copy.deepcopy(network)
    network.requires_grad_(True)
    teacher, their_decoder = (half.to(device) for half in data.halves(shared, "taesd"))
    coder, judge = shipped_coder().to(device), Judge(shared, device)

    def run(half, x):
        with loop.autocast(device):
            return half(x.contiguous(memory_format=torch.channels_last)).float()

    def loss(network, step, generator):
        (pixels,) = crops.batch(BATCH, generator)
        pixels = pixels.to(device, memory_format=torch.channels_last).float() / 255
        z = run(network, pixels)
        with torch.no_grad():
            theirs = run(teacher, pixels)
        away = mse_loss(z, theirs)
        low, high = QUALITIES
        quality = low + (high - low) * torch.rand(LEARNED, generator=generator)
        coded, bits = coder(z[:LEARNED].contiguous(), quality.to(device))
        shown = torch.cat([coded, z[LEARNED:-1], with_palette(z[-1], generator)])
        by_taesd = torch.rand(BATCH, generator=generator) < THEIRS
        decoded = torch.empty_like(pixels)
        for half, those in ((decoder, ~by_taesd), (their_decoder, by_taesd)):
            if those.any():
                decoded[those] = run(half, shown[those])
        figures, cost = weighed(decoded, pixels, bits, SHARES, judge, generator)
        return figures | {"away": away, "loss": cost + NEARNESS * away}

    def versions(network, target):
        latent = data.run(network, target, device)[0].numpy() / tiny_vae.SCALE
        (image,) = codec.encode([latent], quality=QUALITY)
        stored = codec.decode(image)
        kinds = {"clean": (decoder, latent), "best": (decoder, stored), "best by TAESD": (their_decoder, stored)}
        return image.num_bytes, {
            kind: run(half, torch.from_numpy(each)[None].to(device) * tiny_vae.SCALE)
            for kind, (half, each) in kinds.items()
        }

    def measure(network):
        return mean_differences(held_out[:MEASURED], lambda target: versions(network, target), judge, device)

    settings = {name: value for name, value in globals().items() if name.isupper()}
    recipe = f"{settings} {data.hash_of(chosen)} {data.digest(begun, decoder, teacher, their_decoder, coder)}"
    trained = loop.train(network, loss, measure, steps or STEPS, state, RATE, recipe=recipe, cool_down=1)
    for value, before in zip(trained.parameters(), begun.parameters(), strict=True):
        value.lerp_(before, BACK)
    print(f"half-way held out: {loop.spell(measure(trained))}", flush=True)
    return trained


def parts(network: torch.nn.Module) -> dict:
    """File in `weights/` -> what it holds."""
    return {"sdc_tiny_vae_encoder.safetensors": network}
