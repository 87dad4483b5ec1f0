"""The learned codec: trained on latents for rate and error, and where there was time through the decoder as well."""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from sdc_pack.codec.learned import NEWEST, weights
from sdc_pack.codec.learned.weights import name_of

from .. import vae
from . import photographs
from .families import FAMILIES, Family, sensitivity
from .judge import judge
from .model import Coder, half_precision
from .quantize import from_file, to_file
from .stages import CROP, RATE, crops_of_held_out, distortion, run

COOL_DOWN = 0.3  # share of the steps of the first stage
MEASURED_BY = 16  # photographs held out
PIXELS_BATCH = 8
PIXELS_RATE = 6e-4  # falls all the time
PART = 18  # latents of each crop that are decoded
BORDER = 8  # pixels next to a cut, where the decoder lacks what it would see
# What an error of variance one of the scaled latent gives, measured through the decoder: squared pixels, and LPIPS.
PER_LATENT = {"pixels": 0.14, "lpips": 3.5}
SHARES = {"latent": 0.25, "pixels": 0.25, "lpips": 0.5}


class Photographs:
    """Latents to train with and to measure by."""

    def __init__(self, family: Family, shared: Path, folder: Path):
        train, held_out = photographs.photographs(shared)
        train, held_out = train[:: family.share], held_out[:: -(-len(held_out) // MEASURED_BY)]
        kept = {
            view: photographs.latents(family, shared, held_out + train, view, folder / f"latents-{view}.safetensors")
            for view in family.views
        }
        self.sources = [(path, view) for view in family.views for path in train]
        maps = [kept[view][photographs.name_of(path)] for path, view in self.sources]
        large = [number for number, m in enumerate(maps) if min(m.shape[-2:]) >= CROP]
        self.sources, self.maps = [self.sources[n] for n in large], [maps[n] for n in large]
        self.crops = photographs.Crops(self.maps, CROP)
        self.judged_by = held_out
        own = [kept[family.views[0]][photographs.name_of(path)] for path in held_out]
        self.held_out = crops_of_held_out(own)
        self.counted = [m for (_, view), m in zip(self.sources, self.maps, strict=True) if view == family.views[0]]


def train(shared: Path, state: Path, steps: int | None = None, family: str = "SD1.x") -> bytes:
    """The file of weights; the run is kept beside `state`."""
    torch.set_num_threads(1)  # two wait for each other at every layer
    chosen = FAMILIES[family]
    folder = state.with_suffix("") / chosen.file
    images = Photographs(chosen, shared, folder)
    decoder, lpips = chosen.half(shared, "decoder"), vae.load_lpips(shared).to(memory_format=torch.channels_last)
    metric = sensitivity(decoder, lpips, [m[:, :32, :32] for m in images.held_out[:8]])
    start = start_of(chosen, images, metric)
    latent_steps = steps or chosen.latent_steps
    network = train_latents(images, start, metric, folder / "latents.pt", latent_steps, chosen.batch)
    if chosen.pixel_steps:
        judges = decoder, lpips
        network = train_pixels(images, judges, network, metric, folder / "pixels.pt", steps or chosen.pixel_steps)
    content = to_file(network, chosen, images.counted, images.held_out, metric)
    print("\n".join(judge(content, chosen, shared, images.judged_by)), flush=True)
    return content


def start_of(family: Family, images: Photographs, metric: torch.Tensor) -> Coder:
    """What training starts from."""
    torch.manual_seed(0)
    network = family.network()
    sample = images.crops.batch(256, torch.Generator().manual_seed(5))
    network.start_from(F.pixel_unshuffle(sample, 2).permute(0, 2, 3, 1).flatten(0, 2), metric)
    if family.start:
        known = from_file((weights.FOLDER / f"{NEWEST[family.start].hex()}.npz").read_bytes(), FAMILIES[family.start])
        alike = family.channels == known.channels
        network.take_over(known.reduced(family.groups) if alike else known)
    return network


def train_latents(images: Photographs, network: Coder, metric: torch.Tensor, state: Path, steps: int, batch: int):
    crops = images.crops

    def loss_of(network, generator):
        z = crops.batch(batch, generator)
        # Qualities spread evenly over the range, the same in every batch but for a shift.
        q = (torch.arange(batch) + torch.rand((), generator=generator)) / batch
        out, bits = network(z.contiguous(memory_format=torch.channels_last), q)
        rate, error = bits / z[0].numel(), distortion(out - z, metric)
        figures = {"rate": rate.mean().item(), "D": (network.lambda_of(q) * error).mean().item()}
        return (rate + network.lambda_of(q) * error).mean(), figures

    return run(state, steps, loss_of, network, RATE, COOL_DOWN, 11, images.held_out, metric)


def train_pixels(images: Photographs, judges, network: Coder, metric: torch.Tensor, state: Path, steps: int) -> Coder:
    crops, maps, sources = images.crops, images.maps, images.sources
    decoder, lpips = judges
    load = functools.lru_cache(maxsize=3000)(photographs.load)

    def loss_of(network, generator):
        z, pixels, tops, lefts = [], [], [], []
        for index, top, left in crops.places(PIXELS_BATCH, generator):
            z.append(maps[index][:, top : top + CROP, left : left + CROP].float())
            i, j = torch.randint(CROP - PART + 1, (2,), generator=generator).tolist()
            tops.append(i)
            lefts.append(j)
            y, x = (top + i) * 8 + BORDER, (left + j) * 8 + BORDER
            size = PART * 8 - 2 * BORDER
            pixels.append(torch.from_numpy(load(*sources[index])[y : y + size, x : x + size].copy()))
        z = torch.stack(z).contiguous(memory_format=torch.channels_last)
        target = torch.stack(pixels).permute(0, 3, 1, 2).float() / 255
        q = (torch.arange(PIXELS_BATCH) + torch.rand((), generator=generator)) / PIXELS_BATCH
        out, bits = network(z, q)
        part = torch.stack([o[:, i : i + PART, j : j + PART] for o, i, j in zip(out, tops, lefts, strict=True)])
        with half_precision():
            image = decoder(part.contiguous(memory_format=torch.channels_last))
            image = image[..., BORDER:-BORDER, BORDER:-BORDER].clamp(-0.1, 1.1)
            seen = lpips(image * 2 - 1, target * 2 - 1).float().flatten()
        error = out - z
        parts = {
            "latent": torch.einsum("bihw,ij,bjhw->b", error, metric, error) / error[0].numel(),
            "pixels": (image.float() - target).square().mean((1, 2, 3)) / PER_LATENT["pixels"],
            "lpips": seen / PER_LATENT["lpips"],
        }
        rate = bits / z[0].numel()
        weight = network.lambda_of(q)
        loss = (rate + weight * sum(SHARES[key] * value for key, value in parts.items())).mean()
        figures = {key: value.mean().item() for key, value in parts.items()}
        return loss, figures | {"rate": rate.mean().item(), "LPIPS": seen.mean().item()}

    return run(state, steps, loss_of, network, PIXELS_RATE, 1.0, 12, images.held_out, metric)


def parts(content: bytes) -> dict[str, bytes]:
    """File in `weights/` -> what it holds. New files are written with it once NEWEST of `codec/learned/` names it."""
    return {f"learned/{name_of(content).hex()}.npz": content}
