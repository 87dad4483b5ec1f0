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
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae
from sdc_pack.nodes.pictures import edges

SUFFIXES = (".jpg", ".jpeg", ".png")
HELD_OUT = 20  # every 20th photograph is kept for measuring how training goes
THRESHOLDS = (100, 200)  # of Canny edges, as Regenerate with Canny starts with
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
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if min(picture.size) < SMALLEST:
        size = [max(SMALLEST, round(side * SMALLEST / min(picture.size))) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    width, height = (side // 8 * 8 for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return np.asarray(picture.crop((left, top, left + width, top + height)))


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


def name_of(photograph: Path) -> str:
    return f"{photograph.parent.name}/{photograph.name}"


@torch.no_grad()
def run(network: torch.nn.Module, x: torch.Tensor, device: torch.device) -> torch.Tensor:
    with torch.autocast(device.type, dtype=torch.bfloat16):
        return network(x.to(device, memory_format=torch.channels_last)).float().cpu()


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
        for picture in progress(paths, "encoding"):
            found[name_of(picture)] = run(encoder, pixels(picture)[None] / 255, device)[0].half()
        return found

    names = [name_of(picture) for picture in paths]
    tensors = cached(path, {"names": names, "version": 1}, make)
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


def decoded(
    shared: Path, paths: list[Path], autoencoder: str, path: Path, device: torch.device, progress
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What the decoder has of each photograph: its quantised latent, and the edges of the picture that this gives.

    `autoencoder` is "taesd" or "tiny", the one of `weights/`.

    Returns
    -------
    latents : dict of (4, h, w) float16
        Scaled, from files of the preset `paper`; of every third photograph from files without dither.
    edges : dict of (1, 8 h, 8 w) uint8
        1 on a Canny edge, with the thresholds that Regenerate with Canny starts with.
    """
    encoder, decoder = (network.to(device) for network in halves(shared, autoencoder))

    def make():
        found = {}
        for number, picture in enumerate(progress(paths, "quantising")):
            latent = run(encoder, pixels(picture)[None] / 255, device)[0]
            # Small photographs get fewer colours, so that each colour serves as many latents as in one of 512x512.
            colours = max(16, min(256, round(latent[0].numel() / 64)))
            preset = codec.PAPER_PRESET | {"colours": colours} | ({"dither": "none"} if number % 3 == 2 else {})
            file = codec.encode(latent.numpy() / tiny_vae.SCALE, **preset)
            z = torch.from_numpy(codec.decode(file)) * tiny_vae.SCALE
            pictures = run(decoder, z[None], device).clamp(0, 1).permute(0, 2, 3, 1)
            found[f"latents/{name_of(picture)}"] = z.half()
            found[f"edges/{name_of(picture)}"] = edges.canny_edges(pictures, *THRESHOLDS)[..., 0].to(torch.uint8)
        return found

    names = [name_of(picture) for picture in paths]
    recipe = {"names": names, "thresholds": THRESHOLDS, "weights": digest(encoder, decoder), "version": 2}
    tensors = cached(path, recipe, make)
    return tuple({name: tensors[f"{kind}/{name}"] for name in names} for kind in ("latents", "edges"))
