"""Damages .sdc files in every way that comes to mind and reads them: `python run.py fuzz --seconds 30`.

A finding is anything but a picture or an SdcError; more than a second of processor time; or more than 64 MB of memory
beyond the latent, by the high-water mark that Linux keeps for the process. Case N of a seed is always the same input.
Needs numpy and zstandard alone.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import json
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not dev/: its module names are nobody else's business

import codec  # noqa: E402
from dev import memory  # noqa: E402
from dev.fuzz_inputs import Inputs  # noqa: E402

BATCH = 256
MEGABYTES_ALLOWED = 64
STUCK = 120  # seconds after which a batch that does not end is killed, with a traceback
M_MMAP_THRESHOLD = -3
FINDINGS = ROOT / "out" / "fuzz"


class HighWater:
    """Memory beyond what this process holds at the start; known on Linux alone, where the mark can be put back."""

    def __init__(self):
        self.trim = lambda _: None
        with contextlib.suppress(OSError, AttributeError, TypeError):
            # glibc keeps freed memory for later, which would hide what a case takes.
            libc = ctypes.CDLL(None)
            libc.mallopt(M_MMAP_THRESHOLD, 1 << 20)
            self.trim = libc.malloc_trim
        self.reset()
        self.baseline = memory.high_water() if self.available else 0

    def reset(self):
        self.trim(0)
        self.available = memory.reset_high_water()

    def beyond_baseline(self) -> int:
        """Bytes since the start: an upper bound for any one case, because what is kept between cases counts too."""
        return memory.high_water() - self.baseline if self.available else 0


class Fuzzer:
    def __init__(self, seed: int, seconds_allowed: float):
        self.seed, self.seconds_allowed = seed, seconds_allowed
        self.inputs = Inputs(sorted((ROOT / "tests" / "fixtures").glob("*.sdc")))
        self.outcomes, self.cases, self.crashes, self.hangs, self.slowest = Counter(), 0, 0, 0, 0.0
        self.worst_memory, self.worst_case = 0, None
        self.high_water = HighWater()

    def batch(self, first: int):
        faulthandler.dump_traceback_later(STUCK, exit=True)
        self.high_water.reset()
        for case in range(first, first + BATCH):
            self.one(case)
        self.cases += BATCH
        # Reading the mark takes as long as a case, so whole batches are measured, and only one that may hold a new
        # worst case is run again to see which that is.
        if self.high_water.beyond_baseline() > self.worst_memory:
            for case in range(first, first + BATCH):
                self.measure(case)
        faulthandler.cancel_dump_traceback_later()

    def one(self, case: int):
        data = self.inputs.make(self.seed, case)
        started = time.thread_time()
        try:
            outcome, _ = read(data, rewrite=case % 64 == 0 and len(data) < 1 << 16)
        except Exception:
            outcome = "crash"
            self.crashes += 1
            self.report(case, data, traceback.format_exc())
        seconds = time.thread_time() - started
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, seconds)
        if seconds > self.seconds_allowed:
            self.hangs += 1
            self.report(case, data, f"took {seconds:.2f} s of processor time")

    def measure(self, case: int):
        data = self.inputs.make(self.seed, case)
        self.high_water.reset()
        try:
            _, latent_size = read(data, rewrite=False)
        except Exception:  # reported already
            return
        beyond = self.high_water.beyond_baseline() - latent_size
        if beyond > self.worst_memory:
            self.worst_memory, self.worst_case = beyond, case
            if beyond > MEGABYTES_ALLOWED << 20:
                self.report(case, data, f"took {beyond / 2**20:.1f} MB beyond the latent")

    def report(self, case: int, data: bytes, what: str):
        FINDINGS.mkdir(parents=True, exist_ok=True)
        path = FINDINGS / f"seed{self.seed}-case{case}.sdc"
        path.write_bytes(data)
        print(f"case {case} of seed {self.seed}, kept in {path.relative_to(ROOT)}: {what}", file=sys.stderr, flush=True)

    def memory_exceeded(self) -> bool:
        return self.worst_memory > MEGABYTES_ALLOWED << 20

    def summary(self, seconds: float) -> str:
        worst = f"{self.worst_memory / 2**20:.1f} MB beyond the latent, case {self.worst_case}"
        worst = worst if self.high_water.available else "measured on Linux only"
        return "\n".join([
            f"cases         {self.cases} in {seconds:.0f} s, {self.cases / seconds:.0f} a second, seed {self.seed}",
            *(f"  {name:<20}{count}" for name, count in sorted(self.outcomes.items())),
            f"crashes       {self.crashes}",
            f"hangs         {self.hangs} (slowest {self.slowest:.2f} s; {self.seconds_allowed:g} s allowed)",
            f"worst memory  {worst} ({MEGABYTES_ALLOWED} MB allowed)",
        ])  # fmt: skip


def read(data: bytes, rewrite: bool) -> tuple[str, int]:
    """Read and decode; return what came of it and the size of the latent."""
    try:
        picture = codec.load(data)
    except codec.SdcError as error:
        return type(error).__name__, 0
    latent = codec.decode(picture)
    if latent.shape != (picture.channels, picture.latent_height, picture.latent_width):
        raise AssertionError(f"the latent has shape {latent.shape}, {picture} another one")
    if rewrite:
        check_rewriting(picture)
    return "read", latent.nbytes


def check_rewriting(picture):
    """What can be read can be written, unless its numbers are longer in our spelling: 1e9 is 1000000000.0."""
    try:
        again = codec.with_metadata(picture, picture.metadata)
    except codec.SdcArgumentError:
        text = json.dumps(picture.metadata, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) > codec.metadata.MAX_BYTES:
            return
        raise
    if again.metadata != picture.metadata:
        raise AssertionError("the metadata changed when they were written again")


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, help="stop after so many (default: 60, or no limit with --cases)")
    parser.add_argument("--cases", type=int, help="stop after so many, rounded up to whole batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, metavar="CASE", help="begin there, to see a case again")
    parser.add_argument("--hang", type=float, default=1, metavar="SECONDS", help="of processor time (default: 1)")
    options = parser.parse_args()
    most_cases = options.cases or float("inf")
    most_seconds = options.seconds or (float("inf") if options.cases else 60)

    faulthandler.enable()
    fuzzer = Fuzzer(options.seed, options.hang)
    started = said = time.monotonic()
    seconds = 0.0
    try:
        while fuzzer.cases < most_cases and seconds < most_seconds:
            fuzzer.batch(options.start + fuzzer.cases)
            seconds = time.monotonic() - started
            if time.monotonic() - said > 10:
                said = time.monotonic()
                print(f"{seconds:.0f} s, up to case {options.start + fuzzer.cases}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        seconds = time.monotonic() - started
    print(fuzzer.summary(max(seconds, 1e-3)))
    return 1 if fuzzer.crashes or fuzzer.hangs or fuzzer.memory_exceeded() else 0


if __name__ == "__main__":
    sys.exit(main())
