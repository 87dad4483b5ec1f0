"""Command line: look into `.sdc` files, and turn latents saved as .npy into them and back."""

import argparse
import sys
from pathlib import Path

import numpy as np

from . import DITHERS, LATENT_FORMATS, PAPER_PRESET, SdcArgumentError, SdcError, decode, encode, read


def main(arguments=None):
    """Run one command and return the exit status: 0, or 1 after a message on stderr."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (SdcError, OSError) as error:
        return _fail(error)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m codec", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("info", help="say what .sdc files hold")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.set_defaults(command=_info)

    command = commands.add_parser("encode", help="make a .sdc file from a (channels, height, width) latent")
    command.add_argument("latent", type=Path, metavar="LATENT.npy", help="latent in ComfyUI's unscaled convention")
    command.add_argument("output", type=Path, metavar="OUT.sdc")
    command.add_argument("--colours", type=int, default=PAPER_PRESET["colours"], help="palette entries, 2 to 4096")
    command.add_argument("--dither", choices=DITHERS, default=PAPER_PRESET["dither"])
    command.add_argument("--dither-strength", type=float, default=PAPER_PRESET["dither_strength"], help="0 to 1")
    command.add_argument("--seed", type=int, default=0, help="of the palette's random start")
    names = [latent_format.name for latent_format in LATENT_FORMATS]
    command.add_argument("--latent-format", choices=names, default=names[0])
    command.add_argument("--width", type=int, help="true width of the picture in pixels")
    command.add_argument("--height", type=int, help="true height of the picture in pixels")
    command.add_argument("--prompt", help="text to store in the metadata")
    command.set_defaults(command=_encode)
    _add_force(command)

    command = commands.add_parser("decode", help="write the latent in a .sdc file as float32 .npy")
    command.add_argument("file", type=Path, metavar="FILE.sdc")
    command.add_argument("output", type=Path, metavar="OUT.npy")
    command.set_defaults(command=_decode)
    _add_force(command)
    return parser


def _add_force(command):
    command.add_argument("--force", action="store_true", help="overwrite the output if it exists")


def _info(options):
    status = 0
    for path in options.files:
        try:
            picture = read(path.read_bytes())
        except (SdcError, OSError) as error:
            status = _fail(error if isinstance(error, OSError) else f"{path}: {error}")
            continue
        latent = f"{picture.channels} x {picture.latent_height} x {picture.latent_width}"
        print(
            f"{path}: {picture.width} x {picture.height} pixels, {picture.latent_format} latent {latent}, "
            f"{picture.colours} colours, {picture.coder} indices, {picture.size} bytes, "
            f"{picture.bits_per_pixel:.4f} bits per pixel"
        )
        # ASCII keeps control characters of a stranger's file away from the terminal.
        for key, value in picture.metadata.items():
            print(f"  {key!a}: {ascii(value) if isinstance(value, str) else type(value).__name__}")
    return status


def _encode(options):
    picture = encode(
        _load_array(options.latent),
        colours=options.colours,
        dither=options.dither,
        dither_strength=options.dither_strength,
        seed=options.seed,
        latent_format=options.latent_format,
        width=options.width,
        height=options.height,
        metadata=None if options.prompt is None else {"prompt": options.prompt},
    )
    with _open_output(options) as file:
        file.write(picture.data)
    print(f"{options.output}: {picture.size} bytes, {picture.bits_per_pixel:.4f} bits per pixel")
    return 0


def _decode(options):
    latent = decode(options.file.read_bytes())
    with _open_output(options) as file:
        np.save(file, latent, allow_pickle=False)
    return 0


def _load_array(path):
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SdcArgumentError(f"{path} is not a .npy array: {error}") from None
    if not isinstance(array, np.ndarray):
        raise SdcArgumentError(f"{path} is an archive of arrays; save the latent alone with numpy.save")
    return array


def _open_output(options):
    return options.output.open("wb" if options.force else "xb")


def _fail(message):
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
