"""Coverage-guided fuzzing of the reader with atheris, which is no part of any environment here: pip install atheris

    python dev/fuzz_atheris.py CORPUS tests/fixtures -max_total_time=60 -rss_limit_mb=512 -timeout=1

New inputs go to CORPUS, a folder of yours; the arguments are libFuzzer's.
"""

import sys
from pathlib import Path

import atheris

sys.path[0] = str(Path(__file__).resolve().parents[1])

with atheris.instrument_imports(include=["codec"]):
    import codec

from dev.fuzz_inputs import fix_checksum  # noqa: E402

MAX_PIXELS = 1 << 20  # keeps every run short; dev/fuzz.py tries the largest


def read(data: bytes):
    # With a right checksum, or no input that it invents would get beyond that check.
    try:
        codec.decode(codec.load(fix_checksum(data), max_pixels=MAX_PIXELS))
    except codec.SdcError:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
