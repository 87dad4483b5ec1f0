"""What can be said on the command line."""

import argparse
from pathlib import Path

from ..autoencoder.srgb import WHITE
from ..latent_formats import LATENT_FORMATS, UNKNOWN
from ..palette import DITHERS
from ..presets import DEFAULT, EFFORTS, FAST, PRESETS
from . import commands, desktop

DESCRIPTION = """Turns images into .sdc files and back, looks into them, checks them, and does the same for latents.

A file named - is standard input or output, a folder stands for the files of the right kind in it. What is made of a
file of several images has numbers in its names.
"""
EXIT_CODES = """exit codes: 0 all went well; 1 at least one file could not be read or written; 2 the command line is
wrong; 130 interrupted. Results go to standard output, messages and the progress bar to standard error. No file is
overwritten without --force."""
MAX_SIDE = 1024  # pixels of a thumbnail
AUTOENCODER = "By the small autoencoder that comes with the codec, for SD 1.x; needs pillow, and is faster with torch."


def make_parser():
    parser = argparse.ArgumentParser(prog="python -m codec", description=DESCRIPTION, epilog=EXIT_CODES)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name, command, help, files, count="+"):
        subparser = subparsers.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        subparser.add_argument("files", nargs=count, metavar=files)
        subparser.set_defaults(command=command)
        return subparser

    command = add("info", commands.info, "say what .sdc files hold", "FILE.sdc")
    command.add_argument("--json", action="store_true", help="everything, as one line of JSON a file")
    command = add("encode", commands.encode_images, "make .sdc files of images", "IMAGE")
    command.epilog = AUTOENCODER
    _add_output(command, "beside the image")
    _add_encoding(command)
    command.add_argument(
        "--mask",
        type=Path,
        metavar="IMAGE",
        help="white areas keep more detail at the expense of the rest, with --preset best",
    )
    command.add_argument(
        "--effort",
        choices=EFFORTS,
        default=FAST,
        help="with --preset best, thorough: minutes for a photograph, closer to it by LPIPS in as many bytes; needs "
        "torch (default: %(default)s)",
    )
    command.add_argument(
        "--background", type=_color, default=WHITE, metavar="RRGGBB", help="behind transparent parts (default: white)"
    )
    command = add("decode", commands.decode_images, "make images of .sdc files", "FILE.sdc")
    command.epilog = AUTOENCODER + " Nothing is regenerated: that takes a model, in ComfyUI."
    _add_output(command, "a .png beside the file")
    _add_limit(command)
    command = add("thumbnail", commands.thumbnail, "make small images of .sdc files, quickly", "FILE.sdc")
    command.epilog = (
        "Shows the first image in a file. Needs pillow, and no torch. Refuses images above 4096x4096 and stops after "
        f"{commands.MAX_SECONDS} seconds."
    )
    command.add_argument(
        "--size", type=_side, default=256, metavar="N", help="most pixels of width and height (default: %(default)s)"
    )
    _add_output(command, "a .thumbnail.png beside the file")
    command = add("page", commands.page, "make web pages that show .sdc files in any browser", "FILE.sdc", "*")
    command.epilog = (
        "A page is one HTML file with all that it needs, the .sdc file too, and opens by a double click. Without "
        f"FILE.sdc it is a viewer for any file, {commands.VIEWER}."
    )
    _add_output(command, "a .html beside the file")
    command = subparsers.add_parser("desktop", help="show .sdc files in file managers, on Linux")
    command.description = (
        "Install what makes file managers on Linux know .sdc files and show thumbnails of them, for this user alone, "
        "or remove it again. docs/file-managers.md says which ones show them."
    )
    command.add_argument("action", choices=desktop.ACTIONS)
    command.set_defaults(command=desktop.run)
    _add_limit(add("verify", commands.verify, "decode .sdc files and name those that are damaged", "FILE.sdc"))
    command = add("strip", commands.strip, "remove the metadata of .sdc files", "FILE.sdc")
    _add_output(command, "the file itself, which needs --force")
    command = add("join", commands.join, "put images of one size into one .sdc file", "FILE.sdc")
    command.epilog = "What they have in common, a palette or metadata, is stored once. Every image stays as it is."
    command.add_argument("-o", "--output", type=Path, metavar="OUT.sdc", required=True, help="the one file")
    command.add_argument("--force", action="store_true", help="overwrite it")
    command = add("split", commands.split, "make a .sdc file of each image in .sdc files", "FILE.sdc")
    _add_output(command, "beside the file, with numbers")
    command = add("relabel", commands.relabel, "correct the latent format of wrongly labeled .sdc files", "FILE.sdc")
    command.epilog = "The latent stays as it is: this is for files saved as SD1.x that hold an SDXL latent, say."
    names = [latent_format.name for latent_format in (*LATENT_FORMATS, UNKNOWN)]
    command.add_argument("--latent-format", choices=names, required=True)
    _add_output(command, "the file itself, which needs --force")
    command = add("extract", commands.extract, "write the latents in .sdc files", "FILE.sdc")
    command.add_argument("--format", choices=commands.LATENT_KINDS, help="default: as -o ends, else npy")
    _add_output(command, "beside the file")
    _add_limit(command)
    command = add("pack", commands.pack, "make .sdc files from latents, one for each image of a batch", "FILE.latent")
    _add_output(command, "beside the file")
    command.epilog = (
        "Takes ComfyUI's .latent files, and .npy files of (channels, height, width) in the same unscaled convention; "
        "for video, of a batch of (channels, frames, height, width)."
    )
    _add_encoding(command)
    command.add_argument("--latent-format", choices=names, default=names[0])
    command.add_argument("--width", type=int, help="true width of the image in pixels")
    command.add_argument("--height", type=int, help="true height of the image in pixels")
    return parser


def _color(text):
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no color; give six hexadecimal digits such as ffffff") from None
    return red, green, blue


def _side(text):
    side = int(text)
    if not 1 <= side <= MAX_SIDE:
        raise argparse.ArgumentTypeError(f"{side} is not from 1 to {MAX_SIDE}")
    return side


def _add_encoding(command):
    command.add_argument("--preset", choices=PRESETS, default=DEFAULT, help="default: %(default)s")
    group = command.add_argument_group("with --preset best").add_mutually_exclusive_group()
    bits_per_pixel = PRESETS["best"].defaults["bits_per_pixel"]
    group.add_argument(
        "--bpp", type=float, metavar="X", help=f"most bits per pixel (default: {bits_per_pixel}, 3.1 kB for 512x512)"
    )
    group.add_argument("--bytes", type=int, metavar="N", help="most bytes of each file, instead")
    group.add_argument("--quality", type=float, metavar="Q", help="1, coarse, to 100, fine, whatever the size")
    group = command.add_argument_group("with --preset archive")
    group.add_argument(
        "--precision",
        type=float,
        metavar="N",
        help="no value is off by more than the standard deviation of the latent divided by 2 N, 1 to 4096 "
        "(default: 80 for SDXL, 16 for Flux2, 32 for the others)",
    )
    group = command.add_argument_group("with --preset custom")
    custom = PRESETS["custom"].defaults
    group.add_argument("--colors", type=int, help=f"palette entries, 2 to 4096 (default: {custom['colors']})")
    group.add_argument("--dither", choices=DITHERS, help=f"default: {custom['dither']}")
    group.add_argument("--dither-strength", type=float, help=f"0 to 1 (default: {custom['dither_strength']:g})")
    command.add_argument("--seed", type=int, help="of a palette's random start (default: 0)")
    command.add_argument("--prompt", help="text to store in the metadata")


def _add_limit(command):
    command.add_argument(
        "--max-megapixels",
        type=float,
        default=commands.MAX_MEGAPIXELS,
        metavar="X",
        help="refuse larger images, and more in all images of a file together, before they are decoded, which takes "
        "about half a second a megapixel (default: %(default)s)",
    )


def _add_output(command, default):
    command.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"file, or folder when there are several (default: {default})"
    )
    command.add_argument("--force", action="store_true", help="overwrite files")
