"""The tiny Canny ControlNet: leads the denoiser from what a decoder has back to the photograph.

It goes on from the one in `weights/`. A step of training repeats what the nodes do: a decoded latent is inverted along
the first levels of a DDIM schedule by the denoiser alone, and on the way back denoiser and ControlNet together shall
end at the photograph, given the edges of the decoded image. Palettes go by Eq. (1) of "Post-processing Based Image
Coding via Stable Diffusion", and the learned codec by the exact pair, whose way back without the ControlNet is the
identity: there is less to mend, and what Eq. (1) loses would be more than that. Gradients run through the last two
levels of the way, so what is trained is what comes out at its end. Photographs come by turns through either autoencoder
and every coder. What counts is how the image looks that the end decodes to, by the two networks of `judge`. With
x = z / sqrt(a), sigma = sqrt(1 / a - 1).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from sdc_pack.codec.autoencoder import tiny_vae
from torch.nn.functional import l1_loss

from . import data, loop, networks, stored
from .judge import Judge
from .vae import SHARES

STEPS = 2_400
BATCH = 2
CROP = 24  # latents, 192 pixels: the networks see this much of an image
WINDOW = 16  # latents of a crop that are decoded, which takes as long as the networks do
MARGIN = 2  # latents at the edge of a window whose pixels depend on what lies outside
RATE = 4e-4
COOL_DOWN = 0.7
MEASURED = 24  # crops of those held out, for each kind
# Coder, autoencoder -> the photographs that are seen so, from this one on each of so many, and the share of the steps.
KINDS = {
    ("learned", "tiny"): (0, 2, 0.45),
    ("learned", "taesd"): (1, 8, 0.1),
    ("paper", "tiny"): (3, 8, 0.2),
    ("paper", "taesd"): (5, 8, 0.1),
    ("undithered", "tiny"): (7, 8, 0.15),
}
# Schedules of DDIM that a step may follow, by the method: (steps, most levels of inversion, share).
SCHEDULES = {
    "ddim": ((13, 2, 0.65), (20, 4, 0.2), (50, 6, 0.15)),
    "exact": ((13, 2, 0.5), (20, 3, 0.25), (50, 5, 0.25)),
}
# Share of the steps of palettes that take the decoded latent itself for one with noise, of any of these levels.
AT_ONCE = 0.08
AT_ONCE_LEVELS = (20, 140)
# Share of them that start from random noise at any level, as full strength comes near to.
FROM_NOISE = 0.03
MEASURED_AT = {"ddim": ((13, 2),), "exact": ((13, 2), (50, 4))}  # steps and levels


def inner(x, margin: int):
    return x[..., margin:-margin, margin:-margin]


def window(x, top: int, left: int, factor: int = 1):
    """WINDOW x WINDOW latents of x, from this corner; `factor` is how many pixels of x a latent takes."""
    end = top + WINDOW, left + WINDOW
    return x[..., top * factor : end[0] * factor, left * factor : end[1] * factor]


def sigmas() -> torch.Tensor:
    """(1000,) float32 noise levels of SD 1.x."""
    alphas = networks.alphas_cumprod()
    return (1 / alphas - 1).sqrt().float()


def levels(steps: int) -> list[int]:
    """Timesteps of ComfyUI's `ddim_uniform`, rising."""
    return list(range(1, 1000, 1000 // steps))


def method_of(coder: str) -> str:
    return "exact" if coder == "learned" else "ddim"


def epsilon(unet, x, label: int, control=None):
    """Epsilon of x (B, 4, h, w) at one level, with a ControlNet where `control` is (network, edges, method)."""
    labels = torch.full((len(x),), label, device=x.device)
    z = (x / (1 + sigmas()[label] ** 2).sqrt()).contiguous(memory_format=torch.channels_last)
    with loop.autocast(x.device):
        added = control[0](z, labels, *control[1:]) if control else None
        return unet(z, labels, added).float()


@torch.no_grad()
def invert(unet, x, labels: list[int]):
    """Eq. (1) from level zero, where the model is asked at its lowest level, up to the last of `labels`."""
    rising = [0.0, *sigmas()[labels].tolist()]
    for asked, low, high in zip([0, *labels], rising, rising[1:], strict=False):
        x = x + (high - low) * epsilon(unet, x, asked)
    return x


def regenerate(unet, x, labels: list[int], control=None, with_gradient: int = 0):
    """DDIM from the last of `labels` down to level zero, with gradients through so many of the last levels."""
    falling = [*sigmas()[labels].tolist()[::-1], 0.0]
    for left, label, high, low in zip(range(len(labels), 0, -1), labels[::-1], falling, falling[1:], strict=False):
        with torch.set_grad_enabled(left <= with_gradient):
            x = x + (low - high) * epsilon(unet, x, label, control)
    return x


def up_and_down_exactly(unet, x, labels: list[int], control, with_gradient: int = 0):
    """The exact pair of `nodes/inversion/exact_pair.py`, up by the denoiser alone, and down with the ControlNet.

    Two labels or more, rising. Gradients run through so many of the last levels.
    """
    levels = [0.0, *sigmas()[labels].tolist()]

    def ratio(i):
        return (levels[i] - levels[i - 1]) / (levels[i + 1] - levels[i])

    with torch.no_grad():
        below, x = x, x + levels[1] * epsilon(unet, x, 0)
        for i in range(1, len(labels)):
            r, h = ratio(i), levels[i] - levels[i - 1]
            above = (below - (1 - r**2) * x + h * (1 + r) * epsilon(unet, x, labels[i - 1])) / r**2
            below, x = x, above
    above, x = x, below
    for i in range(len(labels) - 1, 0, -1):
        r, h = ratio(i), levels[i] - levels[i - 1]
        with torch.set_grad_enabled(i <= with_gradient):
            noise = epsilon(unet, x, labels[i - 1], control)
            above, x = x, r**2 * above + (1 - r**2) * x - h * (1 + r) * noise
    return x


def through(unet, x, labels: list[int], control, with_gradient: int = 0):
    """Up and down by the method that `control` names."""
    if control[2] == "exact":
        return up_and_down_exactly(unet, x, labels, control, with_gradient)
    return regenerate(unet, invert(unet, x, labels), labels, control, with_gradient)


def pick(shares: list[float], generator: torch.Generator) -> int:
    return torch.multinomial(torch.tensor(shares), 1, generator=generator).item()


def shipped(network, name: str):
    """The network with its weights of the folder `weights`."""
    weights = load_file(tiny_vae.WEIGHTS / f"sdc_tiny_{name}.safetensors")
    network.load_state_dict({key: value.float() for key, value in weights.items()})
    return network.to(memory_format=torch.channels_last)


def train(shared: Path, state: Path, steps: int | None = None):
    device = loop.device()
    torch.manual_seed(0)
    unet = shipped(networks.UNet(), "unet").eval().requires_grad_(False).to(device)
    network = shipped(networks.ControlNet(), "canny").to(device)

    judge = Judge(shared, device)
    decoders = {name: data.halves(shared, name)[1].to(device) for name in ("tiny", "taesd")}
    chosen, held_out = data.photographs(shared)

    def squares(part, paths):
        """(coder, autoencoder) -> squares of its share of the photographs; of those held out, of all."""
        found = {}
        for (coder, autoencoder), (first, every, _) in KINDS.items():
            kept = state.with_name(f"{coder}-{autoencoder}{part}.safetensors")
            own = paths if part else paths[first::every] or paths
            found[coder, autoencoder] = stored.squares(shared, own, autoencoder, coder, kept, device)
        return found

    source, held = squares("", chosen), squares("-held-out", held_out)
    sigma = sigmas().to(device)

    def draw(squares, generator, count):
        found = [
            part.to(device, memory_format=torch.channels_last).float()
            for part in stored.batch(squares, count, CROP, generator)
        ]
        clean, latent, edges, pixels = found
        return clean, latent, edges.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last), pixels / 255

    def integer(below, generator):
        return torch.randint(below, (), generator=generator).item()

    def distance(autoencoder, z, pixels, place=None, generator=None):
        """How far the images of latents look from the photographs, and are; in one window of them, or all over."""
        if place:
            z, pixels = window(z, *place), window(pixels, *place, factor=8)
        with loop.autocast(device):
            shown = decoders[autoencoder](z.contiguous(memory_format=torch.channels_last))
        shown, pixels = (inner(x, MARGIN * 8) for x in (shown.float(), pixels))
        found = {name: value.mean() for name, value in judge(shown, pixels, generator).items()}
        return found | {"L1": l1_loss(shown, pixels)}

    def loss(network, step, generator):
        kind = tuple(KINDS)[pick([share for *_, share in KINDS.values()], generator)]
        clean, latent, edges, pixels = draw(source[kind], generator, BATCH)
        method = method_of(kind[0])
        control = network, edges, method
        way = torch.rand((), generator=generator).item() if method == "ddim" else 1.0
        if way < FROM_NOISE:
            label = integer(1000, generator)
            noise = torch.randn(latent.shape, generator=generator).to(device)
            eps = epsilon(unet, latent + sigma[label] * noise, label, control)
            error = (eps - noise - (latent - clean) / sigma[label]).square().mean()
            return {"loss": error * sigma[label].clamp(max=1) ** 2}
        if way < FROM_NOISE + AT_ONCE:
            lowest, highest = AT_ONCE_LEVELS
            z = regenerate(unet, latent, [lowest + integer(highest - lowest, generator)], control, with_gradient=1)
        else:
            count, most, _ = SCHEDULES[method][pick([share for *_, share in SCHEDULES[method]], generator)]
            z = through(unet, latent, levels(count)[: 2 + integer(most - 1, generator)], control, with_gradient=2)
        place = [integer(max(1, CROP - WINDOW + 1), generator) for _ in range(2)]
        found = distance(kind[1], z, pixels, place, generator)
        seen = sum(share * found[name] for name, share in SHARES.items())
        return found | {"loss": seen + 0.1 * inner(z - clean, MARGIN).square().mean()}

    @torch.no_grad()
    def measure(network):
        figures = {}
        for number, kind in enumerate(KINDS):
            _, latent, edges, pixels = draw(held[kind], loop.generator(1, number), MEASURED)
            method = method_of(kind[0])
            ends = {"decoded": latent}
            for count, most in MEASURED_AT[method]:
                ends[f"{count}/{most}"] = through(unet, latent, levels(count)[:most], (network, edges, method))
            for name, end in ends.items():
                figures[f"{' '.join(kind)} {name}"] = distance(kind[1], end, pixels)["LPIPS"].item()
        return figures

    begun = network.state_dict()
    print(f"LPIPS of those held out, before: {loop.spell(measure(network))}", flush=True)
    settings = {name: value for name, value in globals().items() if name.isupper()}
    recipe = f"{settings} {data.digest(unet, *decoders.values())} {data.hash_of(chosen)} {sorted(begun)}"
    return loop.train(network, loss, measure, steps or STEPS, state, RATE, recipe=recipe, cool_down=COOL_DOWN)


def parts(network) -> dict:
    """File in `weights/` -> what it holds."""
    return {"sdc_tiny_canny.safetensors": network}
