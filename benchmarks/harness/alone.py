"""Times one codec in a process of its own: python alone.py NAME INPUT QUALITY, figures as JSON on standard output.

NAME is SDC, with a latent for INPUT (a .npy file), or a rival, with a picture. Nothing else is loaded, so that memory
is theirs alone and starts from a clean heap.
"""

import json
import sys
from functools import partial
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])  # the repository: its `nodes` here, for there is no ComfyUI

import numpy as np  # noqa: E402
from nodes.comparison import rivals  # noqa: E402

import codec  # noqa: E402
from benchmarks.harness import timing  # noqa: E402


def main(name: str, path: str, quality: str) -> dict:
    array = np.load(path)
    if name == "SDC":
        encode = partial(codec.encode, array, **codec.PAPER_PRESET)
        return timing.both_ways(encode, lambda made: codec.decode(codec.load(made.data)))
    return timing.both_ways(lambda: rivals.encode_rival(name, array, int(quality)), lambda made: made.pixels())


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
