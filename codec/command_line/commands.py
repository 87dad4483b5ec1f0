"""The commands of `python -m codec`."""

import json
import sys
from functools import partial
from pathlib import Path

from .. import container
from ..album import join_pictures, load_all
from ..encoder import encode, encode_learned
from ..errors import SdcArgumentError, SdcError
from ..metadata import BY_DICTIONARY, PLAIN
from ..picture import decode, relabelled, with_metadata
from ..vae_identity import TAG
from . import latent_files, picture_files
from .outputs import PIPE, Outputs, UsageError, complain, for_each, printable, read_input, write_to

LATENT_KINDS = {"npy": latent_files.npy_bytes, "latent": latent_files.latent_bytes}
SECTION_NAMES = {
    container.PALETTE: "palette",
    container.INDICES: "indices",
    container.LEARNED: "what the learned coder has coded",
    container.ALBUM: "the pictures",
    TAG: "fingerprint of the VAE",
    PLAIN: "metadata",
    BY_DICTIONARY: "metadata, by a dictionary",
}
SHOWN = 300  # letters of a text in the metadata


def info(options):
    def work(name):
        data = read_input(name)
        pictures = load_all(data)
        print(json.dumps(_record(name, data, pictures)) if options.json else _description(name, data, pictures))

    return for_each(options, [".sdc"], work, "read", talks=True)


def verify(options):
    def work(name):
        for _ in _each(load_all(read_input(name)), decode):
            pass

    return for_each(options, [".sdc"], work, "sound")


def strip(options):
    return _rewrite(options, "stripped", lambda picture: with_metadata(picture, None))


def relabel(options):
    return _rewrite(options, "relabelled", lambda picture: relabelled(picture, options.latent_format))


def extract(options):
    kind = options.format
    if kind is None:
        kind = options.output.suffix[1:].lower() if options.output else ""
        kind = kind if kind in LATENT_KINDS else "npy"

    def work(name):
        for number, latent in _each(load_all(read_input(name)), decode):
            outputs.write(outputs.target(name, f".{kind}", number), LATENT_KINDS[kind](latent))

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "extracted")


def join(options):
    pictures = []
    failed = for_each(options, [".sdc"], lambda name: pictures.extend(load_all(read_input(name))), "read")
    target = PIPE if str(options.output) == PIPE else options.output
    try:
        if failed:
            raise SdcArgumentError("not written, because not all files could be read")
        data = join_pictures(pictures)
        write_to(target, data, options.force)
    except (SdcError, OSError) as error:
        complain(str(options.output), error)
        return 1
    if target != PIPE:
        print(f"{target}: {len(pictures)} pictures, {len(data)} bytes, {_apart(pictures)} in files of their own")
    return 0


def split(options):
    def work(name):
        for number, picture in _each(load_all(read_input(name)), lambda picture: picture):
            outputs.write_encoded(outputs.target(name, ".sdc", number), picture)

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "split", talks=True)


def encode_pictures(options):
    kinds = picture_files.SUFFIXES

    def work(name):
        data = read_input(name, limited=False)
        picture, notes = picture_files.encode_file(data, options.background, mask, encode_latent)
        outputs.write_encoded(outputs.target(name, ".sdc"), picture)
        for note in notes:
            print(f"{printable(name)}: {note}", file=sys.stderr)

    encode_latent = _encoder(options)
    if options.mask and encode_latent.func is not encode_learned:
        raise UsageError("--mask goes with --bytes, --bpp or --quality: a palette is the same everywhere")
    mask = read_input(options.mask, limited=False) if options.mask else None
    outputs = Outputs(options, kinds)
    return for_each(options, kinds, work, "encoded", talks=True)


def decode_pictures(options):
    given = options.output.suffix if options.output and not options.output.is_dir() else ""
    suffix = given or ".png"

    def work(name):
        pictures = load_all(read_input(name))
        for number, file in _each(pictures, lambda picture: picture_files.decode_to_file(picture, suffix)):
            outputs.write(outputs.target(name, suffix, number), file)

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "decoded")


def pack(options):
    kinds = [".latent", ".npy"]

    def work(name):
        latents = latent_files.parse(read_input(name, limited=False))
        for number, latent in enumerate(latents, 1):
            about = {"latent_format": options.latent_format, "width": options.width, "height": options.height}
            picture = encode_latent(latent, **about)
            outputs.write_encoded(outputs.target(name, ".sdc", number if len(latents) > 1 else None), picture)

    encode_latent = _encoder(options)
    outputs = Outputs(options, kinds)
    return for_each(options, kinds, work, "packed", talks=True)


def _encoder(options):
    """The coder that the command line asks for, with its settings: a function as `encode` and `encode_learned`."""
    metadata = None if options.prompt is None else {"prompt": options.prompt}
    if options.quality is not None:
        return partial(encode_learned, quality=options.quality, metadata=metadata)
    if options.bytes is not None:
        return partial(encode_learned, size=options.bytes, metadata=metadata)
    if options.bpp is not None:
        return partial(encode_learned, bits_per_pixel=options.bpp, metadata=metadata)
    return partial(
        encode,
        colours=options.colours,
        dither=options.dither,
        dither_strength=options.dither_strength,
        seed=options.seed,
        metadata=metadata,
    )


def _each(pictures, work):
    """(number, what `work` gives) of each picture; the number is None where there is one alone."""
    for number, picture in enumerate(pictures, 1):
        try:
            yield None if len(pictures) == 1 else number, work(picture)
        except SdcError as error:
            if len(pictures) == 1:
                raise
            raise type(error)(f"picture {number} of {len(pictures)}: {error}") from error


def _rewrite(options, done, change):
    """Write every file anew, with each of its pictures changed."""

    def work(name):
        pictures = [picture for _, picture in _each(load_all(read_input(name)), change)]
        outputs.write(outputs.target(name, Path(name).suffix), join_pictures(pictures))

    outputs = Outputs(options, [".sdc"])
    if options.output is None and not options.force and options.files != [PIPE]:
        raise UsageError(
            f"{options.command.__name__} changes the files themselves: give --force for that, or -o for another place"
        )
    return for_each(options, [".sdc"], work, done)


def _apart(pictures):
    return sum(picture.size for picture in pictures)


def _record(name, data, pictures):
    """Everything about a file, for JSON."""
    header, sections = container.split(data, float("inf"))
    first, several = pictures[0], len(pictures) > 1
    area = len(pictures) * first.width * first.height
    record = {
        "file": name,
        "bytes": len(data),
        "bits_per_pixel": 8 * len(data) / area,
        "version": container.VERSION,
        "latent_format": first.latent_format,
        "channels": header.channels,
        "latent_height": header.latent_height,
        "latent_width": header.latent_width,
        "width": header.width,
        "height": header.height,
        "pictures": header.pictures,
        **({"coder": "several"} if several else _coding(first)),
        "checksum": data[:-5:-1].hex(),
        "framing_bytes": len(data) - sum(map(len, sections.values())),
        "sections": [
            {"tag": tag, "bytes": len(payload), "bits_per_pixel": 8 * len(payload) / area}
            for tag, payload in sections.items()
        ],
    }
    about = [{"vae": picture.vae and picture.vae.hex(), "metadata": picture.metadata} for picture in pictures]
    if not several:
        return record | about[0]
    return record | {"each": [_coding(picture) | each for picture, each in zip(pictures, about, strict=True)]}


def _coding(picture):
    return {
        "coder": picture.coder,
        "colours": picture.colours,
        "coding": picture.quantised.summary,
        "weights": picture.quantised.weights.hex() if picture.coder == "learned" else None,
    }


def _description(name, data, pictures):
    """The same for people."""
    record = _record(printable(name), data, pictures)
    several = record.get("each")
    size = "{width} x {height} pixels, {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(record)
    if several:
        size = f"{len(pictures)} pictures of {size}; {_apart(pictures)} bytes in files of their own"
    coding = f"{len(pictures)} pictures" if several else _coding_words(record)
    lines = [
        f"{record['file']}: {size}",
        "  version {version}, {latent_format} latent {channels} x {latent_height} x {latent_width}, ".format_map(record)
        + f"{coding}, checksum {record['checksum']}",
    ]
    for section in record["sections"]:
        called = SECTION_NAMES.get(section["tag"], "optional, unknown to this version")
        lines.append("  section {tag}: {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(section))
        lines[-1] += f" ({called})"
    lines.append("  framing: {framing_bytes} bytes".format_map(record))
    for number, about in enumerate(several or [], 1):
        lines.append(f"  picture {number}: {_coding_words(about)}")
        if about["metadata"] is not pictures[0].metadata or number == 1:  # those of the whole file are one
            lines += [f"  {line}" for line in _metadata_lines(about["metadata"])]
    return "\n".join(lines if several else lines + _metadata_lines(pictures[0].metadata))


def _coding_words(about):
    return about["coding"] + (f" · weights {about['weights']}" if about["weights"] else "")


def _metadata_lines(metadata):
    lines = []
    for key, value in metadata.items():
        if isinstance(value, str):
            value = repr(value[:SHOWN]) + "..." * (len(value) > SHOWN)
        else:
            value = f"{type(value).__name__}, {len(json.dumps(value))} letters of JSON"
        lines.append(f"  metadata {printable(key)}: {value}")
    return lines
