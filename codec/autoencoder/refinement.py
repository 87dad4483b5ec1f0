"""A latent changed until the file that is made of it shows the image as closely as it can. Needs torch.

An encoder guesses in one pass what a decoder will need. Here the guess is improved for one image: by the gradient,
through the learned codec and the small decoder, of how different the image looks and of how many bits it takes. The
file format and the decoder stay as they are, and decoding takes as long as ever. After Campos, Meierhans, Djelouah and
Schroers, "Content Adaptive Optimization for Neural Image Compression" (2019), and Yang, Bamler and Mandt, "Improving
Inference for Neural Image Compression" (2020).
"""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..image import EncodedImage, decode
from ..interruption import poll
from ..learned import NEWEST, byte_of_quality
from ..learned.weights import FOLDER, QUALITIES, UNIT, Weights, load_weights
from . import tiny_vae
from .judge import Judge
from .learned_network import Network
from .transforms import transformed

STEPS = 40
RATE = 0.22  # of Adam, in what a file of that quality usually is off by
WARM_UP, COOL_DOWN = 5, 0.5  # steps over which the rate rises, and share of them over which it falls
DECAY = (0.9, 0.95)
# The logarithm of the bits counts so much against that of the difference. LPIPS falls by about 0.6 to 0.8 percent where
# a file gets one percent larger.
ELASTICITY = 0.8
MAX_TILE = 72  # latents a side that are changed at once: a large image takes no more memory than a small one
PEAK_BYTES = 3 << 30  # of memory that a tile takes
MARGIN = 8  # latents around a tile that are seen and stay as they are
FACTOR = 8  # pixels a latent
WINDOW = 320  # pixels a side, at most, of what it looks at, at once
SAME = 1e-4  # added to a difference, whose logarithm counts: a flat image may be met exactly
LAST_LOOKS = 6  # by which it is settled whether an image has gained
LOOKS = 2  # of the judge in each step; each window is looked at once, or what is not seen would only be made cheaper
TRANSFORMED = 0.7  # share of the looks through a random transform


def _weights() -> Weights:
    return load_weights(NEWEST[tiny_vae.LATENT_FORMAT])


@functools.cache
def _networks(device: str) -> tuple[Network, torch.nn.Module, Judge]:
    """The learned codec, the small decoder and what judges its images."""
    name, weights = NEWEST[tiny_vae.LATENT_FORMAT], _weights()
    # ComfyUI runs nodes in inference mode, and what is made in that has no gradient. New layers take random numbers, of
    # which who calls this may need the next ones.
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        coder = Network(weights.channels, weights.groups)
        coder.read((FOLDER / f"{name.hex()}.npz").read_bytes())
        decoder = tiny_vae.make_decoder()
        decoder.load_state_dict(tiny_vae.decoder().state_dict())
        networks = coder, decoder, Judge()
        coder, decoder, judge = (network.eval().requires_grad_(False).to(device) for network in networks)
    decoder, judge = (network.to(memory_format=torch.channels_last) for network in (decoder, judge))
    return coder, decoder, judge


def encode_refined(
    latents: Sequence[np.ndarray],
    pixels: Sequence[np.ndarray],
    encode_latents: Callable[[Sequence[np.ndarray]], list[EncodedImage]],
    steps: int | None = None,
    device: str = "cpu",
    poll: Callable[[float], object] = poll,
) -> list[EncodedImage]:
    """Encode latents, refined for their images; as they are where that is no gain, or another coder takes them.

    Parameters
    ----------
    latents, pixels, steps, device
        As for `refine`, of each image.
    encode_latents : callable
        `encode` with its settings.
    poll : callable
        Called many times with the share of the work that is done, 0 to 1; what it raises ends the work.
    """
    plain = encode_latents(latents)
    if any(image.quality is None or image.latent_format != tiny_vae.LATENT_FORMAT for image in plain):
        return plain
    changed = []
    for number, (latent, shown, image) in enumerate(zip(latents, pixels, plain, strict=True)):
        assert image.quality is not None

        def tell(share, number=number):
            poll((number + share) / len(plain))

        changed.append(refine(latent, shown, image.quality, STEPS if steps is None else steps, device, tell))
    refined = encode_latents(changed)
    pairs = zip(pixels, plain, refined, strict=True)
    return [min(images, key=functools.partial(_cost, shown, device)) for shown, *images in pairs]


@torch.inference_mode()
def _cost(pixels: np.ndarray, device: str, image: EncodedImage) -> float:
    """What refining makes smaller, of the middle of the image: its last word, so that no image is harmed."""
    latent, generator = decode(image), torch.Generator().manual_seed(1)
    rows, columns = (slice(max(0, (side - MAX_TILE) // 2), (side + MAX_TILE) // 2) for side in latent.shape[1:])
    shown = tiny_vae.decode_latent(np.ascontiguousarray(latent[:, rows, columns]))
    pair = shown, pixels[_scaled(rows), _scaled(columns)][: len(shown), : shown.shape[1]]
    evened = (_even(x.transpose(2, 0, 1), FACTOR) for x in pair)  # so that a transform leaves something of an icon
    one, other = (torch.from_numpy(x)[None].to(device, torch.float32) / 255 for x in evened)
    *_, judge = _networks(device)
    looks = _looks(LAST_LOOKS, *one.shape[-2:])
    apart = sum(float(judge(*_changed(one[look], other[look], generator))) for look in looks) / len(looks)
    return math.log(apart + SAME) + ELASTICITY * math.log(image.num_bytes)


def refine(
    latent: np.ndarray,
    pixels: np.ndarray,
    quality: float,
    steps: int = STEPS,
    device: str = "cpu",
    poll: Callable[[float], object] = poll,
) -> np.ndarray:
    """Return a latent of which the learned codec makes a file that shows the image better, in about as many bytes.

    Parameters
    ----------
    latent : (4, h, w) float32 array
        Of SD 1.x, in the convention of ComfyUI's LATENT: where to start.
    pixels : (8 h, 8 w, 3) uint8 array
        The image as it is to be seen, decoded by the small decoder.
    quality : float
        1 to 100: at which the latent will be coded.
    steps : int
        More are slower and better, with less and less gain.
    device : str
        Where torch computes; another one may give a slightly different latent.
    poll : callable
        Called before each step with the share of the work that is done, 0 to 1; what it raises ends the work.
    """
    with torch.inference_mode(False), torch.enable_grad():  # ComfyUI runs nodes in inference mode
        return _refine(latent, pixels, byte_of_quality(quality), steps, device, poll)


def _refine(latent, pixels, quality: int, steps: int, device: str, poll) -> np.ndarray:
    z = torch.from_numpy(_even(latent) * np.float32(tiny_vae.SCALE))[None]
    target = torch.from_numpy(_even(pixels.transpose(2, 0, 1), FACTOR))[None]
    tiles = _parts(MAX_TILE, *z.shape[-2:])
    for number, tile in enumerate(tiles):

        def tell(share, number=number):
            poll((number + share) / len(tiles))

        _refine_tile(z, target, tile, quality, steps, device, tell)
    return z[0, :, : latent.shape[1], : latent.shape[2]].numpy() / np.float32(tiny_vae.SCALE)


def _even(x: np.ndarray, factor: int = 1) -> np.ndarray:
    """(C, h, w) with the last row or column twice where there is an odd number of `factor` of them."""
    below, right = (-side % (2 * factor) for side in x.shape[1:])
    return np.pad(x, ((0, 0), (0, below), (0, right)), mode="edge")


def _parts(most: int, height: int, width: int) -> list[tuple[slice, slice]]:
    """Rows and columns of parts of at most so much a side; all sides are even, and as equal as that allows."""

    def cut(side):
        count = -(-side // most)
        ends = [round(number * side / count / 2) * 2 for number in range(count + 1)]
        return [slice(*pair) for pair in zip(ends, ends[1:], strict=False)]

    return [(rows, columns) for rows in cut(height) for columns in cut(width)]


def _looks(least: int, height: int, width: int) -> list[tuple]:
    """Windows of an image, all of them equally often and so many at least."""
    windows = [(..., *window) for window in _parts(WINDOW, height, width)]
    return windows * -(-least // len(windows))


def _refine_tile(z, target, tile, quality: int, steps: int, device: str, poll) -> None:
    """Change a tile of latents (1, 4, h, w) in place."""
    seen = tuple(slice(max(0, part.start - MARGIN), part.stop + MARGIN) for part in tile)
    inner = tuple(
        slice(part.start - around.start, part.stop - around.start) for part, around in zip(tile, seen, strict=True)
    )
    (coder, decoder, judge), weights = _networks(device), _weights()
    around = z[..., seen[0], seen[1]].clone().to(device)
    pixels = target[..., _scaled(seen[0]), _scaled(seen[1])].to(device, torch.float32) / 255
    log_step = torch.from_numpy(np.log(weights.steps[quality] / UNIT)).to(device, torch.float32)[None, :, None, None]
    q = torch.full((1,), quality / QUALITIES, device=device)
    free = around[..., inner[0], inner[1]].clone().requires_grad_()
    optimizer = torch.optim.Adam([free], betas=DECAY)
    generator = torch.Generator().manual_seed(0)
    looks = _looks(LOOKS, *pixels.shape[-2:])
    rate = RATE * weights.errors[quality] * tiny_vae.SCALE
    for step in range(steps):
        poll(step / steps)
        whole = around.clone()
        whole[..., inner[0], inner[1]] = free
        coded, bits = coder.coded(whole, log_step, q, hard=False, generator=generator)
        image = decoder(coded.contiguous(memory_format=torch.channels_last))
        pull = _pull(image.detach(), pixels, looks, judge, generator)
        cost = ELASTICITY * bits.clamp(min=1).log()
        (free.grad,) = torch.autograd.grad((image, cost), free, (pull, torch.ones_like(cost)))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / WARM_UP, (steps - step) / (COOL_DOWN * steps))
        optimizer.step()
    z[..., tile[0], tile[1]] = free.detach().cpu()


def _pull(image, target, looks: list, judge: Judge, generator) -> torch.Tensor:
    """The gradient of the logarithm of how different an image looks; one look after the other, to save memory."""
    pull, apart = torch.zeros_like(image), 0.0
    for look in looks:
        part = image[look].clone().requires_grad_()
        difference = judge(*_changed(part, target[look], generator)).sum()
        pull[look] += torch.autograd.grad(difference, part)[0]
        apart += difference.detach()
    return pull / (apart + len(looks) * SAME)


def _changed(image, target, generator):
    """Both mostly through a random transform, and without what lies far from 0..1."""
    image = image.clamp(-0.1, 1.1)
    if torch.rand((), generator=generator) < TRANSFORMED:
        return transformed(image, target, generator)
    return image, target


def _scaled(part: slice) -> slice:
    return slice(part.start * FACTOR, part.stop * FACTOR)
