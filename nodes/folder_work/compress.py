"""Compresses the images of a folder into files of the same names and subfolders."""

import os
from collections import Counter
from dataclasses import dataclass, field

import folder_paths
import numpy as np
import torch
from nodes import VAEEncode  # ComfyUI's own node, not the folder of this file
from PIL import Image

from ... import codec
from ...codec.autoencoder.srgb import SUFFIXES, to_srgb
from ...codec.presets import FAST
from ..files.folders import clean, files_under
from ..files.listing import find_listed
from ..files.paths import check_prefix, check_within, to_name
from ..images.sizes import MULTIPLE, size_within
from ..latents.formats import AUTO
from ..latents.quantize import quantize
from ..latents.through_pixels import small_vae
from ..metadata.embedding import embed_metadata
from ..metadata.image_files import generation_of_file
from ..progress import check_cancel
from ..sockets.sdc import size_words

MAX_LINES = 20


@dataclass
class Total:
    """What has been done: numbers of images and bytes, and what went wrong."""

    images: int = 0
    before: int = 0  # bytes of the images
    after: int = 0  # of their .sdc files
    found: int = 0  # images whose files were there already
    notes: list[str] = field(default_factory=list)

    def add(self, source: str, target: str):
        self.images += 1
        self.before += os.path.getsize(source)
        self.after += os.path.getsize(target)

    def lines(self) -> list[str]:
        """'212 files, 480.1 MB → 0.9 MB, 533x smaller', then notes."""
        files = f"{self.images} file{'s' * (self.images != 1)}"
        smaller = f", {self.before / self.after:.0f}x smaller" if self.after else ""
        lines = [f"{files}, {size_words(self.before)} \u2192 {size_words(self.after)}{smaller}"]
        if self.found:
            lines.append(f"{self.found} of them were there already.")
        more = len(self.notes) - MAX_LINES
        return lines + self.notes[:MAX_LINES] + ([f"and {more} more"] if more > 0 else [])


class FolderCompression:
    """Where the files of a folder go, and how each is made.

    Parameters
    ----------
    place, folder : str
        Of the images, as `choose_files` takes them.
    target : str
        A folder in ComfyUI's output folder. Raises ValueError where it leads out of there.
    preset, settings, vae
        As `quantize` takes them; the small VAE of the pack where `vae` is None.
    megapixels : float
        Larger images are scaled down to so many times 1024x1024; none for 0. None is scaled up.
    keeps_prompts : bool
        Include how ComfyUI made an image, where its PNG says so.
    effort : str
        As `quantize` takes it.
    """

    def __init__(
        self, place: str, folder: str, target: str, preset: str, settings: dict, vae=None, megapixels: float = 0,
        keeps_prompts: bool = True, effort: str = FAST,
    ):  # fmt: skip
        self.start = clean(folder)
        self.target = check_prefix(target).rstrip("/")
        self.preset, self.settings, self.megapixels, self.keeps_prompts = preset, settings, megapixels, keeps_prompts
        self.effort = effort
        self.vae = vae if vae is not None else small_vae()
        # Names that differ in their extension alone keep it, whichever of them are chosen.
        self.same = Counter(stem(name) for name in files_under(place, folder, SUFFIXES))

    def target_of(self, file: str) -> str:
        """The path of the .sdc file for an image by its name in the list."""
        name = file.removesuffix(" [output]")
        *folders, last = name[len(self.start) :].split("/")
        last = last if self.same[stem(name)] > 1 else os.path.splitext(last)[0]
        output = folder_paths.get_output_directory()
        path = os.path.join(output, self.target, *map(to_name, folders), f"{to_name(last)}.sdc")
        check_within(output, os.path.dirname(path))
        return path

    def run(self, files, total: Total) -> Total:
        """Do what is not there yet. A bad image does not stop the others; a full disk does."""
        for file in files:
            source, target = find_listed(file), self.target_of(file)
            if os.path.lexists(target):
                total.found += 1
            else:
                try:
                    encoded, notes = self.compress(source)
                except (OSError, SyntaxError, ValueError, codec.SdcError, Image.DecompressionBombError) as error:
                    total.notes.append(f"\u26a0 {file}: {error}")
                    continue
                total.notes += [f"{file}: {note}" for note in notes]
                os.makedirs(os.path.dirname(target), exist_ok=True)
                codec.write_whole(target, encoded.data)
            total.add(source, target)
        return total

    def compress(self, path: str) -> tuple[codec.EncodedImage, list[str]]:
        with Image.open(path) as opened:
            generation = generation_of_file(opened) if self.keeps_prompts else None
            pixels, notes = to_srgb(opened)
        check_cancel()
        pixels = scaled_down(pixels, self.megapixels)
        if min(pixels.shape[:2]) < MULTIPLE:
            raise ValueError(f"it is {pixels.shape[1]}x{pixels.shape[0]}, and a VAE needs at least 8 pixels each way")
        image = torch.from_numpy(pixels.copy())[None].float().div(255)
        latent = VAEEncode().encode(self.vae, image)[0]
        check_cancel()
        quantized = quantize(
            latent, self.preset, self.settings, AUTO, image=image, vae=self.vae, effort=self.effort, step=check_cancel
        )
        (encoded,) = quantized.images
        if generation is not None and generation.values:
            encoded, _ = embed_metadata(encoded, "", False, None, False, generation)
            notes = [*notes, *["\u26a0 its prompt cannot be read from its workflow"] * ("prompt" in generation.missing)]
        return encoded, [*notes, *(note for note in quantized.notes if note.startswith("\u26a0"))]


def stem(name: str) -> str:
    return os.path.splitext(name.removesuffix(" [output]"))[0].lower()


def scaled_down(pixels: np.ndarray, megapixels: float) -> np.ndarray:
    """(H, W, 3) uint8 of at most so many times 1024x1024 pixels; 0 for any number."""
    height, width = pixels.shape[:2]
    size = size_within(width, height, megapixels)
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
