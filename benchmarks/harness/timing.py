"""Seconds and memory of a call, in this process; as a script those of one codec, in a process of its own.

`python timing.py NAME INPUT QUALITY` prints figures as JSON. NAME is one of PRESETS, with a latent for INPUT (a .npy
file), or a baseline, with an image. Nothing else is loaded, so that memory is theirs alone, from a clean heap.
"""

import gc
import json
import math
import sys
import time
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])  # the repository

from dev import memory

PRESETS = PAPER, BY_QUALITY, BY_SIZE = "SDC", "SDC best by quality", "SDC best by size"
REPEATED_BELOW = 2.0  # seconds; what takes longer is timed once


def best_of(calls: dict, repeats: int = 3, clock=time.perf_counter) -> dict[str, float]:
    """Name -> the fewest seconds that each function took. They take turns, so that all see the same machine."""
    seconds = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name] = min(seconds[name], clock() - start)
    return seconds


def peak_memory(call) -> int:
    """Bytes by which the process grew at most while the function ran, whoever allocated them.

    Where the system's mark cannot be put back, what stays below an earlier peak is not seen. Nor is what finds room
    that was freed before.
    """
    gc.collect()
    memory.reset_high_water()
    before = memory.high_water()
    call()
    return memory.high_water() - before


def both_ways(encode, decode) -> dict:
    """Seconds and memory of `encode()` and of `decode(what encode made)`, and the bytes of that if it has a size."""
    made = []
    figures = {"encode_memory": peak_memory(lambda: made.append(encode()))}
    figures["decode_memory"] = peak_memory(lambda: decode(made[0]))
    for name, call in (("encode", encode), ("decode", lambda: decode(made[0]))):
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        if seconds < REPEATED_BELOW:
            seconds = min(seconds, best_of({name: call})[name])
        figures[f"{name}_seconds"] = seconds
    return {"bytes": getattr(made[0], "size", None), **figures}


def growth(pixels: list[int], seconds: list[float]) -> float:
    """The exponent p of seconds ~ pixels ** p, by least squares on logarithms. 1: twice the pixels, twice the time."""
    x, y = [math.log(value) for value in pixels], [math.log(value) for value in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def measure_codec(name: str, path: str, quality: str) -> dict:
    import numpy as np
    from nodes.comparison import baselines  # the pack's, for there is no ComfyUI

    import codec

    array = np.load(path)
    if name in PRESETS:
        encode = {
            PAPER: partial(codec.encode, [array], "paper"),
            BY_QUALITY: partial(codec.encode, [array], quality=int(quality)),
            BY_SIZE: partial(codec.encode, [array], max_bytes=int(quality)),
        }[name]
        return both_ways(lambda: encode()[0], lambda made: codec.decode(codec.load(made.data)))
    return both_ways(lambda: baselines.encode_baseline(name, array, int(quality)), lambda made: made.pixels())


if __name__ == "__main__":
    print(json.dumps(measure_codec(*sys.argv[1:])))
