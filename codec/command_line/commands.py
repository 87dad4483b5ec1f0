"""The commands of `python -m codec`."""

import json
import sys
import time
from functools import partial
from pathlib import Path

from .. import container, presets, registry
from ..autoencoder.srgb import SUFFIXES
from ..encoder import encode
from ..errors import SdcArgumentError, SdcError, SdcLimitError
from ..image import decode, relabeled, with_metadata
from ..image_sequence import join_images, load_all
from ..interruption import interruptible
from ..metadata import BY_DICTIONARY, PLAIN
from ..vae_identity import TAG
from ..viewer import build_page
from . import image_files, latent_files
from .outputs import PIPE, Outputs, UsageError, complain, for_each, printable, read_input, write_to

LATENT_KINDS = {"npy": latent_files.npy_bytes, "latent": latent_files.latent_bytes}
SECTION_NAMES = {
    **{tag: what for coder in registry.CODERS for tag, what in coder.sections.items()},
    container.SEQUENCE: "the images",
    TAG: "fingerprint of the VAE",
    PLAIN: "metadata",
    BY_DICTIONARY: "metadata, by a dictionary",
}
MAX_MEGAPIXELS = 50  # that are decoded unless told otherwise: a file from a stranger can be small and take minutes
MAX_SECONDS = 20  # of the processor that a thumbnail may take
VIEWER = "sdc_viewer.html"
SHOWN = 300  # letters of a text in the metadata


def info(options):
    def work(name):
        data = read_input(name)
        images = load_all(data)
        print(json.dumps(_record(name, data, images)) if options.json else _description(name, data, images))

    return for_each(options, [".sdc"], work, "read", talks=True)


def verify(options):
    def work(name):
        for _ in _each(_load(name, options), decode):
            pass

    return for_each(options, [".sdc"], work, "sound")


def strip(options):
    return _rewrite(options, "stripped", lambda image: with_metadata(image, None))


def relabel(options):
    return _rewrite(options, "relabeled", lambda image: relabeled(image, options.latent_format))


def extract(options):
    kind = options.format
    if kind is None:
        kind = options.output.suffix[1:].lower() if options.output else ""
        kind = kind if kind in LATENT_KINDS else "npy"

    def work(name):
        for number, latent in _each(_load(name, options), decode):
            outputs.write(outputs.target(name, f".{kind}", number), LATENT_KINDS[kind](latent))

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "extracted")


def join(options):
    images = []
    failed = for_each(options, [".sdc"], lambda name: images.extend(load_all(read_input(name))), "read")
    target = PIPE if str(options.output) == PIPE else options.output
    try:
        if failed:
            raise SdcArgumentError("not written, because not all files could be read")
        data = join_images(images)
        write_to(target, data, options.force)
    except (SdcError, OSError) as error:
        complain(str(options.output), error)
        return 1
    if target != PIPE:
        print(f"{target}: {len(images)} images, {len(data)} bytes, {_apart(images)} in files of their own")
    return 0


def split(options):
    def work(name):
        for number, image in _each(load_all(read_input(name)), lambda image: image):
            outputs.write_encoded(outputs.target(name, ".sdc", number), image)

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "split", talks=True)


def encode_images(options):
    kinds = SUFFIXES

    def work(name):
        data = read_input(name, limited=False)
        image, notes = image_files.encode_file(data, options.background, mask, encode_latent, options.effort)
        outputs.write_encoded(outputs.target(name, ".sdc"), image)
        for note in notes:
            print(f"{printable(name)}: {note}", file=sys.stderr)

    encode_latent = _encoder(options, {"mask": options.mask})
    if options.effort != presets.FAST and presets.PRESETS[options.preset].coder != "learned":
        raise UsageError(f"--effort {options.effort} is for --preset {presets.DEFAULT}, not for {options.preset}")
    mask = read_input(options.mask, limited=False) if options.mask else None
    outputs = Outputs(options, kinds)
    return for_each(options, kinds, work, "encoded", talks=True)


def decode_images(options):
    given = options.output.suffix if options.output and not options.output.is_dir() else ""
    suffix = given or ".png"

    def work(name):
        images = _load(name, options)
        for number, file in _each(images, lambda image: image_files.decode_to_file(image, suffix)):
            outputs.write(outputs.target(name, suffix, number), file)

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "decoded")


def thumbnail(options):
    """Of the first image alone, and in place where the output is there: services read the file that they opened."""
    given = options.output.suffix if options.output and not options.output.is_dir() else ""
    suffix = given or ".png"

    def check(_share):
        if time.process_time() > limit:
            raise SdcLimitError(f"it takes more than {MAX_SECONDS} seconds to decode")

    def work(name):
        with interruptible(check):
            file = image_files.thumbnail_file(read_input(name), options.size, suffix)
        outputs.write(outputs.target(name, f".thumbnail{suffix}"), file, in_place=True)

    limit = time.process_time() + MAX_SECONDS
    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "drawn")


def page(options):
    if not options.files:
        return _viewer(options)

    def work(name):
        data = read_input(name)
        load_all(data)
        outputs.write(outputs.target(name, ".html"), build_page("stdin.sdc" if name == PIPE else Path(name).name, data))

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "shown by pages")


def _viewer(options):
    target = options.output or Path(VIEWER)
    if str(target) == PIPE:
        target = PIPE
    elif target.is_dir():
        target /= VIEWER
    try:
        write_to(target, build_page(), options.force)
    except OSError as error:
        complain(str(target), error)
        return 1
    return 0


def pack(options):
    kinds = [".latent", ".npy"]

    def work(name):
        latents = latent_files.parse(read_input(name, limited=False))
        for number, latent in enumerate(latents, 1):
            about = {"latent_format": options.latent_format, "width": options.width, "height": options.height}
            (image,) = encode_latent([latent], **about)
            outputs.write_encoded(outputs.target(name, ".sdc", number if len(latents) > 1 else None), image)

    encode_latent = _encoder(options)
    outputs = Outputs(options, kinds)
    return for_each(options, kinds, work, "packed", talks=True)


def _encoder(options, more=None):
    """`encode` with the preset and the settings of the command line, and those in `more`, which it still lacks."""
    settings = {
        "bits_per_pixel": options.bpp,
        "max_bytes": options.bytes,
        "quality": options.quality,
        "colors": options.colors,
        "dither": options.dither,
        "dither_strength": options.dither_strength,
        "seed": options.seed,
        "precision": options.precision,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    needed = {name: value for name, value in (more or {}).items() if value is not None}
    try:
        latent_format = getattr(options, "latent_format", presets.DEFAULT_FORMAT)
        _, _, note = presets.settle(options.preset, latent_format, settings | needed)
    except SdcArgumentError as error:
        raise UsageError(str(error)) from None
    if note:
        print(note, file=sys.stderr)
    metadata = None if options.prompt is None else {"prompt": options.prompt}
    return partial(encode, preset=options.preset, metadata=metadata, **settings)


def _each(images, work):
    """(number, what `work` gives) of each image; the number is None where there is one alone."""
    for number, image in enumerate(images, 1):
        try:
            yield None if len(images) == 1 else number, work(image)
        except SdcError as error:
            if len(images) == 1:
                raise
            raise type(error)(f"image {number} of {len(images)}: {error}") from error


def _load(name, options):
    """The images in a file, if they are no larger than the command line allows."""
    data = read_input(name)
    try:
        return load_all(data, max_pixels=int(options.max_megapixels * 10**6))
    except SdcLimitError as error:
        raise SdcLimitError(f"{error} (by --max-megapixels)") from error


def _rewrite(options, done, change):
    """Write every file anew, with each of its images changed."""

    def work(name):
        images = [image for _, image in _each(load_all(read_input(name)), change)]
        outputs.write(outputs.target(name, Path(name).suffix), join_images(images))

    outputs = Outputs(options, [".sdc"])
    if options.output is None and not options.force and options.files != [PIPE]:
        raise UsageError(
            f"{options.command.__name__} changes the files themselves: give --force for that, or -o for another place"
        )
    return for_each(options, [".sdc"], work, done)


def _apart(images):
    return sum(image.num_bytes for image in images)


def _record(name, data, images):
    """Everything about a file, for JSON."""
    header, sections = container.parse(data, float("inf"))
    first, several = images[0], len(images) > 1
    area = len(images) * (header.frames or 1) * first.width * first.height
    record = {
        "file": name,
        "bytes": len(data),
        "bits_per_pixel": 8 * len(data) / area,
        "version": container.VERSION,
        "latent_format": first.latent_format,
        "channels": header.channels,
        **({} if header.frames is None else {"frames": header.frames}),
        "latent_height": header.latent_height,
        "latent_width": header.latent_width,
        "width": header.width,
        "height": header.height,
        "images": header.images,
        **({"coder": "image sequence"} if several else _coding(first)),
        "checksum": data[:-5:-1].hex(),
        "framing_bytes": len(data) - sum(map(len, sections.values())),
        "sections": [
            {"tag": tag, "bytes": len(payload), "bits_per_pixel": 8 * len(payload) / area}
            for tag, payload in sections.items()
        ],
    }
    about = [{"vae": image.vae and image.vae.hex(), "metadata": image.metadata} for image in images]
    if not several:
        return record | about[0]
    return record | {"each": [_coding(image) | each for image, each in zip(images, about, strict=True)]}


def _coding(image):
    return {"coder": image.coder, "coding": image.stored.describe(), **image.stored.details()}


def _description(name, data, images):
    """The same for people."""
    record = _record(printable(name), data, images)
    first, several = images[0], record.get("each")
    size = "{width} x {height} pixels, {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(record)
    if several:
        size = f"{len(images)} images of {size}; {_apart(images)} bytes in files of their own"
    coding = f"{len(images)} images" if several else _coding_words(record)
    lines = [
        f"{record['file']}: {size}",
        f"  version {record['version']}, {first.latent_format} latent {' x '.join(map(str, first.shape))}, {coding}, "
        f"checksum {record['checksum']}",
    ]
    for section in record["sections"]:
        called = SECTION_NAMES.get(section["tag"], "optional, unknown to this version")
        lines.append("  section {tag}: {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(section))
        lines[-1] += f" ({called})"
    lines.append("  framing: {framing_bytes} bytes".format_map(record))
    for number, about in enumerate(several or [], 1):
        lines.append(f"  image {number}: {_coding_words(about)}")
        if about["metadata"] is not images[0].metadata or number == 1:  # those of the whole file are one
            lines += [f"  {line}" for line in _metadata_lines(about["metadata"])]
    return "\n".join(lines if several else lines + _metadata_lines(images[0].metadata))


def _coding_words(about):
    weights = f", weights {about['weights']}" if "weights" in about else ""
    return f"{about['coding']}{weights} (coder {about['coder']})"


def _metadata_lines(metadata):
    lines = []
    for key, value in metadata.items():
        if isinstance(value, str):
            value = repr(value[:SHOWN]) + "..." * (len(value) > SHOWN)
        else:
            value = f"{type(value).__name__}, {len(json.dumps(value))} letters of JSON"
        lines.append(f"  metadata {printable(key)}: {value}")
    return lines
