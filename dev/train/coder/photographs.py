"""The training photographs of the learned codec, held out by subject, and their latents in two views."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from .. import data, loop
from .families import Family

SUFFIXES = (".jpg", ".jpeg", ".png")
HELD_OUT = 24  # one subject of so many is kept for tuning
SMALLEST = 256  # pixels
MIDDLE = 384  # pixels, of view 2


def subject(path: Path) -> str:
    """What the image shows; several photographs of one subject share it."""
    head, _, tail = path.stem.rpartition("_")
    return f"{path.parent.name}/{head if path.parent.name in ('dreambooth', 'popos', 'wesaturate') else path.stem}"


def photographs(shared: Path) -> tuple[list[Path], list[Path]]:
    """Paths to train with, paths held out for tuning."""
    paths = sorted(p for p in (shared / "images" / "train").rglob("*") if p.suffix.lower() in SUFFIXES)
    found = [], []
    for path in paths:
        number = int.from_bytes(hashlib.sha256(subject(path).encode()).digest()[:4], "little")
        found[number % HELD_OUT == 0].append(path)
    train, held_out = found
    return train, held_out or train[:1]  # of a handful none may be held out


def load(path: Path, view: int = 0) -> np.ndarray:
    """(H, W, 3) uint8, sides multiples of 16.

    View 1 is mirrored and, if that leaves enough of it, smaller; view 2 is the middle of a large photograph.
    """
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    scale = max(1.0, SMALLEST / min(image.size))
    if view == 1:
        image = ImageOps.mirror(image)
        number = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4], "little") / 2**32
        scale = max(SMALLEST / min(image.size), 0.6 + 0.3 * number)
    if scale != 1.0:
        image = image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS)
    width, height = (min(side, MIDDLE if view == 2 else side) // 16 * 16 for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return np.asarray(image.crop((left, top, left + width, top + height)))


@torch.no_grad()
def encode(encoder: nn.Module, pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 -> (C, H / 8, W / 8) float32, scaled latent."""
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    return encoder(x.to(memory_format=torch.channels_last))[0].contiguous()


def latents(family: Family, shared: Path, paths: list[Path], view: int, kept: Path) -> dict[str, torch.Tensor]:
    """Name -> (C, h, w) float16, the scaled latents of the family's tiny autoencoder, worked out once."""

    def make():
        encoder = family.half(shared, "encoder")
        return {name_of(path): encode(encoder, load(path, view)).half() for path in loop.progress(paths, "encoding")}

    recipe = {"family": family.name, "names": [name_of(path) for path in paths], "view": view, "version": 2}
    return data.cached(kept, recipe, make)


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


class Crops:
    """Random square crops of maps in memory, each photograph as likely as it is large."""

    def __init__(self, maps: list[torch.Tensor], size: int):
        self.maps, self.size = [m for m in maps if min(m.shape[-2:]) >= size], size
        self.shares = torch.tensor([float(m.shape[-1] * m.shape[-2]) for m in self.maps])

    def places(self, count: int, generator: torch.Generator):
        """(map number, top, left) of `count` crops; corners even, so that a crop lies on the grid of the coder."""
        for index in torch.multinomial(self.shares, count, replacement=True, generator=generator).tolist():
            height, width = self.maps[index].shape[-2:]
            top, left = (
                torch.randint((side - self.size) // 2 + 1, (), generator=generator).item() * 2
                for side in (height, width)
            )
            yield index, top, left

    def batch(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """(count, C, size, size) float32."""
        s = self.size
        crops = [self.maps[i][:, top : top + s, left : left + s] for i, top, left in self.places(count, generator)]
        return torch.stack(crops).float()
