"""The tiny autoencoder, distilled from TAESD: its encoder gives TAESD's latents, its decoder TAESD's pictures.

It learns block by block: where both networks have the same number of channels, what a block gives shall be what
TAESD's gives, which is learnt many times sooner than from the ends alone.
"""

import copy
from pathlib import Path

import torch
from sdc_pack.codec import tiny_vae
from sdc_pack.nodes import metrics
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from . import data, loop

ENCODER_STEPS = 3_000
DECODER_STEPS = 5_600
BATCH = 4
CROP = 16  # latents, 128 pixels
RATE = 1.5e-3
NOISE = 0.4  # most noise on a latent, about what a palette leaves
LPIPS = "squeeze"  # AlexNet is kept for measuring
# Layers as wide as TAESD's, whose outputs are compared with its own; the last of the encoder is its latent.
ENCODER_LAYERS = tuple(range(2, 15))
DECODER_LAYERS = (2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15)


def features(network: nn.Sequential, x, layers: tuple[int, ...]) -> tuple[list, torch.Tensor]:
    """What `layers` of the network give for x, and what comes out at the end of the last of them."""
    found = []
    for number, layer in enumerate(network[: layers[-1] + 1]):
        x = layer(x)
        if number in layers:
            found.append(x)
    return found, x


def apart(own: list, taught: list) -> torch.Tensor:
    """Mean relative squared distance of features."""
    pairs = list(zip(own, taught, strict=True))
    return sum(mse_loss(a.float(), b.float()) / b.float().var() for a, b in pairs) / len(pairs)


def load_lpips(shared: Path) -> nn.Module:
    """(pictures, pictures) in -1..1 -> LPIPS, with its gradient."""
    folder = shared / "models" / "lpips"
    found = sorted(folder.glob(f"{metrics.LPIPS_WEIGHTS[LPIPS]}*.pth"))
    if not found:
        raise FileNotFoundError(
            f"No weights of {metrics.LPIPS_WEIGHTS[LPIPS]} in {folder}, which training measures by."
        )
    return copy.deepcopy(metrics.lpips_network(found[0], LPIPS)).requires_grad_(False)


class Photographs:
    """Crops of the photographs, and of those held out."""

    def __init__(self, shared: Path):
        self.device = loop.device()
        self.crops, held_out = (
            data.Crops([(data.pixels(path),) for path in paths], CROP, factors=(8,))
            for paths in data.photographs(shared)
        )
        self.held = [self.draw(loop.generator(1, part), held_out, 8) for part in range(6)]

    def draw(self, generator, crops: data.Crops, count: int = BATCH) -> torch.Tensor:
        (pixels,) = crops.batch(count, generator)
        return pixels.to(self.device, memory_format=torch.channels_last).float() / 255

    def measure(self, errors) -> dict[str, float]:
        """Means over the photographs held out of what `errors` gives for a batch, by name."""
        with torch.no_grad():
            found = [errors(pixels) for pixels in self.held]
        return {name: sum(part[name].item() for part in found) / len(found) for name in found[0]}


def train(shared: Path, state: Path, steps: int | None = None) -> dict[str, nn.Module]:
    photographs = Photographs(shared)
    halves = {"encoder": train_encoder, "decoder": train_decoder}
    return {
        half: teach(shared, photographs, steps, state.with_name(f"vae-{half}.pt")) for half, teach in halves.items()
    }


def train_encoder(shared: Path, photographs: Photographs, steps: int | None, state: Path):
    """Towards TAESD's latents."""
    device = photographs.device
    torch.manual_seed(0)
    encoder = tiny_vae.make_encoder().to(device, memory_format=torch.channels_last)
    teacher = data.taesd(shared, "encoder").to(device)

    def errors(encoder, pixels):
        with torch.autocast(device.type, dtype=torch.bfloat16):
            own, latents = features(encoder, pixels, ENCODER_LAYERS)
            with torch.no_grad():
                taught, wanted = features(teacher, pixels, ENCODER_LAYERS)
        latent = mse_loss(latents.float(), wanted.float()) / wanted.float().square().mean()
        return {"features": apart(own, taught), "latents, squared": latent}

    def loss(encoder, _step, generator):
        return sum(errors(encoder, photographs.draw(generator, photographs.crops)).values())

    def measure(encoder):
        return photographs.measure(lambda pixels: errors(encoder, pixels))

    return loop.train(encoder, loss, measure, steps or ENCODER_STEPS, state, RATE)


def train_decoder(shared: Path, photographs: Photographs, steps: int | None, state: Path):
    """Towards TAESD's pictures: from photographs it learns patterns that SqueezeNet likes and nobody else."""
    device = photographs.device
    torch.manual_seed(0)
    decoder = tiny_vae.make_decoder().to(device, memory_format=torch.channels_last)
    teachers = [data.taesd(shared, half).to(device) for half in ("encoder", "decoder")]
    perceptual = load_lpips(shared).to(device)
    shares = {"features": 1, "L1": 4, f"LPIPS({LPIPS})": 1}

    def encode(pixels):
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            return teachers[0](pixels).float()

    def errors(decoder, latents):
        with torch.autocast(device.type, dtype=torch.bfloat16):
            with torch.no_grad():
                taught, x = features(teachers[1], latents, DECODER_LAYERS)
                target = teachers[1][DECODER_LAYERS[-1] + 1 :](x).float().clamp(0, 1)
            own, x = features(decoder, latents, DECODER_LAYERS)
            decoded = decoder[DECODER_LAYERS[-1] + 1 :](x).float()
            distance = perceptual(decoded * 2 - 1, target * 2 - 1)
        return dict(zip(shares, (apart(own, taught), l1_loss(decoded, target), distance.float().mean()), strict=True))

    def loss(decoder, step, generator):
        latents = encode(photographs.draw(generator, photographs.crops))
        if step % 2:
            level = NOISE * torch.rand(len(latents), 1, 1, 1, generator=generator)
            latents = latents + (level * torch.randn(latents.shape, generator=generator)).to(device)
        return sum(shares[name] * error for name, error in errors(decoder, latents).items())

    def measure(decoder):
        return photographs.measure(lambda pixels: errors(decoder, encode(pixels)))

    return loop.train(decoder, loss, measure, steps or DECODER_STEPS, state, RATE)


def parts(halves: dict[str, nn.Module]) -> dict:
    """File in `weights/` -> what it holds."""
    return {f"sdc_tiny_vae_{half}.safetensors": network for half, network in halves.items()}
