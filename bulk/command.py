"""Images of a folder or bucket to .sdc files, or .sdc files to images, by all the cores and cards there are."""

import argparse
import os
import sys
import time
from pathlib import Path

from ..codec import DEFAULT_PRESET, PRESETS
from ..codec.presets import EFFORTS, FAST
from . import BulkError

PACK = Path(__file__).parents[1]
SLOW = 30  # seconds between two lines of progress where nobody watches a terminal
# Bytes, measured with the small models: of a worker by itself, and for each megapixel in tiles and as a whole.
WORKER, TILED, WHOLE = 1 << 30, 20 << 20, 600 << 20
# Regeneration cannot be tiled: its memory grows with the image.
MEGAPIXELS = {"compress": 50, "decompress": 50, "regenerate": 4}


def main(arguments: list[str], settings: dict | None = None) -> int:
    """`settings` has the "comfyui" that `run.py` has found."""
    try:
        return run(parse(arguments, settings or {}))
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("filelock", "pyarrow", "ray", "tqdm"):
            raise
        install = f'"{sys.executable}" -m pip install -r "{PACK / "bulk" / "requirements.txt"}"'
        print(f"\n{error.name} is not installed, which bulk work needs:\n{install}", file=sys.stderr)
    except (BulkError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
    return 1


def parse(arguments: list[str], settings: dict):
    from .jobs import KINDS

    parser = argparse.ArgumentParser(
        prog="bulk", description=__doc__, allow_abbrev=False, epilog="docs/bulk.md says more."
    )
    parser.add_argument("command", choices=list(KINDS), help="images to .sdc, .sdc to .png, or that and cleaned up")
    parser.add_argument("input", metavar="INPUT", help="a folder with its subfolders, or s3://bucket/folder")
    parser.add_argument("output", metavar="OUTPUT", help="another one; nothing there is overwritten")
    parser.add_argument("--comfyui", type=Path, metavar="PATH", help="default: the one that this pack lies in")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="default: the small models of the pack")
    parser.add_argument("--vae", type=Path, metavar="FILE", help="default: that of the checkpoint")
    parser.add_argument("--controlnet", type=Path, metavar="FILE", help="for regenerate, with --checkpoint")
    parser.add_argument("--preset", choices=list(PRESETS), default=DEFAULT_PRESET, help="default: %(default)s")
    parser.add_argument("--bpp", type=float, metavar="X", help="most bits per pixel, by the preset best")
    parser.add_argument(
        "--effort", choices=EFFORTS, default=FAST, help="with best, thorough looks closer (default: %(default)s)"
    )
    parser.add_argument("--latent-format", default="auto", help="of the VAE, where it does not show")
    parser.add_argument("--keep-prompts", action="store_true", help="prompt and settings out of ComfyUI's PNG files")
    parser.add_argument(
        "--max-megapixels", type=float, metavar="X", help="refuse larger images (default: 50; to regenerate 4)"
    )
    parser.add_argument("--shards", type=int, default=0, metavar="N", help="Parquet files of N results each")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="default: manifest.jsonl in OUTPUT")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="default: one for each card, or else core, as far as memory goes"
    )
    parser.add_argument("--cores", type=int, default=1, metavar="N", help="for each worker without a card (default: 1)")
    parser.add_argument("--address", help="of a Ray cluster, such as auto (default: this machine alone)")
    options = parser.parse_args(arguments)
    found = settings.get("comfyui") or os.environ.get("COMFYUI_PATH") or PACK.parents[1]
    options.comfyui = options.comfyui or found
    options.comfyui = Path(options.comfyui).resolve()
    if not (options.comfyui / "comfy").is_dir():
        parser.error(f"there is no ComfyUI in {options.comfyui}: say --comfyui PATH")
    if options.command == "regenerate" and (options.checkpoint is None) != (options.controlnet is None):
        parser.error("--checkpoint and --controlnet go together: a ControlNet serves the models it was made for")
    for path in (options.checkpoint, options.vae, options.controlnet):
        if path is not None and not path.is_file():
            parser.error(f"there is no file {path}")
    if min(options.workers or 1, options.cores) < 1 or options.shards < 0:
        parser.error("--workers, --cores and --shards count from 1")
    if options.max_megapixels is None:
        options.max_megapixels = MEGAPIXELS[options.command]
    if not options.max_megapixels > 0:
        parser.error("--max-megapixels must be above 0")
    return options


def run(options) -> int:
    from .jobs import KINDS, find_jobs
    from .manifest import NAME, Manifest
    from .places import Place
    from .results import Files, Shards

    source, output = Place(options.input), Place(options.output)
    if str(source) == str(output):
        raise BulkError("INPUT and OUTPUT are the same. Choose another OUTPUT: results of two kinds would mix there.")
    names = source.names()
    if not any(name.lower().endswith(KINDS[options.command][0]) for name in names):
        raise BulkError(f"There is nothing to {options.command} in {source}.")
    if not (output.local or options.manifest):
        raise BulkError("A manifest grows line by line, and no file in a bucket can: say --manifest FILE.")
    chosen = {"source": str(source), **choices(options)}
    with Manifest(options.manifest or Path(output.root, NAME), chosen) as manifest:
        results = Shards(output, manifest, options.shards) if options.shards else Files(output, manifest)
        jobs, refused, done = find_jobs(options.command, names, results.done())
        print(f"{len(jobs)} to do, {done} done already", flush=True)
        for row in refused:
            if manifest.rows.get(row["name"]) != row:
                manifest.add(row)
        failed = len(refused) + (work_through(options, jobs, {**chosen, "output": str(output)}, results) if jobs else 0)
        print(f"{len(jobs) + len(refused) - failed} done, {failed} failed. {manifest.path} says which and why.")
    return 1 if failed else 0


def choices(options) -> dict:
    """What decides about a result, and so must not change before all are done."""
    chosen = {"command": options.command, "shards": bool(options.shards)}
    for name in ("checkpoint", "vae", "controlnet"):
        path = getattr(options, name)
        chosen[name] = str(path.resolve()) if path else None
    if not options.checkpoint:
        from ..nodes.tiny.install import fingerprint

        chosen["small_models"] = fingerprint()
    if options.command == "compress":
        for name in ("preset", "bpp", "effort", "latent_format", "keep_prompts"):
            chosen[name] = getattr(options, name)
    return chosen


def work_through(options, jobs: list[dict], settings: dict, results) -> int:
    """Have Ray do the jobs, keep what comes of each, and return how many have failed."""
    from tqdm import tqdm

    from . import engine

    models = sum(path.stat().st_size for path in (options.checkpoint, options.vae, options.controlnet) if path)
    # One of 2 megapixels as a whole takes as much as one of 50 in tiles.
    image = WHOLE if options.command == "regenerate" else max(TILED, (1 << 30) / options.max_megapixels)
    need = WORKER + models + int(options.max_megapixels * image)
    # `ray job submit` says by this variable which cluster it is.
    address = options.address or os.environ.get("RAY_ADDRESS")
    with engine.ray_running(address, options.workers and options.workers * options.cores) as ray:
        machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
        workers, each = engine.share(machines, options.cores, options.workers, need)
        settings = {
            **settings, "cpu": not each.get("num_gpus"), "cores": options.cores, "comfyui": str(options.comfyui),
            "pack": str(PACK), "max_megapixels": options.max_megapixels,
        }  # fmt: skip
        failed, started, first = 0, time.monotonic(), None
        watched = sys.stderr.isatty()
        bar = tqdm(
            engine.work_through(jobs, settings, workers, each), total=len(jobs), unit=" images",
            mininterval=0.5 if watched else SLOW, ascii=not watched,
        )  # fmt: skip
        try:
            for row in bar:
                first = first or time.monotonic()
                bad = bool(row["error"])
                failed += bad
                keys = ["name", "target", "seconds", *(["error"] if bad else ["bytes", "bpp"])]
                keys += ["notes"] if row.get("notes") else []
                results.keep({key: row[key] for key in keys}, row.get("data", b""))
        finally:
            results.finish()
        ended = time.monotonic()
    if first and len(jobs) > 1:
        rate = (len(jobs) - 1) / (ended - first)
        print(f"{workers} workers, after {first - started:.0f} s of loading: {rate:.2f} images a second")
    return failed
