"""The search for a baseline's file in a process of its own, which Cancel can end in the middle of an encoding."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable

import numpy as np

from . import baselines
from .baselines import BaselineError, BaselineImage, encode_baseline_to_size

LOOK = 0.2  # seconds between two calls of `check`
LARGE = 4 << 20  # pixels; what one quick encoding takes a second for
CHILD = """
import json, runpy, sys
path, name, height, width, max_bytes = sys.argv[1:]
baselines = runpy.run_path(path, run_name="baselines")
import numpy as np
pixels = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(int(height), int(width), 3)
baselines["missing"](name)  # which has Pillow know the format
try:
    best = baselines["encode_baseline_to_size"](name, pixels, int(max_bytes))
    about, data = {"quality": best.quality, "seconds": best.seconds, "fits": best.fits}, best.data
except baselines["BaselineError"] as error:
    about, data = {"error": str(error)}, b""
sys.stdout.buffer.write(json.dumps(about).encode() + b"\\n" + data)
"""


def search(name: str, pixels: np.ndarray, max_bytes: int, check: Callable[[], None]) -> BaselineImage:
    """As `encode_baseline_to_size`. `check` is called several times a second, and its exceptions end the work.

    What takes a moment only, a small JPEG or WebP, is not worth a process; there it is called before every encoding.
    """
    if name not in baselines.QUICK and pixels.shape[0] * pixels.shape[1] < LARGE:
        return encode_baseline_to_size(name, pixels, max_bytes, check)
    sizes = [str(number) for number in (*pixels.shape[:2], max_bytes)]
    # By a file, since `communicate` that has timed out once does not go on writing to a pipe.
    with tempfile.TemporaryFile() as given:
        given.write(np.ascontiguousarray(pixels).tobytes())
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, baselines.__file__, name, *sizes],
            stdin=given, stdout=subprocess.PIPE, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
        try:
            while True:
                check()
                try:
                    found, _ = process.communicate(timeout=LOOK)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.kill()
            process.communicate()
            raise
    head, _, data = found.partition(b"\n")
    if process.returncode or not head:
        raise BaselineError(f"{name} ended with exit code {process.returncode}")
    about = json.loads(head)
    if "error" in about:
        raise BaselineError(about["error"])
    return BaselineImage(name, data, about["quality"], about["seconds"], about["fits"])
