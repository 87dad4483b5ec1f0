"""The learned codec: trained on latents for rate and error, and where there was time through the decoder as well."""

from pathlib import Path

import torch
import torch.nn.functional as F
from sdc_pack.codec.learned import NEWEST, weights
from sdc_pack.codec.learned.weights import name_of

from .. import data, loop
from . import judge
from .formats import FORMATS, TrainedFormat, sensitivity
from .model import Coder
from .quantize import from_file, to_file

CROP = 32  # latents
LATENT_RATE, LATENT_COOL_DOWN = 2e-3, 0.3
PIXEL_RATE, PIXEL_COOL_DOWN = 6e-4, 1.0
PART = 18  # latents of each crop that are decoded
BORDER = 8  # pixels next to a cut, where the decoder lacks what it would see
SHARES = {"latent": 0.25, "pixels": 0.25, "lpips": 0.5}  # of the distortion through the decoder
UNITS_FROM = 12  # batches by which the kinds of error are set against each other
BESIDE = 200  # photographs from which one latent format is guessed from another
JUDGED = 16  # photographs held out
MEASURED = 10  # of them, as training goes
QUALITIES = (0.1, 0.3, 0.5, 0.7)


class Photographs:
    """Latents (C, h, w) and pixels (3, 8 h, 8 w) to train with and to measure by."""

    def __init__(self, chosen: TrainedFormat, shared: Path, folder: Path):
        train, held_out = data.photographs(shared)
        train, self.judged = train[:: chosen.share], held_out[:: -(-len(held_out) // JUDGED)]
        encoder, paths = chosen.half(shared, "encoder"), self.judged + train
        views = {
            view: data.latents(encoder, paths, folder / f"latents-{view}.safetensors", view) for view in chosen.views
        }
        self.sources = [(path, view) for view in chosen.views for path in train]
        self.latents = [z for found in views.values() for z in found[len(self.judged) :]]
        self.crops = data.Crops([(z,) for z in self.latents], CROP, grid=2)
        self.counted = self.latents[: len(train)]
        judged = [z for z in views[chosen.views[0]][: len(self.judged)] if min(z.shape[-2:]) >= CROP]
        sides = ([min(64, side) for side in z.shape[-2:]] for z in judged)
        self.held_out = [z[:, :h, :w] for z, (h, w) in zip(judged, sides, strict=True)]
        self.train, self.shared, self.folder, self.view = train, shared, folder, chosen.views[0]
        self.recipe = f"{data.hash_of(train)} {chosen} {data.digest(encoder)}"

    def beside(self, other: TrainedFormat) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Latents of some photographs, and those of the same ones in another latent format."""
        kept = self.folder / f"latents-{other.teacher}.safetensors"
        found = data.latents(other.half(self.shared, "encoder"), self.train[:BESIDE], kept, self.view)
        return self.counted[:BESIDE], found

    def with_pixels(self) -> data.Crops:
        sources = loop.progress(self.sources, "reading")
        maps = [(z, data.pixels(*source)) for z, source in zip(self.latents, sources, strict=True)]
        return data.Crops(maps, CROP, factors=(1, 8), grid=2)


def train(shared: Path, state: Path, steps: int | None = None, latent_format: str = "SD1.x") -> bytes:
    """The file of weights; the run is kept in a folder named like `state`."""
    torch.set_num_threads(1)  # two wait for each other at every layer
    chosen = FORMATS[latent_format]
    folder = state.with_suffix("") / chosen.teacher
    images = Photographs(chosen, shared, folder)
    decoder, lpips = chosen.half(shared, "decoder"), data.load_lpips(shared)
    metric = sensitivity(decoder, lpips, [z[:, :CROP, :CROP] for z in images.held_out[:8]])
    network = start_of(chosen, images, metric)
    network = train_latents(chosen, images, network, metric, folder / "latents.pt", steps or chosen.latent_steps)
    if chosen.pixel_steps:
        judges, steps = (decoder, lpips), steps or chosen.pixel_steps
        network = train_pixels(chosen, images, judges, network, metric, folder / "pixels.pt", steps)
    content = to_file(network, chosen, images.counted, images.held_out, metric)
    print("\n".join(judge.judge(content, chosen, shared, images.judged)), flush=True)
    return content


def start_of(chosen: TrainedFormat, images: Photographs, metric: torch.Tensor) -> Coder:
    """What training starts from.

    The weights of another latent format serve as they are where it has as many channels. Where it has not, its entropy
    model does: then coefficients are those that its analysis makes of the same photographs, guessed from this latent.
    """
    torch.manual_seed(0)
    network = chosen.network()
    if not chosen.start:
        (sample,) = images.crops.batch(256, loop.generator(5, 0))
        network.start_from(patches(sample), metric)
        return network
    path, taken = weights.FOLDER / f"{NEWEST[chosen.start].hex()}.npz", FORMATS[chosen.start]
    known = from_file(path.read_bytes(), taken)
    pairs = network.take_over(known)
    if taken.channels != chosen.channels:
        own, others = images.beside(taken)
        own, others = (torch.cat([patches(z[None]) for z in found]) for found in (own, others))
        mine, theirs = ([pair[side] for pair in pairs] for side in range(2))
        with torch.no_grad():
            coefficients = known.analysis(others[..., None, None])[:, theirs, 0, 0]
        network.start_from(own, metric, coefficients, mine)
    return network


def patches(z: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) latents -> (N, 4 C), their patches of 2x2."""
    return F.pixel_unshuffle(z.float(), 2).permute(0, 2, 3, 1).flatten(0, 2)


def spread(count: int, generator: torch.Generator) -> torch.Tensor:
    """(count,) qualities spread evenly over 0 to 1, the same in every batch but for a shift."""
    return (torch.arange(count) + torch.rand((), generator=generator)) / count


def distortion(error: torch.Tensor, metric: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) -> (B,) mean over scalars of e^T M e."""
    return torch.einsum("bihw,ij,bjhw->b", error, metric, error) / error[0].numel()


@torch.no_grad()
def measure(network: Coder, held_out: list[torch.Tensor], metric: torch.Tensor) -> dict[str, float]:
    """Bytes of an image of 512x512, and the loss, at some qualities."""
    figures = {}
    for quality in QUALITIES:
        size = loss = area = 0.0
        for z in held_out[:MEASURED]:
            out, bits = network(z[None].float(), torch.tensor([quality]), hard=True)
            error, places = distortion(out - z, metric).item(), z[0].numel()
            size, area = size + bits.item() / 8, area + places
            loss += bits.item() / len(z) + places * network.lambda_of(torch.tensor(quality)).item() * error
        figures |= {f"q{quality} bytes": size / area * 4096, f"q{quality} loss": loss / area}
    return figures


def train_latents(chosen, images: Photographs, network: Coder, metric: torch.Tensor, state: Path, steps: int) -> Coder:
    """Rate, and error of the latent."""

    def loss(network, _step, generator):
        (z,) = images.crops.batch(chosen.latent_batch, generator)
        z = z.float().contiguous(memory_format=torch.channels_last)
        q = spread(len(z), generator)
        out, bits = network(z, q)
        rate, error = bits.mean() / z[0].numel(), (network.lambda_of(q) * distortion(out - z, metric)).mean()
        return {"loss": rate + error, "rate": rate, "error": error}

    def held_out(network):
        return measure(network, images.held_out, metric)

    cool_down = LATENT_COOL_DOWN
    return loop.train(network, loss, held_out, steps, state, LATENT_RATE, 11, images.recipe, cool_down)


def train_pixels(chosen, images, judges, network: Coder, metric: torch.Tensor, state: Path, steps: int) -> Coder:
    """Rate, and what is seen of the error through the decoder, beside the photograph."""
    crops, (decoder, lpips) = images.with_pixels(), judges
    network.requires_grad_(True)  # which the average of the stage before was not
    device, size = torch.device("cpu"), PART * 8 - 2 * BORDER

    def errors(network, generator):
        """(B,) bits of a number, (B,) weight of an error, and (B,) errors by name."""
        z, pixels = crops.batch(chosen.pixel_batch, generator)
        z = z.float().contiguous(memory_format=torch.channels_last)
        q = spread(len(z), generator)
        out, bits = network(z, q)
        parts, targets = [], []
        for latent, target in zip(out, pixels, strict=True):
            top, left = torch.randint(CROP - PART + 1, (2,), generator=generator).tolist()
            parts.append(latent[:, top : top + PART, left : left + PART])
            y, x = top * 8 + BORDER, left * 8 + BORDER
            targets.append(target[:, y : y + size, x : x + size])
        target = torch.stack(targets).float() / 255
        with loop.autocast(device):
            image = decoder(torch.stack(parts).contiguous(memory_format=torch.channels_last))
            image = image[..., BORDER:-BORDER, BORDER:-BORDER].clamp(-0.1, 1.1)
            seen = lpips(image * 2 - 1, target * 2 - 1).float().flatten()
        found = {
            "latent": distortion(out - z, metric),
            "pixels": (image.float() - target).square().mean((1, 2, 3)),
            "lpips": seen,
        }
        return bits / z[0].numel(), network.lambda_of(q), found

    # Each kind of error counts as much as it does where this stage starts.
    with torch.no_grad():
        found = [errors(network, loop.generator(13, number)) for number in range(UNITS_FROM)]
    unit = {name: sum((weight * error[name]).mean() for _, weight, error in found) / len(found) for name in SHARES}
    unit = {name: value / unit["latent"] for name, value in unit.items()}

    def loss(network, _step, generator):
        rate, weight, found = errors(network, generator)
        error = sum(SHARES[name] * value / unit[name] for name, value in found.items())
        figures = {name: value.mean() for name, value in found.items()}
        return figures | {"rate": rate.mean(), "loss": (rate + weight * error).mean()}

    def held_out(network):
        return measure(network, images.held_out, metric)

    cool_down = PIXEL_COOL_DOWN
    return loop.train(network, loss, held_out, steps, state, PIXEL_RATE, 12, images.recipe, cool_down)


def parts(content: bytes) -> dict[str, bytes]:
    """File in `weights/` -> what it holds. New files are written with it once NEWEST of `codec/learned/` names it."""
    return {f"learned/{name_of(content).hex()}.npz": content}
