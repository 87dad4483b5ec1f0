"""`python run.py train`: trains the tiny models; with --install they take the place of those in `weights/`."""

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from sdc_pack.codec.autoencoder.tiny_vae import WEIGHTS

from dev.environment import SetupError, home_root, say

from . import coder, controlnet, data, dictionaries, encoder, loop, perception, previews, unet, vae

TRAININGS = {
    "coder": coder,
    "dictionaries": dictionaries,
    "vae": vae,
    "encoder": encoder,
    "previews": previews,
    "judge": perception,
    "unet": unet,
    "controlnet": controlnet,
}  # the last is taught by the others of `weights/`


def main(arguments: list[str], settings: dict) -> int:
    parser = argparse.ArgumentParser(prog="run.py train", description=__doc__, allow_abbrev=False)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{', '.join(TRAININGS)} (default: all)")
    parser.add_argument("--steps", type=int, metavar="N", help="fewer are faster and worse")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="where a run is kept, to go on later (default: in SDC_HOME)"
    )
    parser.add_argument(
        "--install", action="store_true", help="put what was trained into weights/, in the place of what is there"
    )
    parser.add_argument(
        "--latent-format",
        choices=coder.FORMATS,
        default="SD1.x",
        help="whose latents the learned codec is for (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if unknown := set(options.models) - set(TRAININGS):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(TRAININGS)}")
    if options.steps is not None and options.steps < 1:
        parser.error("--steps must be 1 or more")
    folder = options.folder or home_root() / "training"
    try:
        names = options.models or list(TRAININGS)
        if names != ["dictionaries"]:  # which learn from texts
            paths = sorted({*sum(data.photographs(settings["shared"]), [])})
            say(f"{len(paths)} photographs, SHA-256 {data.hash_of(paths)}; on {loop.device().type}.")
        for name in names:
            say(f"Training {name}; stop it at any time, the same command goes on.")
            only = {"latent_format": options.latent_format} if name == "coder" else {}
            trained = TRAININGS[name].train(settings["shared"], folder / f"{name}.pt", options.steps, **only)
            for file, content in TRAININGS[name].parts(trained).items():
                write((WEIGHTS if options.install else folder / "trained") / file, content)
        if not options.install:
            say(
                f"What was trained lies in {folder / 'trained'}; the same command with --install puts it into weights/."
            )
    except (SetupError, ValueError, FileNotFoundError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def write(path: Path, content: torch.nn.Module | bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    if not isinstance(content, bytes):
        content = save({name: value.half().contiguous().cpu() for name, value in content.state_dict().items()})
    part.write_bytes(content)
    part.replace(path)
    say(f"wrote {path.name}: {path.stat().st_size / 1e6:.1f} MB")
