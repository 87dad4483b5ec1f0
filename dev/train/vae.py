"""The tiny autoencoder, distilled from TAESD: its encoder gives TAESD's latents, its decoder TAESD's images.

Both halves learn layer by layer, then as a whole, so that the errors of the layers do not add up.
"""

from pathlib import Path

import torch
from sdc_pack.codec.autoencoder import tiny_vae
from torch import nn
from torch.nn.functional import l1_loss, mse_loss

from . import data, layers, loop

LAYER_STEPS = 2_500  # of each layer
LAYER_RATES = {"encoder": 2e-3, "decoder": 4e-3}
LAYER_CROPS = 640  # of photographs, whose features the layers learn from
STEPS = {"encoder": 2_000, "decoder": 600}  # of each as a whole
BATCH = 4
MEASURED = 12  # batches of those held out
CROP = 16  # latents, 128 pixels
RATE = 2e-4  # falls all the time
NOISE = 0.4  # most noise on a latent, about what a palette leaves


def features(network: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    """What each layer of the network gives."""
    found = []
    for layer in network:
        x = layer(x)
        found.append(x)
    return found


def apart(own: list, taught: list) -> torch.Tensor:
    """Mean relative squared distance of the features of two networks."""
    return sum(map(layers.apart, own, taught)) / len(taught)


class Photographs:
    """Crops of the photographs, and of those held out."""

    def __init__(self, shared: Path):
        self.device = loop.device()
        chosen, _ = data.photographs(shared)
        self.recipe = f"{data.hash_of(chosen)} {BATCH} {CROP} {NOISE}"
        self.crops, self.held_out_crops = (
            data.Crops([(data.pixels(path),) for path in paths], CROP, factors=(8,))
            for paths in data.photographs(shared)
        )
        self.held_out = [self.draw(loop.generator(1, part), self.held_out_crops) for part in range(MEASURED)]

    def draw(self, generator, crops: data.Crops, count: int = BATCH) -> torch.Tensor:
        (pixels,) = crops.batch(count, generator)
        return pixels.to(self.device, memory_format=torch.channels_last).float() / 255

    def many(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Crops for the layers, and crops to measure them by."""
        generator = loop.generator(3, 0)
        kinds = (self.crops, LAYER_CROPS), (self.held_out_crops, LAYER_CROPS // 10)
        return tuple(self.draw(generator, crops, count).cpu() for crops, count in kinds)

    def measure(self, errors) -> dict[str, float]:
        """Means over the photographs held out of what `errors` gives for a batch, by name."""
        with torch.no_grad():
            found = [errors(pixels) for pixels in self.held_out]
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
    teacher = data.teacher(shared, "encoder").to(device)
    if not state.is_file():
        rate, folder = LAYER_RATES["encoder"], state.with_suffix("")
        layers.train(encoder, teacher, *photographs.many(), steps or LAYER_STEPS, rate, folder, photographs.recipe)

    def errors(encoder, pixels):
        with loop.autocast(device):
            own = features(encoder, pixels)
            with torch.no_grad():
                taught = features(teacher, pixels)
        latent = mse_loss(own[-1].float(), taught[-1].float()) / taught[-1].float().square().mean()
        return {"features": apart(own, taught), "latents, squared": latent}

    def loss(encoder, _step, generator):
        found = errors(encoder, photographs.draw(generator, photographs.crops))
        return found | {"loss": sum(found.values())}

    def measure(encoder):
        return photographs.measure(lambda pixels: errors(encoder, pixels))

    recipe = photographs.recipe
    return loop.train(encoder, loss, measure, steps or STEPS["encoder"], state, RATE, recipe=recipe, cool_down=1)


def train_decoder(shared: Path, photographs: Photographs, steps: int | None, state: Path):
    """Towards TAESD's images: from photographs it learns patterns that SqueezeNet likes and nobody else."""
    device = photographs.device
    torch.manual_seed(0)
    decoder = tiny_vae.make_decoder().to(device, memory_format=torch.channels_last)
    encoder, teacher = (data.teacher(shared, half).to(device) for half in ("encoder", "decoder"))
    perceptual = data.load_lpips(shared).to(device)
    shares = {"features": 1, "L1": 4, f"LPIPS({data.LPIPS})": 1}

    def noisy(latents, generator):
        """Every second latent as a palette leaves it."""
        level = NOISE * torch.rand(len(latents), 1, 1, 1, generator=generator)
        level[::2] = 0
        return latents + (level * torch.randn(latents.shape, generator=generator)).to(latents.device)

    if not state.is_file():
        latents = (layers.run(encoder, pixels).float() for pixels in photographs.many())
        latents = (noisy(part, loop.generator(2, number)) for number, part in enumerate(latents))
        rate, folder = LAYER_RATES["decoder"], state.with_suffix("")
        layers.train(decoder, teacher, *latents, steps or LAYER_STEPS, rate, folder, photographs.recipe)

    def encode(pixels):
        with torch.no_grad(), loop.autocast(device):
            return encoder(pixels).float()

    def errors(decoder, latents):
        with loop.autocast(device):
            with torch.no_grad():
                taught = features(teacher, latents)
            own = features(decoder, latents)
            target, decoded = taught[-1].float().clamp(0, 1), own[-1].float()
            distance = perceptual(decoded * 2 - 1, target * 2 - 1)
        return dict(zip(shares, (apart(own, taught), l1_loss(decoded, target), distance.float().mean()), strict=True))

    def loss(decoder, _step, generator):
        latents = noisy(encode(photographs.draw(generator, photographs.crops)), generator)
        found = errors(decoder, latents)
        return found | {"loss": sum(shares[name] * error for name, error in found.items())}

    def measure(decoder):
        return photographs.measure(lambda pixels: errors(decoder, encode(pixels)))

    recipe = photographs.recipe
    return loop.train(decoder, loss, measure, steps or STEPS["decoder"], state, RATE, recipe=recipe, cool_down=1)


def parts(halves: dict[str, nn.Module]) -> dict:
    """File in `weights/` -> what it holds."""
    return {f"sdc_tiny_vae_{half}.safetensors": network for half, network in halves.items()}
