"""The training photographs, the networks that teach, and latents, which are worked out once and kept."""

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sdc_pack.codec.autoencoder import network, tiny_vae
from sdc_pack.nodes.comparison import metrics

from . import loop

SUFFIXES = (".jpg", ".jpeg", ".png")
HELD_OUT = 24  # one subject of so many is kept for measuring
SMALLEST = 256  # pixels; smaller photographs are enlarged, so that every crop fits
MIDDLE = 384  # pixels, of view 2
LPIPS = "squeeze"  # AlexNet is kept for measuring
SERIES = ("dreambooth", "popos", "wesaturate")  # folders with several photographs of a subject


def subject(path: Path) -> str:
    """What the image shows; several photographs of one subject share it."""
    return f"{path.parent.name}/{path.stem.rpartition('_')[0] if path.parent.name in SERIES else path.stem}"


def photographs(shared: Path) -> tuple[list[Path], list[Path]]:
    """Paths to train with, paths held out by subject."""
    folder = shared / "images" / "train"
    train, held_out = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        (held_out if number_of(subject(path)) % HELD_OUT == 0 else train).append(path)
    if not train:
        raise FileNotFoundError(f"No photographs in {folder}: training needs SDC_SHARED.")
    return train, held_out or train[:1]  # of a handful none may be held out


def number_of(text: str) -> int:
    """0 to 2**32 - 1, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


def name_of(photograph: Path) -> str:
    return f"{photograph.parent.name}/{photograph.name}"


def hash_of(paths: list[Path]) -> str:
    """Of the names and contents of photographs."""
    found = hashlib.sha256()
    for path in paths:
        found.update(name_of(path).encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def load(path: Path, view: int = 0) -> np.ndarray:
    """(H, W, 3) uint8, sides multiples of 16 and at least 256.

    View 1 is mirrored and, if that leaves enough of it, smaller; view 2 is the middle of a large photograph.
    """
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    scale = max(1.0, SMALLEST / min(image.size))
    if view == 1:
        image = ImageOps.mirror(image)
        scale = max(SMALLEST / min(image.size), 0.6 + 0.3 * number_of(path.name) / 2**32)
    if scale != 1.0:
        image = image.resize([max(SMALLEST, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
    width, height = (min(side, MIDDLE if view == 2 else side) // 16 * 16 for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))


def pixels(path: Path, view: int = 0) -> torch.Tensor:
    """(3, H, W) uint8."""
    return torch.from_numpy(load(path, view).copy()).permute(2, 0, 1)


def teacher(shared: Path, half: str, name: str = "taesd", channels: int = 4) -> torch.nn.Sequential:
    """The "encoder" or "decoder" of a tiny autoencoder: (B, 3, 8 h, 8 w) to (B, channels, h, w), or back."""
    made = {"encoder": network.make_encoder, "decoder": network.make_decoder}[half](channels)
    path = shared / "models" / "vae_approx" / f"{name}_{half}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"No {path}, which the tiny models learn from: training needs SDC_SHARED.")
    made.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return made.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def halves(shared: Path, autoencoder: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Encoder and decoder of "taesd" or "tiny"."""
    if autoencoder == "taesd":
        return teacher(shared, "encoder"), teacher(shared, "decoder")
    # Copies: the codec keeps its own as they are.
    own = (copy.deepcopy(half) for half in (tiny_vae.encoder(), tiny_vae.decoder()))
    return tuple(half.to(memory_format=torch.channels_last) for half in own)


def load_lpips(shared: Path) -> torch.nn.Module:
    """(images, images) (B, 3, H, W) in -1..1 -> LPIPS (B, 1, 1, 1), with its gradient."""
    folder = shared / "models" / "lpips"
    found = sorted(folder.glob(f"{metrics.LPIPS_WEIGHTS[LPIPS]}*.pth"))
    if not found:
        raise FileNotFoundError(f"No weights of {LPIPS} in {folder}, which training measures by.")
    made = copy.deepcopy(metrics.lpips_network(found[0], LPIPS)).requires_grad_(False)
    return made.to(memory_format=torch.channels_last)


def digest(*networks: torch.nn.Module) -> str:
    """Changes with the weights."""
    found = hashlib.sha256()
    for each in networks:
        for value in each.state_dict().values():
            found.update(value.cpu().numpy().tobytes())
    return found.hexdigest()


@torch.no_grad()
def run(network: torch.nn.Module, x: torch.Tensor, device: torch.device) -> torch.Tensor:
    with loop.autocast(device):
        return network(x.to(device, torch.float32, memory_format=torch.channels_last)).float().cpu()


def cached(path: Path, recipe: dict, make) -> dict[str, torch.Tensor]:
    """The tensors of `make()`, kept in `path` for as long as `recipe` stays the same."""
    key = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    if path.is_file():
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("recipe") == key:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors = {name: tensor.contiguous() for name, tensor in make().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"recipe": key})
    part.replace(path)
    return tensors


def latents(encoder: torch.nn.Module, paths: list[Path], path: Path, view: int = 0) -> list[torch.Tensor]:
    """Scaled latents (C, h, w) float16 of the photographs, kept in `path`."""
    device = loop.device()

    def make():
        found = {}
        for photograph in loop.progress(paths, "encoding"):
            found[name_of(photograph)] = run(encoder, pixels(photograph, view)[None] / 255, device)[0].half()
        return found

    encoder = encoder.to(device)
    tensors = cached(path, {"photographs": hash_of(paths), "view": view, "encoder": digest(encoder)}, make)
    return [tensors[name_of(photograph)] for photograph in paths]


class Crops:
    """Random square crops of maps that lie in memory.

    Parameters
    ----------
    maps : list of tuples of (C, h * factor, w * factor) tensors
        For each photograph those that are cropped alike; a photograph too small for a crop is left out.
    size : int
        Side of a crop where the factor is 1.
    grid : int
        Corners of crops are multiples of it.
    mirrored : bool
        Whether half of the crops are. Only for pixels: a mirrored latent is not the latent of the mirrored image.
    """

    def __init__(self, maps: list[tuple], size: int, factors: tuple[int, ...] = (1,), grid: int = 1, mirrored=False):
        self.maps = [each for each in maps if min(each[0].shape[-2:]) >= size * factors[0]]
        self.size, self.factors, self.grid, self.mirrored = size, factors, grid, mirrored
        # Large photographs hold more to learn from than small ones.
        self.shares = torch.tensor([float(first[0].numel()) for first in self.maps])

    def batch(self, count: int, generator: torch.Generator) -> list[torch.Tensor]:
        """For each map of a photograph (count, C, size * factor, size * factor), of its type."""

        def corner(side, factor):
            places = (side // factor - self.size) // self.grid + 1
            return torch.randint(places, (), generator=generator).item() * self.grid

        batch: list[list[torch.Tensor]] = [[] for _ in self.factors]
        for index in torch.multinomial(self.shares, count, replacement=True, generator=generator).tolist():
            top, left = (corner(side, self.factors[0]) for side in self.maps[index][0].shape[-2:])
            mirrored = self.mirrored and torch.rand((), generator=generator) < 0.5
            for crops, tensor, factor in zip(batch, self.maps[index], self.factors, strict=True):
                size, y, x = self.size * factor, top * factor, left * factor
                crop = tensor[:, y : y + size, x : x + size]
                crops.append(crop.flip(-1) if mirrored else crop)
        return [torch.stack(crops) for crops in batch]
