import io as bytes_io
import math
from typing import NamedTuple

from comfy.cli_args import args
from comfy_api.v0_0_2 import io, ui
from PIL import Image

from .. import codec
from . import CATEGORY, plain_errors
from .files.paths import check_prefix, save_under
from .latents.arrays import to_latent
from .metadata.embedding import embed_metadata
from .metadata.prompt_graph import find_generation
from .previews.thumbnail import save_thumbnail
from .sockets.sdc import SDC, preview_notes, size_line, size_words

# The assets view lists media only, and takes a file of another kind for one by its "format". Of the kinds it knows,
# audio is the one it shows by its name and does not try to draw.
FORMAT = "audio/x-sdc"
EMBEDDED = {
    "none": (),
    "workflow": ("workflow",),
    "prompt and settings": ("settings",),
    "everything": ("workflow", "settings"),
}
APART, TOGETHER = "a file each", "one file"


class SDCSave(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SDCSave",
            display_name="Save SDC",
            category=CATEGORY,
            description="Writes the compressed image to a .sdc file in the output folder. Never overwrites a file.",
            search_aliases=[
                "sdc",
                "export",
                "write file",
                "compress",
                "codec",
                "save latent",
                "save image",
                "small file",
                "jpeg",
            ],
            is_output_node=True,
            hidden=[io.Hidden.extra_pnginfo, io.Hidden.prompt, io.Hidden.unique_id],
            inputs=[
                SDC.Input("sdc", tooltip="The compressed image, from SD Latent Quantize or Load SDC."),
                io.String.Input(
                    "filename_prefix",
                    default="SDC/image",
                    tooltip="Start of the file name, a counter is added. A / makes a subfolder of the output folder. "
                    "%year%, %month%, %day%, %width%, %height%, %date:yyyy-MM-dd% and %Node.widget% are filled in.",
                ),
                io.Combo.Input(
                    "embed",
                    options=list(EMBEDDED),
                    default="none",
                    tooltip=(
                        "workflow stores this graph inside the file, so that it can be opened again; often more bytes "
                        "than the image itself. prompt and settings stores both prompts, seed, steps, sampler and "
                        "models of the sampler before this node, in about 200 bytes; Load SDC gives them back. "
                        "everything stores both. none keeps the file small: a workflow that a loaded file had is "
                        "not written on either. A prompt is kept in all cases."
                    ),
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="Words that describe the image. Stored in the file when not empty, and given back by "
                    "Load SDC to steer the regeneration. About one byte a letter.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The original image. Nothing of it is stored: it is only there to tell how many times "
                    "smaller the file is than the image's PNG.",
                ),
                io.Boolean.Input(
                    "thumbnail",
                    default=True,
                    optional=True,
                    advanced=True,
                    tooltip="Also writes a small JPEG of the same name, some 10 kB, which ComfyUI's assets view, its "
                    "queue and file managers show. It is no part of the .sdc file and can be deleted at any time.",
                ),
                io.Combo.Input(
                    "batch",
                    options=[APART, TOGETHER],
                    default=APART,
                    optional=True,
                    advanced=True,
                    tooltip="What becomes of a batch, such as the frames of a video. a file each: as many files as "
                    "images. one file: all in one, up to 255 of one size; palette and prompt that they share are "
                    "stored once. Load SDC gives them back as a batch.",
                ),
            ],
            outputs=[
                SDC.Output("saved", display_name="SDC", tooltip="The image as written, with what was embedded."),
                io.Latent.Output(
                    "decoded", display_name="LATENT", tooltip="The latent as read back from the written file."
                ),
            ],
        )

    @classmethod
    @plain_errors()
    def execute(cls, sdc, filename_prefix, embed, prompt="", image=None, thumbnail=False, batch=APART) -> io.NodeOutput:
        workflow = (cls.hidden.extra_pnginfo or {}).get("workflow")
        wanted = EMBEDDED[embed]
        found = find_generation(cls.hidden.prompt, cls.hidden.unique_id) if "settings" in wanted else None
        embedded = [
            embed_metadata(encoded, prompt, "workflow" in wanted, workflow, args.disable_metadata, found)
            for encoded in sdc
        ]
        # Everything that can fail comes before the first file.
        files = files_of([encoded for encoded, _ in embedded], batch)
        compared = [times_smaller(file, image) for file in files]
        for index in range(len(files)):
            check_prefix(numbered(filename_prefix, index))
        written, results, images, texts = [], [], [], []
        for index, file in enumerate(files):
            prefix, first = numbered(filename_prefix, index), file.encoded_images[0]
            path, filename, subfolder = save_under(prefix, first.width, first.height, file.data)
            written += codec.load_all(codec.read_bounded(path), max_pixels=math.inf)
            results.append({**ui.SavedResult(filename, subfolder, io.FolderType.output), "format": FORMAT})
            texts.append(f"{filename}: {file_line(file)}, {compared[index]}")
            if thumbnail and (name := save_thumbnail(path, first)):
                images.append(ui.SavedResult(name, subfolder, io.FolderType.output))
        notes = sorted({line for encoded in written for line in preview_notes(encoded)})
        notes += dict.fromkeys(note for _, its_notes in embedded for note in its_notes)
        # The first image that a job lists is the one that stands for it.
        shown = {"images": images} if images else {}
        return io.NodeOutput(written, to_latent(written), ui={**shown, "files": results, "text": texts + notes})


class File(NamedTuple):
    """A file to be written: its images, the number of the first in the batch, and its bytes."""

    encoded_images: list[codec.EncodedImage]
    start: int
    data: bytes


def files_of(encoded_images: list[codec.EncodedImage], batch: str) -> list[File]:
    if batch != TOGETHER:
        return [File([encoded], index, encoded.data) for index, encoded in enumerate(encoded_images)]
    try:
        return [File(encoded_images, 0, codec.join_images(encoded_images))]
    except codec.SdcArgumentError as error:
        raise ValueError(f"{error}. Set batch to {APART!r}, or save fewer images, all of one size.") from error


def file_line(file: File) -> str:
    """'3.1 kB, 64 colors', or of several images '8 images in 21.0 kB, 2.6 kB each'."""
    count = len(file.encoded_images)
    if count == 1:
        return size_line(file.encoded_images[0])
    size = len(file.data)
    return f"{count} images in {size_words(size)}, {size_words(round(size / count))} each"


def numbered(prefix: str, index: int) -> str:
    """%batch_num% as ComfyUI's own savers fill it in."""
    return prefix.replace("%batch_num%", str(index))


def times_smaller(file: File, image) -> str:
    """How the size compares: with the images' bare pixels, and with their PNGs if the images are there.

    `image` is an IMAGE (B, H, W, C) or None. A batch of images of which there is one image only, is compared with it.
    """
    first, size = file.encoded_images[0], len(file.data)
    bare = f"{3 * len(file.encoded_images) * first.width * first.height / size:.0f}x smaller than the bare pixels"
    if image is None:
        return bare
    last = len(image) - 1
    indices = range(file.start, file.start + len(file.encoded_images))
    known = {index: png_size(image[index]) for index in {min(index, last) for index in indices}}
    png = sum(known[min(index, last)] for index in indices)
    return f"{bare}, {png / size:.0f}x smaller than the PNG{'s' * (len(file.encoded_images) > 1)}"


def png_size(image) -> int:
    """Bytes of the file that Save Image would write of an IMAGE (H, W, C)."""
    pixels = (image.clamp(0, 1) * 255).byte().cpu().numpy()
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels  # Pillow has no third axis for gray
    png = bytes_io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", compress_level=4)
    return png.tell()
