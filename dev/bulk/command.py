"""The command line of `python run.py bulk`, and the way of the jobs through Ray."""

import argparse
import os
import sys
import time
from pathlib import Path

from sdc_pack import codec
from sdc_pack.nodes.tiny.install import NAMES
from tqdm import tqdm

from dev import accelerator
from dev.environment import SetupError, say

from . import worker
from .files import KINDS, MANIFEST, Manifest, find_jobs

REPOSITORY = Path(__file__).resolve().parents[2]
STORE = 200 << 20  # bytes of shared memory; names travel through it, no pictures
PATIENCE = "300"  # seconds for Ray's processes to start, on a machine that has other work


def main(arguments: list[str], settings: dict, models: Path) -> int:
    options = parse(arguments)
    try:
        return run(options, settings, models)
    except (SetupError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on.", file=sys.stderr)
        return 130


def parse(arguments: list[str]):
    parser = argparse.ArgumentParser(prog="run.py bulk", description=__doc__, allow_abbrev=False)
    parser.add_argument("command", choices=list(KINDS), help="pictures to .sdc, .sdc to .png, or that and cleaned up")
    parser.add_argument("input", type=Path, metavar="INPUT", help="a folder; its subfolders count too")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="where results and the manifest go")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="default: the small models of the pack")
    parser.add_argument("--vae", type=Path, metavar="FILE", help="default: that of the checkpoint")
    parser.add_argument("--controlnet", type=Path, metavar="FILE", help="for regenerate, with --checkpoint")
    parser.add_argument("--preset", default="best", help="of SD Latent Quantize (default: best)")
    parser.add_argument("--bpp", type=float, metavar="X", help="bits per pixel with the preset best")
    parser.add_argument("--latent-format", default="SD1.x", help="family of the VAE (default: SD1.x)")
    parser.add_argument("--workers", type=int, metavar="N", help="default: one for each GPU, or for each core")
    parser.add_argument("--address", help="of a Ray cluster that is running, such as ray://host:10001 (default: here)")
    options = parser.parse_args(arguments)
    if options.command == "regenerate" and (options.checkpoint is None) != (options.controlnet is None):
        parser.error("--checkpoint and --controlnet go together: a ControlNet serves the models it was made for")
    for path in (options.checkpoint, options.vae, options.controlnet):
        if path is not None and not path.is_file():
            parser.error(f"there is no file {path}")
    return options


def run(options, settings: dict, models: Path) -> int:
    source, output = options.input.resolve(), options.output.resolve()
    if not source.is_dir():
        raise SetupError(f"There is no folder {options.input}")
    jobs, refused, done = find_jobs(options.command, source, output)
    say(f"{len(jobs)} to do, {done} done already")
    with Manifest(output) as manifest:
        for row in refused:
            manifest.add(row)
        # What a killed run has left half written would keep its name from being written.
        for folder in {Path(job["target"]).parent for job in jobs}:
            if folder.is_dir():
                codec.remove_strays(folder)
        failed = len(refused) + (work_through(options, jobs, settings, models, manifest) if jobs else 0)
    say(f"{len(jobs) + len(refused) - failed} done, {failed} failed; {output / MANIFEST} says which")
    return 1 if failed else 0


def work_through(options, jobs: list[dict], settings: dict, models: Path, manifest: Manifest) -> int:
    """Have Ray do the jobs, note each as it comes, and return how many have failed."""
    for name, value in (
        ("RAY_raylet_start_wait_time_s", PATIENCE),
        ("RAY_agent_register_timeout_ms", PATIENCE + "000"),
    ):
        os.environ.setdefault(name, value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    import ray
    import ray.data
    import torch

    cards = torch.cuda.device_count() if accelerator.kind() == "cuda" else 0
    workers = options.workers or cards or os.cpu_count() or 1
    if options.address:
        ray.init(address=options.address, log_to_driver=False)
    else:
        ray.init(
            num_cpus=workers + 1, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False,
            object_store_memory=STORE, logging_level="error",
        )  # fmt: skip
    try:
        ray.cloudpickle.register_pickle_by_value(worker)
        ray.data.DataContext.get_current().enable_progress_bars = False
        about = worker_settings(options, settings, models, not cards)
        results = ray.data.from_items(jobs, override_num_blocks=max(1, min(len(jobs), 4 * workers))).map_batches(
            worker.Worker, fn_constructor_args=(about,), batch_size=1, concurrency=workers,
            **({"num_gpus": 1} if cards else {"num_cpus": 1}),
        )  # fmt: skip
        failed, started = 0, time.monotonic()
        bar = tqdm(results.iter_rows(), total=len(jobs), unit="picture", disable=None)
        for row in bar:
            manifest.add({key: value for key, value in row.items() if value != ""})
            failed += bool(row["error"])
        say(f"{len(jobs) / (time.monotonic() - started):.2f} pictures a second with {workers} workers")
        return failed
    finally:
        ray.shutdown()


def worker_settings(options, settings: dict, models: Path, cpu: bool) -> dict:
    """What a worker is told. Files of models are named by their folders' names, as ComfyUI's loaders list them."""
    folders = [str(models)]
    given = {"checkpoint": options.checkpoint, "vae": options.vae, "controlnet": options.controlnet}
    names = {"checkpoint": NAMES["checkpoint"], "vae": None, "controlnet": NAMES["controlnet"]}
    return {
        "command": options.command, "preset": options.preset, "bpp": options.bpp, "cpu": cpu, "models": folders,
        "latent_format": options.latent_format, "comfyui": str(settings["comfyui"]), "repository": str(REPOSITORY),
        **{kind: str(path.resolve()) if path else names[kind] for kind, path in given.items()},
    }  # fmt: skip
