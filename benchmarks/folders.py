"""Many files: seconds and memory to open a folder of them, and how much of bulk work the codec takes.

The images given are taken over and over. Bulk work is a run of its own with one worker and one with two, by the small
autoencoder; its pace is what it prints, without what it takes to start.
"""

import re
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import torch
from PIL import Image
from sdc_pack import codec
from sdc_pack.codec.autoencoder import tiny_vae
from tqdm import tqdm

from dev import images
from dev.environment import SetupError

from .harness import comfy, timing
from .harness.tables import Table

NEEDS_IMAGES = True
REPO = Path(__file__).parents[1]
WORKERS = (1, 2)
PACE = re.compile(r"([0-9.]+) images a second")
MEGABYTE = 1e6
REPEATS = 3


def add_arguments(parser):
    parser.add_argument("--files", type=int, default=1000, metavar="N", help="in the folder (default: %(default)s)")
    parser.add_argument("--bulk", type=int, default=96, metavar="N", help="images in bulk (default: %(default)s)")


def run(options, measurements) -> list[Table]:
    crops = list(images.load_crops(options.images, options.size).values())
    key = {"size": options.size, "threads": torch.get_num_threads()}
    stored = [codec.encode([tiny_vae.encode_pixels(pixels)])[0] for pixels in tqdm(crops, unit="image", disable=None)]
    measurements.get({"what": "open", "files": options.files, **key}, lambda: measure_opening(stored, options.files))
    for workers in WORKERS:
        settings = {"what": "bulk", "images": options.bulk, "workers": workers, **key}
        measurements.get(settings, lambda workers=workers: measure_bulk(crops, options, workers))
    measurements.get({"what": "codec", **key}, lambda: {"seconds": seconds_of_codec(crops)})
    return report(measurements.rows)


def measure_opening(stored: list, count: int) -> dict:
    """Load SDC Folder, Load SDC for each file, and what reading and decoding take without a node."""
    import folder_paths
    from sdc_pack.nodes.load_sdc import SDCLoad
    from sdc_pack.nodes.load_sdc_folder import SDCLoadFolder

    folder = Path(folder_paths.get_output_directory(), "many")
    folder.mkdir()
    for number, image in enumerate(islice(cycle(stored), count)):
        (folder / f"{number:05}.sdc").write_bytes(image.data)

    def load_all():
        return comfy.call(SDCLoadFolder, folder="many", limit=count)

    def load_each():
        for number in range(count):
            SDCLoad.execute(f"many/{number:05}.sdc [output]")

    def without_node():
        return [codec.decode(codec.load(path.read_bytes())) for path in sorted(folder.iterdir())]

    calls = {"folder": load_all, "each": load_each, "alone": without_node}
    memory = timing.peak_memory(load_all)  # before the others, whose memory it could take over
    seconds = timing.best_of(calls, REPEATS)
    latents = sum(codec.decode(image).nbytes for image in islice(cycle(stored), count))
    return {**seconds, "folder_memory": memory, "latents": latents}


def measure_bulk(crops: list, options, workers: int) -> dict:
    with tempfile.TemporaryDirectory(prefix="sdc-bench-") as scratch:
        source, target = Path(scratch, "images"), Path(scratch, "files")
        source.mkdir()
        for number, pixels in enumerate(islice(cycle(crops), options.bulk)):
            Image.fromarray(pixels).save(source / f"{number:05}.png", compress_level=1)
        command = [sys.executable, REPO / "bulk", "compress", source, target, "--workers", workers]
        command = list(map(str, [*command, "--comfyui", options.comfyui]))
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not (pace := PACE.search(done.stdout)):
            raise SetupError(f"bulk ended with {done.returncode}:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    return {"pace": float(pace[1])}


def seconds_of_codec(crops: list) -> float:
    """For each image, from its latent to a file."""
    latents = [tiny_vae.encode_pixels(pixels) for pixels in crops]

    def encode():
        for latent in latents:
            codec.encode([latent])

    return timing.best_of({"codec": encode}, REPEATS)["codec"] / len(latents)


def report(rows: list[dict]) -> list[Table]:
    found = {row["key"]["what"]: (row["key"], row["value"]) for row in rows}
    key, value = found["open"]
    names = {"folder": "Load SDC Folder", "each": "Load SDC, file by file", "alone": "the codec alone, all kept"}
    opened = [[label, f"{value[name]:.2f}", f"{1e3 * value[name] / key['files']:.2f}"] for name, label in names.items()]
    pace = {row["key"]["workers"]: row["value"]["pace"] for row in rows if row["key"]["what"] == "bulk"}
    codec_seconds = found["codec"][1]["seconds"]
    bulk = [
        [str(workers), f"{each:.2f}", f"{each / pace[1]:.2f}", f"{100 * codec_seconds * each / workers:.1f} %"]
        for workers, each in pace.items()
    ]
    about = f"Images of {key['size']}x{key['size']}, preset best; each node with {key['threads']} threads of torch."
    memory = (
        f"Load SDC Folder takes {value['folder_memory'] / MEGABYTE:.0f} MB at its peak; "
        f"{value['latents'] / MEGABYTE:.0f} MB of that are the latents."
    )
    return [
        Table(f"{key['files']} files opened", ["", "s", "ms a file"], opened, [about, memory]),
        Table(
            "Bulk work", ["workers", "images a second", "times one worker", "codec's share of a worker"], bulk,
            [about, "Without what it takes to start. The codec's share: its seconds by itself, of those of an image."],
        ),
    ]  # fmt: skip
