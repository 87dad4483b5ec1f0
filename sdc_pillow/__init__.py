"""Pillow opens and saves `.sdc` files once this is imported.

Examples
--------
>>> from PIL import Image
>>> import sdc_pillow
>>> image = Image.open("boats.sdc")
>>> image.size, image.info["prompt"], image.n_frames
>>> image.save("boats.png")
>>> Image.open("photo.jpg").save("photo.sdc", bits_per_pixel=0.095)
"""

import io

from PIL import Image, ImageFile, ImageSequence

from . import codec
from .codec.autoencoder.images import FACTOR, decode_image, encode_image
from .codec.autoencoder.srgb import WHITE, to_srgb

FORMAT = "SDC"
SIGNATURE = b"\x93SDC\r\n\x1a"
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or codec.MAX_PIXELS)  # as Pillow does it: above it is a bomb
SETTINGS = ("preset", "bits_per_pixel", "max_bytes", "quality", "colors", "dither", "dither_strength", "seed")
SCALES = (2, 4, FACTOR)  # pixels per latent that can be decoded


class SdcImageFile(ImageFile.ImageFile):
    """The images of a `.sdc` file, as frames. Nothing is decoded before its pixels are asked for.

    `info` has the metadata (prompt, workflow, settings), the latent format and how the latent is coded. Files of other
    latent formats than SD 1.x open for their information; loading their pixels raises OSError.
    """

    format = FORMAT
    format_description = "Stable Diffusion Codec"

    def _open(self):
        try:
            self._images = codec.load_all(self.fp.read(codec.MAX_FILE_BYTES + 1), max_pixels=MAX_PIXELS)
        except codec.SdcLimitError as error:
            raise Image.DecompressionBombError(str(error)) from None
        except codec.SdcError as error:
            raise SyntaxError(str(error)) from None
        self.n_frames = len(self._images)
        self.is_animated = self.n_frames > 1
        self._mode = "RGB"
        self._show(0)

    def _show(self, number: int):
        image = self._images[number]
        self._frame, self._scale, self._loaded = number, FACTOR, False
        self._size = image.width, image.height
        self.info = {**image.metadata, "latent_format": image.latent_format, "coding": image.stored.describe()}
        self.tile = []

    def seek(self, frame: int):
        if self._seek_check(frame):
            self._show(frame)

    def tell(self) -> int:
        return self._frame

    def draft(self, mode, size):
        """Decode at a half or a quarter of the sides where that is still as large as `size`."""
        if self._loaded or size is None:
            return None
        image = self._images[self._frame]
        sides = image.width, image.height
        for scale in SCALES:
            smaller = tuple(-(-side * scale // FACTOR) for side in sides)
            if all(have >= wanted for have, wanted in zip(smaller, size, strict=True)):
                break
        self._scale, self._size = scale, smaller
        return self.mode, (0, 0, sides[0] * scale / FACTOR, sides[1] * scale / FACTOR)

    def load(self):
        if not self._loaded:
            try:
                pixels = decode_image(self._images[self._frame], self._scale)
            except codec.SdcError as error:
                raise OSError(str(error)) from None
            self.im = Image.fromarray(pixels).im
            self._loaded = True
        return super().load()


def accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


def save(image: Image.Image, file: io.BufferedIOBase, name: str, save_all: bool = False):
    """Write one image, or with `save_all` all frames and `append_images`; settings are those of `codec.encode`.

    Besides those, `metadata` (dict) is stored with each image and `background` shows through where it is transparent.
    """
    given = image.encoderinfo
    frames = [image, *given.get("append_images", ())] if save_all else [image]
    frames = [frame for each in frames for frame in (ImageSequence.Iterator(each) if save_all else [each])]
    settings = {key: given[key] for key in SETTINGS if given.get(key) is not None}
    encoded = []
    try:
        for frame in frames:
            pixels, _ = to_srgb(frame, given.get("background", WHITE))
            encoded.append(encode_image(pixels, metadata=given.get("metadata"), **settings))
        file.write(codec.join_images(encoded))
    except codec.SdcError as error:
        raise ValueError(str(error)) from None


def save_all(image: Image.Image, file: io.BufferedIOBase, name: str):
    save(image, file, name, save_all=True)


Image.register_open(FORMAT, SdcImageFile, accept)
Image.register_save(FORMAT, save)
Image.register_save_all(FORMAT, save_all)
Image.register_extension(FORMAT, ".sdc")
Image.register_mime(FORMAT, "image/x-sdc")
