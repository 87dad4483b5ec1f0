"""Seconds and memory of a call in this process; as a script, those of one codec in a process of its own.

`python timing.py NAME INPUT SETTINGS` prints figures as JSON. INPUT is a .npy file: for SDC it holds a latent, for a
baseline an image. SETTINGS are JSON. Nothing else is loaded, so that memory is theirs alone, from a clean heap.
"""

import gc
import importlib.util
import json
import math
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])  # the repository

from dev import memory

REPO = Path(__file__).parents[2]
REPEATED_BELOW = 2.0  # seconds; what takes longer is timed once


def best_of(calls: dict, repeats: int = 3) -> dict[str, float]:
    """Name -> the fewest seconds that each function took. They take turns, so that all see the same load."""
    seconds = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def peak_memory(call) -> int:
    """Bytes by which the process grew at most while the function ran.

    What fits into memory freed before is not seen, nor, where the system's mark cannot be reset, what stays below an
    earlier peak.
    """
    gc.collect()
    memory.reset_high_water()
    before = memory.high_water()
    call()
    return memory.high_water() - before


def both_ways(encode, decode) -> dict:
    """Seconds and memory of `encode()` and of `decode(its result)`, and that result's bytes, where they are known."""
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
    return {"bytes": getattr(made[0], "num_bytes", None), **figures}


def measure_codec(name: str, path: str, settings: str) -> dict:
    import numpy as np

    spec = importlib.util.spec_from_file_location(
        "sdc_pack", REPO / "__init__.py", submodule_search_locations=[str(REPO)]
    )
    sys.modules["sdc_pack"] = importlib.util.module_from_spec(spec)
    from sdc_pack import codec
    from sdc_pack.nodes.comparison import baselines

    array, chosen = np.load(path), json.loads(settings)
    if name == "SDC":
        return both_ways(
            lambda: codec.encode([array], **chosen)[0], lambda encoded: codec.decode(codec.load(encoded.data))
        )
    return both_ways(lambda: baselines.encode_baseline(name, array, **chosen), lambda encoded: encoded.pixels())


if __name__ == "__main__":
    print(json.dumps(measure_codec(*sys.argv[1:])))
