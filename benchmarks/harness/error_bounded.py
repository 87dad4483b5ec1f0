"""Error-bounded compressors of arrays, measured in a Python of their own: `python error_bounded.py JOBS.json`.

They are no dependency of the project, so `benchmarks.archive` makes an environment with them and numpy alone. JOBS.json
is a list of [file.npy, step, times]; for each a line of JSON comes out, by name: bytes, the largest error, processor
seconds in and out, the least of so many times, and MB of memory that they took at most.
"""

import json
import sys
import time
from functools import partial

import numpy as np


def pcodec(values, step):
    from pcodec import ChunkConfig, standalone

    integers = np.rint(values / step).astype(np.int32).ravel()
    data = standalone.simple_compress(integers, ChunkConfig(compression_level=12))
    return len(data), lambda: (standalone.simple_decompress(data) * np.float32(step)).reshape(values.shape)


def sz3(values, step):
    from pysz import sz, szConfig, szErrorBoundMode

    config = szConfig()
    config.errorBoundMode, config.absErrorBound = szErrorBoundMode.ABS, step / 2
    data, _ = sz.compress(values, config)
    return data.size, lambda: sz.decompress(data, values.dtype, values.shape)[0]


def zfp(values, step, tolerance=None):
    import zfpy

    # It rounds its tolerance down to a power of two, and mostly stays far below that.
    data = zfpy.compress_numpy(values, tolerance=tolerance or zfp_tolerance(values, step))
    return len(data), lambda: zfpy.decompress_numpy(data)


def zfp_tolerance(values, step):
    import zfpy

    tolerance = step / 2
    while (
        np.abs(zfpy.decompress_numpy(zfpy.compress_numpy(values, tolerance=2 * tolerance)) - values).max() <= step / 2
    ):
        tolerance *= 2
    return tolerance


def quantize_zstd(values, step):
    from numcodecs import FixedScaleOffset, Zstd

    integers = FixedScaleOffset(0, 1 / step, values.dtype, np.int16)
    pack = Zstd(19)
    data = pack.encode(integers.encode(values))
    return len(data), lambda: integers.decode(pack.decode(data)).reshape(values.shape)


def measure(compress, values, times):
    """A dict of figures; `compress` gives the number of bytes, and what gives the values back."""
    found = {"in": float("inf"), "out": float("inf")}
    held = reset_memory()
    for _ in range(times):
        since = time.process_time()
        found["bytes"], restore = compress(values)
        between = time.process_time()
        restored = restore()
        ended = time.process_time()
        found["in"], found["out"] = min(found["in"], between - since), min(found["out"], ended - between)
    found["memory"] = (peak_memory() - held) / 1e6
    found["error"] = float(np.abs(restored - values).max())
    return found


def reset_memory():
    """Let the peak begin anew, and return what is held now: bytes, or 0 where Linux does not say."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return 0
    return peak_memory()


def peak_memory():
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    for path, step, times in json.load(open(sys.argv[1])):
        values = np.ascontiguousarray(np.load(path).squeeze(), np.float32)
        named = {"pcodec": pcodec, "SZ3": sz3, "numcodecs, zstd": quantize_zstd}
        named["zfp"] = partial(zfp, tolerance=zfp_tolerance(values, step))
        print(json.dumps({name: measure(partial(work, step=step), values, times) for name, work in named.items()}))


if __name__ == "__main__":
    main()
