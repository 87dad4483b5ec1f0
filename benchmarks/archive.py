"""The preset archive beside zfp, SZ3, pcodec and numcodecs: bytes at the same largest error, speed and memory.

Latents of the images by the tiny autoencoder of each latent format, and a Wan latent of 16 frames. The others run in an
environment of their own, which the bench makes.
"""

import json
import os
import subprocess
import tempfile
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
from sdc_pack import codec
from tqdm import tqdm

from dev import images
from dev.environment import bin_path, cache_root, uv

from .harness import comfy, error_bounded
from .harness.measurements import image_key
from .harness.tables import Table, mean, show

NEEDS_IMAGES = True
AUTOENCODERS = {"SD1.x": "taesd", "SDXL": "taesdxl", "SD3": "taesd3", "Flux": "taef1", "Flux2": "taef2"}
# numcodecs 0.16 cannot be imported beside zfpy 1.0.1.post0, whose version is not three numbers.
PACKAGES = ("numpy==2.4.6", "zfpy==1.0.1", "pysz==1.1.0", "pcodec==1.1.0", "numcodecs==0.16.6")
OURS, HALF = "SDC, archive", "float16"
OTHERS = ("pcodec", "SZ3", "zfp", "numcodecs, zstd")
LARGE = "16x256x256"  # of the latent that speed is measured on, in Flux's format


def add_arguments(parser):
    parser.add_argument(
        "--precision", type=float, metavar="N", help="of the preset (default: its own for each latent format)"
    )
    parser.add_argument("--times", type=int, default=5, metavar="N", help="runs for the speed (default: 5)")


def run(options, measurements) -> list[Table]:
    crops = images.load_crops(options.images, options.size)
    with tempfile.TemporaryDirectory() as folder:
        others = Others(Path(folder))
        for latent_format, name in AUTOENCODERS.items():
            autoencoder = comfy.Autoencoder(name)
            encoded = []
            for crop, pixels in tqdm(crops.items(), desc=latent_format, unit="image", disable=None):
                latent = autoencoder.encode(pixels)
                encoded.append(latent)
                key = {**image_key(crop, pixels), "label": latent_format, "precision": options.precision}
                work = partial(compare, latent, latent_format, options.precision, 1, others, autoencoder)
                measurements.get(key, work)
            if latent_format == "Flux":
                large = mosaic(encoded, 256)
        key = {"image": LARGE, "label": "speed", "precision": options.precision, "times": options.times}
        measurements.get(key, partial(compare, large, "Flux", options.precision, options.times, others))
        wan = load_wan(options.shared / "latents" / "wan_16x40x64.safetensors")
        key = {"image": "wan_16x40x64", "label": "Wan21, 16 frames", "precision": options.precision}
        measurements.get(key, partial(compare, wan, "Wan21", options.precision, 1, others))
    return report(measurements.rows)


class Others:
    """The other compressors."""

    def __init__(self, folder: Path):
        self.folder = folder
        uv(cache_root(), "venv", "--quiet", "--clear", folder / "env")
        self.python = bin_path(folder / "env", "python")
        uv(cache_root(), "pip", "install", "--quiet", "--python", self.python, *PACKAGES)

    def measure(self, latent: np.ndarray, step: float, times: int) -> dict:
        """Figures by name, as `error_bounded.measure` gives them."""
        np.save(self.folder / "latent.npy", latent)
        jobs = self.folder / "jobs.json"
        jobs.write_text(json.dumps([[str(self.folder / "latent.npy"), step, times]]))
        command = [self.python, error_bounded.__file__, jobs]
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
        return json.loads(found.stdout)


def compare(latent, latent_format, precision, times, others, autoencoder=None) -> dict:
    """Figures by name of a latent (C, H, W) or (C, T, H, W), and dB of the decoded image where there is a decoder."""
    (image,) = codec.encode([latent], "archive", precision=precision, latent_format=latent_format)
    step = float(image.stored.step)

    def ours(values):
        (image,) = codec.encode([values], "archive", precision=precision, latent_format=latent_format)
        return image.num_bytes, lambda: codec.decode(codec.load(image.data))

    found = {OURS: error_bounded.measure(ours, latent, times), **others.measure(latent, step, times)}
    found[OURS]["memory"] = allocated(ours, latent)
    found[HALF] = {"bytes": 2 * latent.size, "error": float(np.abs(latent.astype(np.float16) - latent).max())}
    for name in OTHERS:  # but for the last bit of a float
        assert found[name]["error"] <= step / 2 * (1 + 1e-4), name
    found["step"], found["size"] = step, latent.nbytes
    if autoencoder:
        before, after = (autoencoder.decode_exactly(each) for each in (latent, codec.decode(image)))
        found["dB"] = float(-10 * np.log10(np.square(before - after).mean()))
    return found


def allocated(work, latent) -> float:
    """MB that numpy holds at most on the way in and out; this process keeps too much of autoencoders to see it."""
    tracemalloc.start()
    work(latent)[1]()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def mosaic(latents: list[np.ndarray], side: int) -> np.ndarray:
    """One latent (C, side, side) of several, each used as often as needed."""
    height, width = latents[0].shape[1:]
    rows, columns = -(-side // height), -(-side // width)
    parts = [[latents[(row * columns + column) % len(latents)] for column in range(columns)] for row in range(rows)]
    return np.block(parts)[:, :side, :side]


def load_wan(path: Path) -> np.ndarray:
    from safetensors.torch import load_file

    return load_file(path)["latent_tensor"][0].float().numpy()


def report(rows: list[dict]) -> list[Table]:
    by_label: dict[str, list[dict]] = {}
    for row in rows:
        by_label.setdefault(row["key"]["label"], []).append(row["value"])
    (speed,) = by_label.pop("speed")
    names = (OURS, *OTHERS, HALF)
    lines = [
        [label, *(show(mean([value[name]["bytes"] for value in values]), ".0f") for name in names),
         show(mean([value.get("dB") for value in values]), ".1f")]
        for label, values in by_label.items()
    ]  # fmt: skip
    sizes = Table("Bytes of archive", ["latent format", *names, "dB"], lines)
    megabytes = speed["size"] / 1e6
    speeds = [
        [name, *(f"{megabytes / speed[name][way]:.0f}" for way in ("in", "out")), f"{speed[name]['memory']:.0f}"]
        for name in (OURS, *OTHERS)
    ]
    return [sizes, Table("Speed of archive", ["", "MB/s in", "MB/s out", "MB"], speeds)]
