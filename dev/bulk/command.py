"""Images of a folder or bucket to .sdc files, or .sdc files to images, by all the cores and cards there are."""

import argparse
import sys
import time
from pathlib import Path

from sdc_pack.nodes.tiny.install import NAMES, fingerprint
from tqdm import tqdm

from .. import models
from ..environment import SetupError, say
from . import engine
from .jobs import KINDS, find_jobs
from .manifest import NAME, Manifest
from .places import Bucket, place
from .results import Files, Shards

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW = 30  # seconds between two lines of progress where nobody watches a terminal


def main(arguments: list[str], settings: dict) -> int:
    options = parse(arguments)
    try:
        return run(options, settings["comfyui"], models.prepare())
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130
    except OSError as error:
        raise SetupError(str(error)) from error


def parse(arguments: list[str]):
    parser = argparse.ArgumentParser(
        prog="run.py bulk", description=__doc__, allow_abbrev=False, epilog="docs/bulk.md says more."
    )
    parser.add_argument("command", choices=list(KINDS), help="images to .sdc, .sdc to .png, or that and cleaned up")
    parser.add_argument("input", metavar="INPUT", help="a folder with its subfolders, or s3://bucket/folder")
    parser.add_argument("output", metavar="OUTPUT", help="another one; nothing there is overwritten")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="default: the small models of the pack")
    parser.add_argument("--vae", type=Path, metavar="FILE", help="default: that of the checkpoint")
    parser.add_argument("--controlnet", type=Path, metavar="FILE", help="for regenerate, with --checkpoint")
    parser.add_argument("--preset", default="best", help="of SD Latent Quantize (default: best)")
    parser.add_argument("--bpp", type=float, metavar="X", help="most bits per pixel, with the preset best")
    parser.add_argument("--latent-format", default="auto", help="family of the VAE, where it does not show")
    parser.add_argument("--keep-prompts", action="store_true", help="prompt and settings out of ComfyUI's PNG files")
    parser.add_argument("--shards", type=int, default=0, metavar="N", help="Parquet files of N results each")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help=f"default: {NAME} in OUTPUT")
    parser.add_argument("--workers", type=int, metavar="N", help="default: one for each card, or else for each core")
    parser.add_argument("--cores", type=int, default=1, metavar="N", help="for each worker without a card (default: 1)")
    parser.add_argument("--address", help="of a Ray cluster: auto, or ray://host:10001 (default: this machine alone)")
    options = parser.parse_args(arguments)
    if options.command == "regenerate" and (options.checkpoint is None) != (options.controlnet is None):
        parser.error("--checkpoint and --controlnet go together: a ControlNet serves the models it was made for")
    for path in (options.checkpoint, options.vae, options.controlnet):
        if path is not None and not path.is_file():
            parser.error(f"there is no file {path}")
    if min(options.workers or 1, options.cores) < 1 or options.shards < 0:
        parser.error("--workers, --cores and --shards count from 1")
    return options


def run(options, comfyui: Path, models: Path) -> int:
    source, output = place(options.input), place(options.output)
    if str(source) == str(output):
        raise SetupError("INPUT and OUTPUT are the same. Choose another OUTPUT: results of two kinds would mix there.")
    names = source.names()
    if not any(name.lower().endswith(KINDS[options.command][0]) for name in names):
        raise SetupError(f"There is nothing to {options.command} in {source}.")
    if isinstance(output, Bucket) and not options.manifest:
        raise SetupError("A manifest grows line by line, and no file in a bucket can: say --manifest FILE.")
    chosen = {"source": str(source), **choices(options)}
    with Manifest(options.manifest or output.path / NAME, chosen) as manifest:
        results = Shards(output, manifest, options.shards) if options.shards else Files(output, manifest)
        jobs, refused, done = find_jobs(options.command, names, results.done())
        say(f"{len(jobs)} to do, {done} done already")
        for row in refused:
            manifest.add(row)
        failed = len(refused)
        if jobs:
            about = {
                **chosen, **model_files(options, models), "output": str(output), "comfyui": str(comfyui),
                "repository": str(REPOSITORY),
            }  # fmt: skip
            failed += work_through(options, jobs, about, results)
        say(f"{len(jobs) + len(refused) - failed} done, {failed} failed. {manifest.path} says which and why.")
    return 1 if failed else 0


def choices(options) -> dict:
    """What decides about a result, and so must not change before all are done."""
    chosen = {"command": options.command, "shards": bool(options.shards)}
    for name in ("checkpoint", "vae", "controlnet"):
        path = getattr(options, name)
        chosen[name] = str(path.resolve()) if path else None
    if not options.checkpoint:
        chosen["checkpoint"] = f"the small models, {fingerprint()}"
    if options.command == "compress":
        for name in ("preset", "bpp", "latent_format", "keep_prompts"):
            chosen[name] = getattr(options, name)
    return chosen


def model_files(options, models: Path) -> dict:
    if options.checkpoint:
        return {}
    return {
        "checkpoint": str(models / "checkpoints" / NAMES["checkpoint"]),
        "controlnet": str(models / "controlnet" / NAMES["controlnet"]),
    }


def work_through(options, jobs: list[dict], about: dict, results) -> int:
    """Have Ray do the jobs, keep what comes of each, and return how many have failed."""
    wanted = options.workers and options.workers * options.cores
    with engine.ray_running(options.address, wanted) as ray:
        workers, each = engine.share(ray.cluster_resources(), options.cores, options.workers)
        about = {**about, "cpu": engine.uses_processor(each), "cores": options.cores}
        failed, started, first = 0, time.monotonic(), None
        watched = sys.stderr.isatty()
        bar = tqdm(
            engine.lead(ray, options.address, REPOSITORY, jobs, about, workers, each), total=len(jobs),
            unit=" images", mininterval=0.5 if watched else SLOW, ascii=not watched,
        )  # fmt: skip
        try:
            for row in bar:
                first = first or time.monotonic()
                bad = bool(row["error"])
                failed += bad
                keys = ("name", "target", "seconds", "error") if bad else ("name", "target", "bytes", "bpp", "seconds")
                results.keep({key: row[key] for key in keys}, row.get("data", b""))
        finally:
            results.finish()
        ended = time.monotonic()
    if first and len(jobs) > 1:
        rate = (len(jobs) - 1) / (ended - first)
        say(f"{workers} workers, after {first - started:.0f} s of loading: {rate:.2f} images a second")
    return failed
