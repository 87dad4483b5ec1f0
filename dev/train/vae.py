"""The tiny autoencoder: TAESD, trained on to give back photographs from what files hold of them.

TAESD's decoder has seen the latents of photographs; a file gives back a coarser one. So encoder and decoder learn with
the codec between them: the learned one at all its qualities, its rate counted, and palettes, through which the gradient
passes as if they had not been there. A share of latents is not coded, and a share comes from TAESD's own encoder, near
which the encoder has to stay: users store latents of their own VAE, too.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.codec.learned import NEWEST, weights
from torch import nn
from torch.nn.functional import mse_loss

from . import data, loop
from .coder.formats import FORMATS
from .coder.model import Coder
from .coder.quantize import from_file
from .judge import Judge

STEPS = 2_900
BATCH = 4
CROP = 24  # latents, 192 pixels
MARGIN = 8  # pixels at the edge of a crop that are not judged
RATE = 1.5e-4  # falls all the time
ENCODER_RATE = 0.3  # of that
SHARES = {"LPIPS": 1.5, "features": 0.4, "L1": 0.5}  # of how different two images are
NEARNESS = 2.0  # of the squared distance from TAESD's latents
# LPIPS falls by about so many percent where a file gets one percent larger, between 1.7 and 3.2 kB for 512x512.
ELASTICITY = 0.77
QUALITIES = (0.22, 0.82)  # of the learned codec, 0 to 1
COLORS = (10, 64)  # of a palette: in a crop they leave about the error that 20 to 120 leave in 512x512
PALETTES = 0.55  # share of the latents not coded by the learned codec that get a palette
THEIRS = 0.3  # share of the latents that TAESD's encoder gives
MEASURED, QUALITY = 12, 54  # photographs held out, and the quality that takes about 3.2 kB for 512x512


class Autoencoder(nn.Module):
    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


class Optimizer:
    """AdamW, slower for the encoder: trained weights are only to be moved a little."""

    def __init__(self, network: Autoencoder):
        halves = {network.encoder: ENCODER_RATE, network.decoder: 1.0}
        groups = [{"params": list(half.parameters()), "share": share} for half, share in halves.items()]
        self.own = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.0)
        self.state_dict, self.load_state_dict = self.own.state_dict, self.own.load_state_dict

    def step(self, rate: float):
        for group in self.own.param_groups:
            group["lr"] = rate * group["share"]
        self.own.step()


def train(shared: Path, state: Path, steps: int | None = None) -> Autoencoder:
    device = loop.device()
    chosen, held_out = data.photographs(shared)
    crops = data.Crops([(data.pixels(path),) for path in chosen], CROP, factors=(8,), mirrored=True)
    network = Autoencoder(data.teacher(shared, "encoder"), data.teacher(shared, "decoder")).to(device)
    teacher = copy.deepcopy(network.encoder)
    network.requires_grad_(True)
    coder = shipped_coder().to(device)
    judge = Judge(shared, device)

    def latents(network, pixels, generator):
        """Latents of an encoder each, and how far those of the network's own are from TAESD's."""
        with loop.autocast(device):
            own = network.encoder(pixels)
            with torch.no_grad():
                theirs = teacher(pixels)
        own, theirs = own.float(), theirs.float()
        is_theirs = torch.rand(len(own), generator=generator) < THEIRS
        return torch.where(is_theirs[:, None, None, None].to(device), theirs, own), mse_loss(own, theirs)

    def loss(network, step, generator):
        (pixels,) = crops.batch(BATCH, generator)
        pixels = pixels.to(device, memory_format=torch.channels_last).float() / 255
        z, away = latents(network, pixels, generator)
        learned = len(z) // 2 + step % 2  # of them; the others come after
        low, high = QUALITIES
        quality = low + (high - low) * torch.rand(learned, generator=generator)
        coded, bits = coder(z[:learned].contiguous(), quality.to(device))
        rest = [with_palette(each, generator) for each in z[learned:]]
        decoded = decode(network, torch.cat([coded, *rest]))
        figures, cost = weighed(decoded, pixels, bits, SHARES, judge, generator)
        return figures | {"away": away, "loss": cost + NEARNESS * away}

    def decode(network, z):
        with loop.autocast(device):
            return network.decoder(z.contiguous(memory_format=torch.channels_last)).float()

    def versions(network, target):
        latent = data.run(network.encoder, target, device)[0].numpy() / tiny_vae.SCALE
        (image,) = codec.encode([latent], quality=QUALITY)
        kinds = {
            "clean": latent,
            "best": codec.decode(image),
            "palette": stored_by_palette(latent, sum(COLORS) // 2),
        }
        return image.num_bytes, {
            kind: decode(network, torch.from_numpy(each)[None].to(device) * tiny_vae.SCALE)
            for kind, each in kinds.items()
        }

    def measure(network):
        return mean_differences(held_out[:MEASURED], lambda target: versions(network, target), judge, device)

    settings = {name: value for name, value in globals().items() if name.isupper()}
    recipe = f"{settings} {data.hash_of(chosen)} {data.digest(teacher, coder)}"
    return loop.train(
        network, loss, measure, steps or STEPS, state, RATE, recipe=recipe, cool_down=1, make_optimizer=Optimizer
    )


@torch.no_grad()
def mean_differences(paths: list[Path], versions, judge: Judge, device: torch.device) -> dict[str, float]:
    """Means of what `versions` makes of a photograph (1, 3, H, W): bytes of a file, and how different images look."""
    found = []
    for path in paths:
        target = (data.pixels(path, 2)[None] / 255).to(device)
        size, shown = versions(target)
        apart = {f"{kind} {by}": far.item() for kind in shown for by, far in judge(shown[kind], target).items()}
        found.append({"bytes": size} | apart)
    return {name: sum(each[name] for each in found) / len(found) for name in found[0]}


def weighed(decoded, pixels, bits, shares, judge: Judge, generator: torch.Generator) -> tuple[dict, torch.Tensor]:
    """How different crops look from what was decoded, the bits of the first ones, and both together."""
    images, targets = (x[..., MARGIN:-MARGIN, MARGIN:-MARGIN] for x in (decoded, pixels))
    found = {"L1": (images - targets).abs().mean((1, 2, 3)), **judge(images, targets, generator)}
    seen = sum(share * found[name] for name, share in shares.items())
    # A bit weighs what it would bring elsewhere: the gradient of log(seen) + ELASTICITY * log(bits), times seen.
    rate = (seen[: len(bits)] / bits.clamp(min=1)).detach() * bits
    figures = {name: value.mean() for name, value in found.items()} | {"bits": bits.mean()}
    return figures, seen.mean() + ELASTICITY * rate.sum() / len(decoded)


def shipped_coder() -> Coder:
    """The learned codec for SD 1.x as it is, with gradients through it but none for it."""
    known = FORMATS["SD1.x"]
    content = (weights.FOLDER / f"{NEWEST[known.name].hex()}.npz").read_bytes()
    return from_file(content, known).eval().requires_grad_(False)


def with_palette(z: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(1, C, h, w) of a scaled latent (C, h, w), mostly as a palette leaves it, with the gradient of the latent."""
    kind, dithered = torch.rand(2, generator=generator).tolist()
    colors = int(torch.randint(*COLORS, (), generator=generator))
    if kind >= PALETTES:
        return z[None]
    latent = z.detach().cpu().numpy() / tiny_vae.SCALE
    stored = stored_by_palette(latent, colors, {} if dithered < 0.5 else {"dither": "none"})
    return (z + (torch.from_numpy(stored).to(z.device) * tiny_vae.SCALE - z).detach())[None]


def stored_by_palette(latent: np.ndarray, colors: int, options: dict | None = None) -> np.ndarray:
    return codec.decode(codec.encode([latent], "custom", colors=colors, **options or {})[0])


def parts(network: Autoencoder) -> dict:
    """File in `weights/` -> what it holds."""
    return {f"sdc_tiny_vae_{half}.safetensors": getattr(network, half) for half in ("encoder", "decoder")}
