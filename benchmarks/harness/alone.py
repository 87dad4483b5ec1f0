"""Times one codec in a process of its own: python alone.py NAME INPUT QUALITY, figures as JSON on standard output.

NAME is SDC, with a latent for INPUT (a .npy file), or a rival, with a picture. Nothing else is loaded, so that memory
is theirs alone and starts from a clean heap.
"""

import json
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])  # the repository: its `nodes` here, for there is no ComfyUI

import numpy as np  # noqa: E402
from nodes import rivals  # noqa: E402

import codec  # noqa: E402
from benchmarks.harness import timing  # noqa: E402


def main(name: str, path: str, quality: str) -> dict:
    array = np.load(path)
    if name == "SDC":
        return timing.both_ways(lambda: codec.encode(array, **codec.PAPER_PRESET), lambda made: codec.decode(made.data))
    return timing.both_ways(lambda: rivals.encode(name, array, int(quality)), lambda made: made.decode())


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
