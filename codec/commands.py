"""The commands of `python -m codec`."""

import json
import sys
from pathlib import Path

from . import container, latent_files, picture_files
from .encoder import encode
from .errors import SdcArgumentError, SdcError
from .files import read_file, write_file
from .picture import decode, read, with_metadata

LATENT_KINDS = {"npy": latent_files.to_npy, "latent": latent_files.to_latent}
SECTION_NAMES = {container.PALETTE: "palette", container.INDICES: "indices", container.METADATA: "metadata"}
PIPE = "-"
BAR = 30
SHOWN = 300  # letters of a text in the metadata


class UsageError(Exception):
    """The command line asks for something that cannot be done with any file."""


def info(options):
    def work(name):
        picture = read(_read_input(name))
        print(json.dumps(_record(name, picture)) if options.json else _description(name, picture))

    return _for_each(options, [".sdc"], work, "read", talks=True)


def verify(options):
    return _for_each(options, [".sdc"], lambda name: decode(_read_input(name)), "sound")


def strip(options):
    def work(name):
        outputs.write(outputs.target(name, Path(name).suffix), with_metadata(read(_read_input(name)), None).data)

    outputs = Outputs(options, [".sdc"])
    if options.output is None and not options.force and options.files != [PIPE]:
        raise UsageError("strip changes the files themselves: give --force for that, or -o for another place")
    return _for_each(options, [".sdc"], work, "stripped")


def extract(options):
    kind = options.format
    if kind is None:
        kind = options.output.suffix[1:].lower() if options.output else ""
        kind = kind if kind in LATENT_KINDS else "npy"

    def work(name):
        outputs.write(outputs.target(name, f".{kind}"), LATENT_KINDS[kind](decode(_read_input(name))))

    outputs = Outputs(options, [".sdc"])
    return _for_each(options, [".sdc"], work, "extracted")


def encode_pictures(options):
    kinds = picture_files.SUFFIXES

    def work(name):
        picture = picture_files.from_bytes(_read_input(name, limited=False), **settings)
        outputs.write_encoded(outputs.target(name, ".sdc"), picture)

    settings = _settings(options)
    outputs = Outputs(options, kinds)
    return _for_each(options, kinds, work, "encoded", talks=True)


def decode_pictures(options):
    suffix = options.output.suffix if options.output and options.output.suffix else ".png"

    def work(name):
        outputs.write(outputs.target(name, suffix), picture_files.to_bytes(read(_read_input(name)), suffix))

    outputs = Outputs(options, [".sdc"])
    return _for_each(options, [".sdc"], work, "decoded")


def pack(options):
    kinds = [".latent", ".npy"]

    def work(name):
        latents = latent_files.from_bytes(_read_input(name, limited=False))
        for number, latent in enumerate(latents, 1):
            picture = encode(
                latent,
                latent_format=options.latent_format,
                width=options.width,
                height=options.height,
                **settings,
            )
            outputs.write_encoded(outputs.target(name, ".sdc", number if len(latents) > 1 else None), picture)

    settings = _settings(options)
    outputs = Outputs(options, kinds)
    return _for_each(options, kinds, work, "packed", talks=True)


def _settings(options):
    """What encode() is told, as the command line has it."""
    return {
        "colours": options.colours,
        "dither": options.dither,
        "dither_strength": options.dither_strength,
        "seed": options.seed,
        "metadata": None if options.prompt is None else {"prompt": options.prompt},
    }


class Outputs:
    """Where results go, and that none of them takes the place of another file."""

    def __init__(self, options, kinds):
        self.output, self.force = options.output, options.force
        self.written = set()
        several = len(_expand(options.files, kinds)) > 1
        self.folder = self.output is not None and (several or self.output.is_dir())
        if several and str(self.output) == PIPE:
            raise UsageError("several files do not fit into one pipe; give -o a folder")

    def target(self, name, suffix, number=None):
        """Return the path for the result of the input `name`; `number` tells the pictures of a batch apart."""
        if str(self.output) == PIPE or (self.output is None and name == PIPE):
            if number is not None:
                raise SdcArgumentError("a batch makes several files, which do not fit into one pipe; give -o a folder")
            return PIPE
        source = Path("stdin" if name == PIPE else name)
        if self.folder:
            path = self.output / f"{source.stem}{suffix}"
        else:
            path = self.output or source.with_suffix(suffix)
        return path if number is None else path.with_name(f"{path.stem}_{number:05}{path.suffix}")

    def write(self, target, data):
        if target == PIPE:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        if target in self.written:
            raise SdcArgumentError(f"two inputs would be written to {target}")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, data, overwrite=self.force)
        self.written.add(target)

    def write_encoded(self, target, picture):
        self.write(target, picture.data)
        if target != PIPE:
            print(f"{target}: {picture.size} bytes, {picture.bits_per_pixel:.4f} bits per pixel")


def _for_each(options, kinds, work, done, talks=False):
    """Do `work` on every file, go on after those that fail, and return the exit status.

    `talks` says that it prints lines; a bar on the same terminal would get between them.
    """
    names = _expand(options.files, kinds)
    failed = 0
    bar = len(names) > 1 and sys.stderr.isatty() and not (talks and sys.stdout.isatty())
    clear = f"\r{'':<{BAR + 20}}\r" if bar else ""
    for count, name in enumerate(names):
        if bar:
            full = BAR * count // len(names)
            print(f"\r[{'#' * full}{'.' * (BAR - full)}] {count}/{len(names)}", end="", file=sys.stderr, flush=True)
        try:
            work(name)
        except BrokenPipeError:
            raise
        except (SdcError, OSError) as error:
            failed += 1
            print(f"{clear}error: {_shown(name)}: {_reason(error, name)}", file=sys.stderr)
    if len(names) != 1:
        print(f"{clear}{len(names)} files: {len(names) - failed} {done}, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


def _expand(names, kinds):
    """Put the files of a folder in the place of its name."""
    expanded = []
    for name in names:
        if name and name != PIPE and Path(name).is_dir():
            expanded += sorted(str(path) for path in Path(name).iterdir() if path.suffix.lower() in kinds)
        else:
            expanded.append(name)
    return expanded


def _read_input(name, limited=True):
    """The content of a file or of standard input: of a .sdc file no more than the format allows, a latent whole."""
    if name == PIPE:
        return read_file(sys.stdin.buffer) if limited else sys.stdin.buffer.read()
    return read_file(name) if limited else Path(name).read_bytes()


def _record(name, picture):
    """Everything about a file, for JSON."""
    header, sections = container.read(picture.data, float("inf"))
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
        "checksum": picture.data[:-5:-1].hex(),
        "framing_bytes": picture.size - sum(map(len, sections.values())),
        "sections": [
            {"tag": tag, "bytes": len(payload), "bits_per_pixel": _rate(payload, picture)}
            for tag, payload in sections.items()
        ],
        "metadata": picture.metadata,
    }


def _description(name, picture):
    """The same for people."""
    record = _record(_shown(name), picture)
    lines = [
        "{file}: {width} x {height} pixels, {bytes} bytes, {bits_per_pixel:.4f} bits per pixel".format_map(record),
        "  version {version}, {latent_format} latent {channels} x {latent_height} x {latent_width}, {colours} colours, "
        "{coder} indices, checksum {checksum}".format_map(record),
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
        lines.append(f"  metadata {_shown(key)}: {value}")
    return "\n".join(lines)


def _rate(payload, picture):
    return 8 * len(payload) / (picture.width * picture.height)


def _shown(text):
    """A name as it is, unless it holds what could drive a terminal."""
    text = str(text)
    return text if text.isprintable() else repr(text)


def _reason(error, name):
    """What an error says, without the number and the name that the line has already."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return error.strerror if error.filename in (None, name) else f"{error.strerror}: {_shown(error.filename)}"
