"""The commands of `python -m codec`."""

import json
import sys
from functools import partial
from pathlib import Path

from .. import container
from ..encoder import encode, encode_learned
from ..metadata import BY_DICTIONARY, PLAIN
from ..picture import decode, load, relabelled, with_metadata
from ..vae_identity import TAG
from . import latent_files, picture_files
from .outputs import PIPE, Outputs, UsageError, for_each, printable, read_input

LATENT_KINDS = {"npy": latent_files.npy_bytes, "latent": latent_files.latent_bytes}
SECTION_NAMES = {
    container.PALETTE: "palette",
    container.INDICES: "indices",
    container.LEARNED: "what the learned coder has coded",
    TAG: "fingerprint of the VAE",
    PLAIN: "metadata",
    BY_DICTIONARY: "metadata, by a dictionary",
}
SHOWN = 300  # letters of a text in the metadata


def info(options):
    def work(name):
        picture = load(read_input(name))
        print(json.dumps(_record(name, picture)) if options.json else _description(name, picture))

    return for_each(options, [".sdc"], work, "read", talks=True)


def verify(options):
    return for_each(options, [".sdc"], lambda name: decode(load(read_input(name))), "sound")


def strip(options):
    def work(name):
        outputs.write(outputs.target(name, Path(name).suffix), with_metadata(load(read_input(name)), None).data)

    outputs = Outputs(options, [".sdc"])
    if options.output is None and not options.force and options.files != [PIPE]:
        raise UsageError("strip changes the files themselves: give --force for that, or -o for another place")
    return for_each(options, [".sdc"], work, "stripped")


def relabel(options):
    def work(name):
        changed = relabelled(load(read_input(name)), options.latent_format)
        outputs.write(outputs.target(name, Path(name).suffix), changed.data)

    outputs = Outputs(options, [".sdc"])
    if options.output is None and not options.force and options.files != [PIPE]:
        raise UsageError("relabel changes the files themselves: give --force for that, or -o for another place")
    return for_each(options, [".sdc"], work, "relabelled")


def extract(options):
    kind = options.format
    if kind is None:
        kind = options.output.suffix[1:].lower() if options.output else ""
        kind = kind if kind in LATENT_KINDS else "npy"

    def work(name):
        outputs.write(outputs.target(name, f".{kind}"), LATENT_KINDS[kind](decode(load(read_input(name)))))

    outputs = Outputs(options, [".sdc"])
    return for_each(options, [".sdc"], work, "extracted")


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
        outputs.write(outputs.target(name, suffix), picture_files.decode_to_file(load(read_input(name)), suffix))

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


def _record(name, picture):
    """Everything about a file, for JSON."""
    header, sections = container.split(picture.data, float("inf"))
    return {
        "file": name,
        "bytes": picture.size,
        "bits_per_pixel": picture.bits_per_pixel,
        "version": container.VERSION,
        "latent_format": picture.latent_format,
        "channels": header.channels,
        "latent_height": header.latent_height,
        "latent_width": header.latent_width,
        "width": header.width,
        "height": header.height,
        "pictures": header.pictures,
        "coder": picture.coder,
        "colours": picture.colours,
        "coding": picture.quantised.summary,
        "weights": picture.quantised.weights.hex() if picture.coder == "learned" else None,
        "checksum": picture.data[:-5:-1].hex(),
        "framing_bytes": picture.size - sum(map(len, sections.values())),
        "sections": [
            {"tag": tag, "bytes": len(payload), "bits_per_pixel": _rate(payload, picture)}
            for tag, payload in sections.items()
        ],
        "vae": picture.vae and picture.vae.hex(),
        "metadata": picture.metadata,
    }


def _description(name, picture):
    """The same for people."""
    record = _record(printable(name), picture)
    if record["weights"]:
        record["coding"] += " · weights {weights}".format_map(record)
    lines = [
        "{file}: {width} x {height} pixels, {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(record),
        "  version {version}, {latent_format} latent {channels} x {latent_height} x {latent_width}, {coding}, "
        "checksum {checksum}".format_map(record),
    ]
    for section in record["sections"]:
        called = SECTION_NAMES.get(section["tag"], "optional, unknown to this version")
        lines.append("  section {tag}: {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(section))
        lines[-1] += f" ({called})"
    lines.append("  framing: {framing_bytes} bytes".format_map(record))
    for key, value in picture.metadata.items():
        if isinstance(value, str):
            value = repr(value[:SHOWN]) + "..." * (len(value) > SHOWN)
        else:
            value = f"{type(value).__name__}, {len(json.dumps(value))} letters of JSON"
        lines.append(f"  metadata {printable(key)}: {value}")
    return "\n".join(lines)


def _rate(payload, picture):
    return 8 * len(payload) / (picture.width * picture.height)
