"""The tiny denoiser: epsilon of noised SD 1.x latents, with the schedule of SD 1.5."""

from pathlib import Path

import torch
from torch.nn.functional import mse_loss

from . import data, loop, networks

STEPS = 1_200
BATCH = 16
CROP = 32  # latents, 256 pixels
RATE = 1e-3
MEASURED = 64  # crops of those held out


def noised(z, labels, noise):
    """z_t = sqrt(a_t) z + sqrt(1 - a_t) noise."""
    alphas = networks.alphas_cumprod().float().to(z.device)[labels][:, None, None, None]
    return alphas.sqrt() * z + (1 - alphas).sqrt() * noise


def error(network, z, labels, noise):
    with loop.autocast(z.device):
        eps = network(noised(z, labels, noise).contiguous(memory_format=torch.channels_last), labels)
    return mse_loss(eps.float(), noise)


def train(shared: Path, state: Path, steps: int | None = None):
    device = loop.device()
    torch.manual_seed(0)
    network = networks.UNet().to(device, memory_format=torch.channels_last)
    chosen, held_out = data.photographs(shared)
    teacher = data.teacher(shared, "encoder")
    crops, held = (
        data.Crops([(z,) for z in data.latents(teacher, paths, state.parent / f"{name}.safetensors")], CROP)
        for paths, name in ((chosen, "latents"), (held_out, "latents-held-out"))
    )

    def draw(source, generator, count):
        (z,) = source.batch(count, generator)
        labels = torch.randint(0, 1000, (count,), generator=generator)
        noise = torch.randn(z.shape, generator=generator)
        return z.float().to(device), labels.to(device), noise.to(device)

    def loss(network, _step, generator):
        return {"loss": error(network, *draw(crops, generator, BATCH))}

    @torch.no_grad()
    def measure(network):
        z, _, noise = draw(held, loop.generator(1, 0), MEASURED)
        figures = {}
        for name, low, high in (("eps MSE", 0, 1000), ("t<100", 0, 100), ("t<400", 100, 400)):
            labels = torch.linspace(low, high - 1, len(z)).long().to(device)
            parts = zip(*(tensor.split(BATCH) for tensor in (z, labels, noise)), strict=True)
            errors = [error(network, *part).item() for part in parts]
            figures[name] = sum(errors) / len(errors)
        return figures

    recipe = f"{data.hash_of(chosen)} {BATCH} {CROP}"
    return loop.train(network, loss, measure, steps or STEPS, state, RATE, recipe=recipe)


def parts(network) -> dict:
    """File in `weights/` -> what it holds."""
    return {"sdc_tiny_unet.safetensors": network}
