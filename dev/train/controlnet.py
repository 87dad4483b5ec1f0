"""The tiny Canny ControlNet: leads the denoiser from what a decoder has back to the photograph.

A step of training repeats what the nodes do: a decoded latent is inverted along the first levels of a DDIM schedule
by the denoiser alone (Eq. (1) of "Post-processing Based Image Coding via Stable Diffusion"), and on the way back
denoiser and ControlNet together shall end at the latent of the photograph, given the edges of the decoded picture.
Half of the photographs come as TAESD's latent, half as the tiny autoencoder's; both shall end at TAESD's.
What counts is how the picture looks that the denoised latent x - sigma epsilon decodes to (with x = z / sqrt(a) and
sigma = sqrt(1 / a - 1)): LPIPS on SqueezeNet, so that AlexNet is left for measuring.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from sdc_pack.codec.autoencoder import tiny_vae
from torch.nn.functional import l1_loss

from . import data, loop, networks, vae

STEPS = 1_800
BATCH = 4
CROP = 20  # latents, 160 pixels
MARGIN = 2  # latents at the edge of a crop whose pixels depend on what lies outside
RATE = 6e-4
AUTOENCODERS = ("tiny", "taesd")
# Schedules of DDIM that a step may follow: (steps, most levels of inversion).
SCHEDULES = ((10, 2), (20, 4), (50, 6))
FROM_NOISE = 0.1  # share of steps that start from random noise at any level, as full strength comes near to
AT_ONCE = 0.25  # share of steps that take the decoded latent itself for one with noise, of any of these levels
AT_ONCE_LEVELS = (20, 200)
SECOND = 0.4  # share of steps that train a lower level of the way, reached by the ControlNet as it is


def inner(x, margin: int):
    return x[..., margin:-margin, margin:-margin]


def sigmas() -> torch.Tensor:
    """(1000,) float32 noise levels of SD 1.x."""
    alphas = networks.alphas_cumprod()
    return (1 / alphas - 1).sqrt().float()


def levels(steps: int) -> list[int]:
    """Timesteps of ComfyUI's `ddim_uniform`, rising."""
    return list(range(1, 1000, 1000 // steps))


def epsilon(unet, x, label: int, control=None):
    """Epsilon of x (B, 4, h, w) at one level, and of the ControlNet where `control` is (network, edges)."""
    labels = torch.full((len(x),), label, device=x.device)
    z = (x / (1 + sigmas()[label] ** 2).sqrt()).contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        added = control[0](z, labels, control[1]) if control else None
        return unet(z, labels, added).float()


@torch.no_grad()
def invert(unet, x, labels: list[int]):
    """Eq. (1) from level zero, where the model is asked at its lowest level, up to the last of `labels`."""
    sigma = sigmas()
    rising = [0.0, *sigma[labels].tolist()]
    for asked, low, high in zip([0, *labels], rising, rising[1:], strict=False):
        x = x + (high - low) * epsilon(unet, x, asked)
    return x


@torch.no_grad()
def regenerate(unet, x, labels: list[int], control=None):
    """DDIM from the last of `labels` down to level zero."""
    falling = [*sigmas()[labels].tolist()[::-1], 0.0]
    for label, high, low in zip(labels[::-1], falling, falling[1:], strict=False):
        x = x + (low - high) * epsilon(unet, x, label, control)
    return x


def train(shared: Path, state: Path, steps: int | None = None):
    device = loop.device()
    torch.manual_seed(0)
    unet = networks.UNet()
    weights = load_file(tiny_vae.WEIGHTS / "sdc_tiny_unet.safetensors")
    unet.load_state_dict({name: value.float() for name, value in weights.items()})
    unet = unet.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    network = networks.ControlNet()
    network.start_from(unet)
    network = network.to(device, memory_format=torch.channels_last)

    perceptual = vae.load_lpips(shared).to(device)
    decoders = {name: data.halves(shared, name)[1].to(device) for name in AUTOENCODERS}

    def load(paths, part):
        """Autoencoder -> its share of the photographs, in latents and in pixels."""
        clean = data.latents(shared, paths, state.with_name(f"latents{part}.safetensors"), device, loop.progress)
        crops = {}
        for number, name in enumerate(AUTOENCODERS):
            own = paths[number :: len(AUTOENCODERS)] or paths
            kept = state.with_name(f"decoded-{name}{part}.safetensors")
            found, edges = data.decoded(shared, own, name, kept, device, loop.progress)
            maps = [
                (clean[key], found[key], edges[key], data.pixels(path)) for key, path in zip(found, own, strict=True)
            ]
            crops[name] = data.Crops(maps, CROP, factors=(1, 1, 8, 8))
        return crops

    chosen, held_out = data.photographs(shared)
    crops, held = load(chosen, ""), load(held_out, "-held-out")
    sigma = sigmas().to(device)

    def draw(source, generator, count):
        parts = [part.to(device, memory_format=torch.channels_last).float() for part in source.batch(count, generator)]
        clean, found, edges, pixels = parts
        return clean, found, edges.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last), pixels / 255

    def integer(below, generator):
        return torch.randint(below, (), generator=generator).item()

    def distance(autoencoder, z, pixels):
        """How far the pictures of latents look from the photographs, and are."""
        with torch.autocast(device.type, dtype=torch.bfloat16):
            shown = decoders[autoencoder](z.contiguous(memory_format=torch.channels_last))
            shown, pixels = (inner(x, MARGIN * 8) for x in (shown.float(), pixels))
            look = perceptual(shown * 2 - 1, pixels * 2 - 1)
        return look.float().mean(), l1_loss(shown, pixels)

    def loss(network, step, generator):
        autoencoder = AUTOENCODERS[step % len(AUTOENCODERS)]
        clean, found, edges, pixels = draw(crops[autoencoder], generator, BATCH)
        kind = torch.rand((), generator=generator).item()
        if kind < FROM_NOISE:
            label = integer(1000, generator)
            noise = torch.randn(found.shape, generator=generator).to(device)
            eps = epsilon(unet, found + sigma[label] * noise, label, (network, edges))
            return (eps - noise - (found - clean) / sigma[label]).square().mean() * sigma[label].clamp(max=1) ** 2
        if kind < FROM_NOISE + AT_ONCE:
            lowest, highest = AT_ONCE_LEVELS
            way, x = [lowest + integer(highest - lowest, generator)], found
        else:
            count, most = SCHEDULES[integer(len(SCHEDULES), generator)]
            way = levels(count)[: 2 + integer(most - 1, generator)]
            x = invert(unet, found, way)
        label = way[-1]
        if len(way) > 1 and torch.rand((), generator=generator) < SECOND:
            lower = way[integer(len(way) - 1, generator)]
            with torch.no_grad():
                eps = epsilon(unet, x, label, (network, edges))
            x, label = x + (sigma[lower] - sigma[label]) * eps, lower
        z = x - sigma[label] * epsilon(unet, x, label, (network, edges))
        look, error = distance(autoencoder, z, pixels)
        return look + error + 0.5 * (inner(z - clean, MARGIN)).square().mean()

    @torch.no_grad()
    def measure(network):
        figures = {}
        for autoencoder in AUTOENCODERS:
            for part in range(4):
                clean, found, edges, pixels = draw(held[autoencoder], loop.generator(1, part), 8)
                way = levels(20)[:3]
                inverted = invert(unet, found, way)
                ends = {
                    "photograph": clean,
                    "decoded": found,
                    "without ControlNet": regenerate(unet, inverted, way),
                    "3 of 20 steps": regenerate(unet, inverted, way, (network, edges)),
                }
                for name, end in ends.items():
                    look, _ = distance(autoencoder, end, pixels)
                    figures.setdefault(f"LPIPS {autoencoder} {name}", []).append(look.item())
        return {name: sum(values) / len(values) for name, values in figures.items()}

    recipe = data.digest(unet, *decoders.values())
    return loop.train(network, loss, measure, steps or STEPS, state, RATE, recipe=recipe)


def parts(network) -> dict:
    """File in `weights/` -> what it holds."""
    return {"sdc_tiny_canny.safetensors": network}
