"""What a decoder has of photographs: squares of them, stored by every coder there is and read back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.regeneration import edges

from . import data, loop

SIDE = 256  # pixels of a square
LARGEST = 384  # pixels of a photograph's shorter side that a square is cut from; larger ones are reduced
THRESHOLDS = (100, 200)  # of Canny edges, as Regenerate with Canny starts with
COLORS = 40  # leave in a square the error that 64 leave in an image of 512x512
QUALITIES = (32, 75)  # of the learned codec: 1.5 to 5 kB for 512x512
CODERS = ("paper", "undithered", "learned")


@dataclass(frozen=True)
class Square:
    """One square, in tensors without a batch.

    clean : (4, 32, 32) float16, TAESD's scaled latent of the photograph
    latent : (4, 32, 32) float16, what the file decodes to, scaled
    edges : (1, 256, 256) uint8, 1 on a Canny edge of the image that the latent decodes to
    pixels : (3, 256, 256) uint8
    """

    clean: torch.Tensor
    latent: torch.Tensor
    edges: torch.Tensor
    pixels: torch.Tensor


def cut(path: Path) -> np.ndarray:
    """(256, 256, 3) uint8: a square of the photograph, somewhere in it."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    shorter = min(image.size)
    scale = min(max(shorter, SIDE), LARGEST) / shorter
    if scale != 1:
        image = image.resize([max(SIDE, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
    number = data.number_of(data.name_of(path))
    left, top = number % (image.width - SIDE + 1), number // 4096 % (image.height - SIDE + 1)
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))


def store(latent: np.ndarray, coder: str, number: int) -> np.ndarray:
    """An unscaled latent (4, h, w) as it comes back from a file."""
    if coder == "learned":
        low, high = QUALITIES
        encoded = codec.encode([latent], quality=low + number % (high - low))[0]
    else:
        dither = {"dither": "none"} if coder == "undithered" else {}
        encoded = codec.encode([latent], "custom", colors=COLORS, **dither)[0]
    return codec.decode(encoded)


def squares(
    shared: Path, paths: list[Path], autoencoder: str, coder: str, kept: Path, device: torch.device
) -> list[Square]:
    """A square of each photograph, worked out once. `autoencoder` is "taesd" or "tiny", the one of `weights/`."""
    encoder, decoder = (network.to(device) for network in data.halves(shared, autoencoder))
    teacher = data.teacher(shared, "encoder").to(device)

    def make():
        found = {}
        for path in loop.progress(paths, f"storing by {coder}"):
            pixels = torch.from_numpy(cut(path).copy()).permute(2, 0, 1)
            clean = data.run(teacher, pixels[None] / 255, device)[0]
            own = clean if autoencoder == "taesd" else data.run(encoder, pixels[None] / 255, device)[0]
            latent = (
                torch.from_numpy(store(own.numpy() / tiny_vae.SCALE, coder, data.number_of(data.name_of(path))))
                * tiny_vae.SCALE
            )
            image = data.run(decoder, latent[None], device).clamp(0, 1).permute(0, 2, 3, 1)
            lines = edges.canny_edges(image, *THRESHOLDS)[..., 0].to(torch.uint8)
            square = Square(clean.half(), latent.half(), lines, pixels)
            found |= {f"{part}/{data.name_of(path)}": value for part, value in vars(square).items()}
        return found

    settings = {name: value for name, value in globals().items() if name.isupper()}
    recipe = {"photographs": data.hash_of(paths), "coder": coder, "weights": data.digest(encoder, decoder, teacher)}
    tensors = data.cached(kept, {**recipe, **settings}, make)
    return [
        Square(**{part: tensors[f"{part}/{data.name_of(path)}"] for part in Square.__dataclass_fields__})
        for path in paths
    ]


def batch(source: list[Square], count: int, crop: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Crops of random squares: clean, latent, edges and pixels, each (count, ...).

    Not mirrored: a mirrored latent is not the latent of the mirrored image.
    """
    found: list[list[torch.Tensor]] = [[] for _ in Square.__dataclass_fields__]
    for index in torch.randint(len(source), (count,), generator=generator).tolist():
        places = SIDE // 8 - crop + 1
        top, left = torch.randint(places, (2,), generator=generator).tolist()
        for part, tensor in zip(found, vars(source[index]).values(), strict=True):
            factor = tensor.shape[-1] * 8 // SIDE
            size, y, x = crop * factor, top * factor, left * factor
            part.append(tensor[:, y : y + size, x : x + size])
    return [torch.stack(part) for part in found]
