"""The files that Save SDC makes of a batch, and what it says about their size."""

import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from PIL import Image

from ... import codec
from ..sockets.sdc import size_line, size_words
from .paths import check_prefix, save_under

APART, TOGETHER = "one file per image", "one file"


class OutputFile(NamedTuple):
    """A file to be written: its images, the number of the first one in the batch, and its bytes."""

    images: list[codec.EncodedImage]
    start: int
    data: bytes

    def line(self) -> str:
        """'3.1 kB · 64 colors', or for several images '8 images in 21.0 kB, 2.6 kB each'."""
        count, num_bytes = len(self.images), len(self.data)
        if count == 1:
            return size_line(self.images[0])
        return f"{count} images in {size_words(num_bytes)}, {size_words(round(num_bytes / count))} each"

    def compared(
        self,
        loaded: tuple[str, int, tuple[int, int] | None] | None,
        original: torch.Tensor | None,
        check: Callable[[], object],
    ) -> str:
        """How many times smaller the file is than what the user had before: one number, and of what.

        That is the file that the image was loaded from, else a PNG of the original, else its raw 8-bit pixels.

        Parameters
        ----------
        loaded : (str, int, (int, int) or None) or None
            Name and size in bytes of that file; width and height of its image, named where it was scaled since then.
        original : Tensor or None
            IMAGE (B, H, W, C); where it has fewer images than the batch, its last one counts for the rest.
        check : callable
            Called again and again while the PNGs are made; its exceptions end that.
        """
        first, num_bytes = self.images[0], len(self.data)
        if loaded is not None:
            name, size, pixels = loaded
            scaled = "" if pixels in (None, (first.width, first.height)) else f", {pixels[0]}x{pixels[1]}"
            return f"{times(size, num_bytes)} than {name} ({size_words(size)}{scaled})"
        if original is None:
            raw = 3 * len(self.images) * first.width * first.height
            return f"{times(raw, num_bytes)} than the raw pixels"
        indices = [min(index, len(original) - 1) for index in range(self.start, self.start + len(self.images))]
        sizes = {index: png_bytes(original[index], check) for index in set(indices)}
        size = sum(sizes[index] for index in indices)
        return f"{times(size, num_bytes)} than {'PNGs' if len(self.images) > 1 else 'a PNG'} of {size_words(size)}"


def times(size: int, num_bytes: int) -> str:
    """'84x smaller', '3.2x smaller' or '1.5x larger'."""
    if size < num_bytes:
        return f"{num_bytes / size:.1f}x larger" if size else "larger"
    return f"{size / num_bytes:.{1 if size < 10 * num_bytes else 0}f}x smaller"


class Written(NamedTuple):
    """A file on disk, and its images as read back from there."""

    path: str
    filename: str
    subfolder: str
    images: list[codec.EncodedImage]


def pack_files(images: list[codec.EncodedImage], batch: str) -> list[OutputFile]:
    """One file per image, or one for all. Raises ValueError where the images do not go into one file."""
    if batch != TOGETHER:
        return [OutputFile([image], index, image.data) for index, image in enumerate(images)]
    try:
        return [OutputFile(images, 0, codec.join_images(images))]
    except codec.SdcArgumentError as error:
        raise ValueError(f"{error}. Set batch to {APART!r}, or save fewer images, all of one size.") from error


def fill_in(prefix: str, files: list[OutputFile]) -> list[str]:
    """The prefix of each file, with %batch_num% replaced as in ComfyUI's own savers. Raises ValueError for bad ones."""
    prefixes = [prefix.replace("%batch_num%", str(number)) for number in range(len(files))]
    for each in prefixes:
        check_prefix(each)
    return prefixes


def write_file(prefix: str, file: OutputFile) -> Written:
    """Write a file under the next free number, and read it back.

    Raises
    ------
    OSError
        It cannot be written or read.
    codec.SdcError
        What the disk holds is damaged.
    """
    first = file.images[0]
    path, filename, subfolder = save_under(prefix, first.width, first.height, file.data)
    data = codec.read_bounded(path)
    # The same bytes are the same images, already parsed and perhaps decoded.
    images = file.images if data == file.data else codec.load_all(data, max_pixels=math.inf)
    return Written(path, filename, subfolder, images)


class Counter(io.RawIOBase):
    """A file that forgets what it is given and knows how much that was."""

    def __init__(self, check: Callable[[], object]):
        self.check, self.num_bytes = check, 0

    def write(self, data) -> int:
        self.check()
        self.num_bytes += len(data)
        return len(data)


def png_bytes(image: torch.Tensor, check: Callable[[], object]) -> int:
    """Size of the file that Save Image would write of an IMAGE (H, W, C)."""
    pixels = (image.float().clamp(0, 1) * 255).byte().cpu().numpy()
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels  # Pillow has no third axis for gray
    check()
    png: Any = Counter(check)  # all that Pillow asks of a file
    Image.fromarray(pixels).save(png, "PNG", compress_level=4)
    return png.num_bytes
