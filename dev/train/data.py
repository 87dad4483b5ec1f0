"""The training photographs and their latents, which are worked out once and kept in the cache folder."""

import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sdc_pack.codec.autoencoder import tiny_vae

from . import loop

SUFFIXES = (".jpg", ".jpeg", ".png")
HELD_OUT = 20  # every 20th photograph is kept for measuring how training goes
SMALLEST = 256  # pixels; smaller photographs are enlarged, so that every crop fits


def photographs(shared: Path) -> tuple[list[Path], list[Path]]:
    """Paths to train with and paths held out."""
    folder = shared / "images" / "train"
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"No photographs in {folder}: training needs SDC_SHARED.")
    held_out = paths[::HELD_OUT]
    return [path for path in paths if path not in set(held_out)], held_out


def load(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, sides multiples of 8 and at least 256."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if min(image.size) < SMALLEST:
        size = [max(SMALLEST, round(side * SMALLEST / min(image.size))) for side in image.size]
        image = image.resize(size, Image.Resampling.LANCZOS)
    width, height = (side // 8 * 8 for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))


def pixels(path: Path) -> torch.Tensor:
    """(3, H, W) uint8."""
    return torch.from_numpy(load(path).copy()).permute(2, 0, 1)


def taesd(shared: Path, half: str) -> torch.nn.Module:
    """TAESD's "encoder" or "decoder", the teacher."""
    network = {"encoder": tiny_vae.make_encoder, "decoder": tiny_vae.make_decoder}[half]()
    path = shared / "models" / "vae_approx" / f"taesd_{half}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"No {path}, which the tiny models learn from: training needs SDC_SHARED.")
    weights = load_file(path)
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def halves(shared: Path, autoencoder: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Encoder and decoder of "taesd" or "tiny"."""
    if autoencoder == "taesd":
        return taesd(shared, "encoder"), taesd(shared, "decoder")
    # Copies: the codec keeps its own as they are.
    own = (copy.deepcopy(half) for half in (tiny_vae.encoder(), tiny_vae.decoder()))
    return tuple(half.to(memory_format=torch.channels_last) for half in own)


def digest(*networks: torch.nn.Module) -> str:
    """Changes with the weights."""
    found = hashlib.sha256()
    for network in networks:
        for value in network.state_dict().values():
            found.update(value.cpu().numpy().tobytes())
    return found.hexdigest()


def hash_of(paths: list[Path]) -> str:
    """Of the names and contents of photographs."""
    found = hashlib.sha256()
    for path in paths:
        found.update(name_of(path).encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def name_of(photograph: Path) -> str:
    return f"{photograph.parent.name}/{photograph.name}"


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


def latents(shared: Path, paths: list[Path], path: Path, device: torch.device, progress) -> dict[str, torch.Tensor]:
    """TAESD's scaled latents of the photographs, name -> (4, h, w) float16."""

    def make():
        encoder = taesd(shared, "encoder").to(device)
        found = {}
        for image in progress(paths, "encoding"):
            found[name_of(image)] = run(encoder, pixels(image)[None] / 255, device)[0].half()
        return found

    names = [name_of(image) for image in paths]
    tensors = cached(path, {"photographs": hash_of(paths), "version": 1}, make)
    return {name: tensors[name] for name in names}


class Crops:
    """Random crops, mirrored half of the time, of maps that lie in memory side by side.

    `maps` holds for each photograph one or more tensors (C, h * factor, w * factor), cropped alike.
    """

    def __init__(self, maps: list[tuple[torch.Tensor, ...]], size: int, factors: tuple[int, ...] = (1,)):
        self.maps, self.size, self.factors = maps, size, factors
        # Large photographs hold more to learn from than small ones.
        self.shares = torch.tensor([float(first[0].numel()) for first in maps])

    def batch(self, count: int, generator: torch.Generator) -> list[torch.Tensor]:
        chosen = torch.multinomial(self.shares, count, replacement=True, generator=generator)
        batch = [[] for _ in self.factors]
        for index in chosen.tolist():
            height, width = self.maps[index][0].shape[-2:]
            height, width = height // self.factors[0], width // self.factors[0]
            top = torch.randint(height - self.size + 1, (), generator=generator).item()
            left = torch.randint(width - self.size + 1, (), generator=generator).item()
            mirrored = torch.rand((), generator=generator) < 0.5
            for kept, tensor, factor in zip(batch, self.maps[index], self.factors, strict=True):
                size = self.size * factor
                crop = tensor[:, top * factor : top * factor + size, left * factor : left * factor + size]
                kept.append(crop.flip(-1) if mirrored else crop)
        return [torch.stack(kept) for kept in batch]
