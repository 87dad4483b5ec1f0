"""The tiny autoencoder, distilled from TAESD: its encoder gives TAESD's latents, its decoder the photographs back.

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

STEPS = 4_000
BATCH = 4
CROP = 20  # latents, 160 pixels
DECODER_STEPS = 4_000  # of the decoder alone, after both
DECODER_CROP = 16
RATE = 1e-3
LPIPS = "squeeze"  # AlexNet is kept for measuring
# Layers whose outputs are compared with TAESD's; the last of the encoder is its latent.
ENCODER_LAYERS = (6, 7, 8, 9, 10, 11, 12, 13, 14)
DECODER_LAYERS = (2, 3, 4, 5, 7, 8, 9, 10)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = tiny_vae.make_encoder(), tiny_vae.make_decoder()


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
    return metrics.lpips_network(found[0], LPIPS).requires_grad_(False)


class Lessons:
    """The photographs, TAESD, and how far the tiny autoencoder is from it."""

    def __init__(self, shared: Path):
        self.device = loop.device()
        self.encoder, self.decoder = (data.taesd(shared, half).to(self.device) for half in ("encoder", "decoder"))
        self.perceptual = load_lpips(shared).to(self.device)
        self.photographs, held_out = (
            [(torch.from_numpy(data.load(path).copy()).permute(2, 0, 1),) for path in paths]
            for paths in data.photographs(shared)
        )
        crops = data.Crops(held_out, CROP, factors=(8,))
        self.held = [self.draw(crops, loop.generator(1, part), 8) for part in range(4)]

    def crops(self, side: int) -> data.Crops:
        return data.Crops(self.photographs, side, factors=(8,))

    def draw(self, crops: data.Crops, generator, count: int = BATCH) -> torch.Tensor:
        (pixels,) = crops.batch(count, generator)
        return pixels.to(self.device, memory_format=torch.channels_last).float() / 255

    def cast(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def encode(self, encoder, pixels):
        """(errors of the features and of the latents, own latents, TAESD's)."""
        with self.cast():
            own, latents = features(encoder, pixels, ENCODER_LAYERS)
            with torch.no_grad():
                taught, wanted = features(self.encoder, pixels, ENCODER_LAYERS)
        latent = mse_loss(latents.float(), wanted.float()) / wanted.float().square().mean()
        return (apart(own, taught), latent), latents, wanted

    def decode(self, decoder, latents, target=None):
        """(errors of the features, of the pixels, and the perceptual one), against TAESD's picture or `target`."""
        with self.cast():
            with torch.no_grad():
                taught, x = features(self.decoder, latents, DECODER_LAYERS)
                if target is None:
                    target = self.decoder[DECODER_LAYERS[-1] + 1 :](x).float().clamp(0, 1)
            own, x = features(decoder, latents, DECODER_LAYERS)
            decoded = decoder[DECODER_LAYERS[-1] + 1 :](x).float()
            distance = self.perceptual(decoded * 2 - 1, target * 2 - 1)
        return apart(own, taught), l1_loss(decoded, target), distance.float().mean()

    def measure(self, errors, names: tuple[str, ...]) -> dict[str, float]:
        """Means over the photographs held out of what `errors` gives for a batch."""
        with torch.no_grad():
            parts = zip(*(errors(pixels) for pixels in self.held), strict=True)
            return {name: sum(values).item() / len(values) for name, values in zip(names, parts, strict=True)}


def train(shared: Path, state: Path, steps: int | None = None):
    """Both halves together, then the decoder alone."""
    torch.manual_seed(0)
    lessons = Lessons(shared)
    network = Autoencoder().to(lessons.device, memory_format=torch.channels_last)
    network = train_both(network, lessons, steps or STEPS, state)
    network.decoder = train_decoder(network, lessons, steps or DECODER_STEPS, state.with_name("vae-decoder.pt"))
    return network


def train_both(network, lessons: Lessons, steps: int, state: Path):
    """Towards the photographs themselves."""
    crops = lessons.crops(CROP)

    def errors(network, pixels):
        encoder_errors, latents, wanted = lessons.encode(network.encoder, pixels)
        half = len(pixels) // 2
        given = torch.cat([wanted[:half], latents[half:]]).detach()
        return (*encoder_errors, *lessons.decode(network.decoder, given, pixels))

    def loss(network, _step, generator):
        encoded, latent, decoded, pixel, distance = errors(network, lessons.draw(crops, generator))
        return encoded + latent + decoded + pixel + 0.5 * distance

    def measure(network):
        names = "encoder's features", "latents, squared", "decoder's features", "L1", f"LPIPS({LPIPS})"
        return lessons.measure(lambda pixels: errors(network, pixels), names)

    return loop.train(network, loss, measure, steps, state, RATE)


def train_decoder(network, lessons: Lessons, steps: int, state: Path):
    """Towards TAESD's pictures: with LPIPS alone it learns patterns that SqueezeNet likes and nobody else."""
    crops = lessons.crops(DECODER_CROP)

    def errors(decoder, pixels, encoder):
        with torch.no_grad(), lessons.cast():
            latents = encoder(pixels)
        return lessons.decode(decoder, latents)

    def loss(decoder, step, generator):
        encoder = network.encoder if step % 2 else lessons.encoder
        decoded, pixel, distance = errors(decoder, lessons.draw(crops, generator), encoder)
        return decoded + 4 * pixel + distance

    def measure(decoder):
        names = "features", "L1", f"LPIPS({LPIPS})"
        return lessons.measure(lambda pixels: errors(decoder, pixels, lessons.encoder), names)

    decoder = copy.deepcopy(network.decoder).requires_grad_(True)
    return loop.train(decoder, loss, measure, steps, state, RATE)


def parts(network) -> dict:
    """File in `weights/` -> what it holds."""
    return {"sdc_tiny_vae_encoder.safetensors": network.encoder, "sdc_tiny_vae_decoder.safetensors": network.decoder}
