"""Damages .sdc files in every way that comes to mind and reads them, and tries hostile names of files: `python run.py
fuzz --seconds 30`.

A finding is anything but an image or an SdcError, and for a name anything but a file inside ComfyUI's folders or a
refusal; more than a second of processor time; or more than 64 MB of memory beyond the latent, by the high-water mark
that Linux keeps for the process. Case N of a seed is always the same input. Needs numpy and zstandard alone, and for
names a ComfyUI.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import json
import math
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not dev/: its module names are nobody else's business
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"  # time is measured of one

import numpy as np  # noqa: E402

import codec  # noqa: E402
from dev import memory  # noqa: E402
from dev.fuzz_inputs import Inputs  # noqa: E402
from dev.fuzz_names import Names  # noqa: E402

BATCH = 256
MEGABYTES_ALLOWED = 64
STUCK = 600  # seconds after which a batch that does not end is killed, with a traceback
LEARNED_PLACES = 1 << 16  # of a latent, that a learned codec may take as much time for as anything else takes in all
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


class Files:
    """Damaged files, each read and decoded."""

    title = "files"

    def __init__(self):
        self.inputs = Inputs(sorted((ROOT / "tests" / "fixtures").glob("*.sdc")))
        self.make = self.inputs.make
        for data in self.inputs.originals:  # weights and dictionaries are kept, and no case's own
            for image in codec.load_all(data):
                codec.decode(image)

    def spell(self, data: bytes) -> tuple[str, bytes]:
        return ".sdc", data

    def attempt(self, data: bytes, case: int) -> tuple[str, int, float]:
        """Read and decode; return what came of it, the size of a latent, and how often the allowed time it may take.

        A learned codec computes for each place of the latent, whatever is stored there.
        """
        try:
            images = codec.load_all(data)
        except codec.SdcError as error:
            return type(error).__name__, 0, 1
        size, times = 0, 0.0
        for image in images:
            learned = image.coder == "learned"
            times += max(1, image.latent_height * image.latent_width / LEARNED_PLACES) if learned else 0
            try:
                size = max(size, check_latent(image))  # one is gone before the next is there
            except codec.SdcLatentError as error:
                if not learned:  # palettes were checked when the file was loaded
                    raise
                return type(error).__name__, 0, max(1, times)
        if case % 64 == 0 and len(data) < 1 << 16:
            check_rewriting(images)
        kind = ", several" if len(images) > 1 else ", learned" if times else ""
        return f"read{kind}", size, max(1, times)


class Fuzzer:
    """Tries case after case on a subject, and counts what came of them."""

    def __init__(self, subject, seed: int, seconds_allowed: float):
        self.subject, self.seed, self.seconds_allowed = subject, seed, seconds_allowed
        self.outcomes, self.cases, self.crashes, self.hangs, self.slowest = Counter(), 0, 0, 0, 0.0
        self.seconds = 0.0
        self.worst_memory, self.worst_case = 0, None
        self.high_water = HighWater()

    def batch(self, first: int):
        faulthandler.dump_traceback_later(STUCK, exit=True)
        started = time.monotonic()
        self.high_water.reset()
        for case in range(first, first + BATCH):
            self.one(case)
        self.cases += BATCH
        # Reading the mark takes as long as a case, so whole batches are measured, and only one that may hold a new
        # worst case is run again to see which that is.
        if self.high_water.beyond_baseline() > self.worst_memory:
            for case in range(first, first + BATCH):
                self.measure(case)
        self.seconds += time.monotonic() - started
        faulthandler.cancel_dump_traceback_later()

    def one(self, case: int):
        data = self.subject.make(self.seed, case)
        started, times = time.thread_time(), 1.0
        try:
            outcome, _, times = self.subject.attempt(data, case)
        except Exception:
            outcome = "crash"
            self.crashes += 1
            self.report(case, data, traceback.format_exc())
        seconds = time.thread_time() - started
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, seconds / times)
        if seconds > self.seconds_allowed * times:
            self.hangs += 1
            self.report(case, data, f"took {seconds:.2f} s of processor time")

    def measure(self, case: int):
        data = self.subject.make(self.seed, case)
        self.high_water.reset()
        try:
            _, latent_size, _ = self.subject.attempt(data, case)
        except Exception:  # reported already
            return
        beyond = self.high_water.beyond_baseline() - latent_size
        if beyond > self.worst_memory:
            self.worst_memory, self.worst_case = beyond, case
            if beyond > MEGABYTES_ALLOWED << 20:
                self.report(case, data, f"took {beyond / 2**20:.1f} MB beyond the latent")

    def report(self, case: int, data, what: str):
        FINDINGS.mkdir(parents=True, exist_ok=True)
        ending, content = self.subject.spell(data)
        path = FINDINGS / f"seed{self.seed}-case{case}{ending}"
        path.write_bytes(content)
        print(f"case {case} of seed {self.seed}, kept in {path.relative_to(ROOT)}: {what}", file=sys.stderr, flush=True)

    def failed(self) -> bool:
        return bool(self.crashes or self.hangs or self.worst_memory > MEGABYTES_ALLOWED << 20)

    def summary(self) -> str:
        worst = f"{self.worst_memory / 2**20:.1f} MB beyond the latent, case {self.worst_case}"
        worst = worst if self.high_water.available else "measured on Linux only"
        rate = self.cases / max(self.seconds, 1e-3)
        return "\n".join([
            f"{self.subject.title}",
            f"cases         {self.cases} in {self.seconds:.0f} s, {rate:.0f} a second, seed {self.seed}",
            *(f"  {name:<36} {count}" for name, count in sorted(self.outcomes.items())),
            f"crashes       {self.crashes}",
            f"hangs         {self.hangs} (slowest {self.slowest:.2f} s; {self.seconds_allowed:g} s allowed)",
            f"worst memory  {worst} ({MEGABYTES_ALLOWED} MB allowed)",
        ])  # fmt: skip


def check_latent(image) -> int:
    """Decode an image and return the size of its latent."""
    latent = codec.decode(image)
    if latent.shape != (image.channels, image.latent_height, image.latent_width):
        raise AssertionError(f"the latent has shape {latent.shape}, {image} another one")
    if not math.isfinite(latent.sum(dtype=np.float64)):  # an array of answers would count as memory
        raise AssertionError("the latent is not finite")
    return latent.nbytes


def check_rewriting(images):
    """What can be read can be written, unless its numbers are longer in our spelling: 1e9 is 1000000000.0."""
    try:
        again = [codec.with_metadata(image, image.metadata) for image in images]
        joined = codec.load_all(codec.join_images(again))
    except codec.SdcArgumentError:
        texts = [json.dumps(image.metadata, ensure_ascii=False, separators=(",", ":")) for image in images]
        if sum(len(text.encode()) for text in texts) > codec.metadata.MAX_BYTES:
            return
        raise
    if [image.metadata for image in again] != [image.metadata for image in images]:
        raise AssertionError("the metadata changed when they were written again")
    if joined != again:
        raise AssertionError("the images changed when they were written into one file")


def main(arguments: list[str] | None = None, settings: dict | None = None) -> int:
    parser = argparse.ArgumentParser(prog="run.py fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, help="stop after so many (default: 60, or no limit with --cases)")
    parser.add_argument("--cases", type=int, help="stop after so many of each kind, rounded up to whole batches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, metavar="CASE", help="begin there, to see a case again")
    parser.add_argument("--hang", type=float, default=1, metavar="SECONDS", help="of processor time (default: 1)")
    parser.add_argument("--comfyui", type=Path, metavar="PATH", help="try names too, which needs a ComfyUI")
    parser.add_argument("--only", choices=("files", "names"), help="one kind alone (default: in turn)")
    options = parser.parse_args(arguments)
    options.comfyui = options.comfyui or (settings or {}).get("comfyui")
    if options.only == "names" and not options.comfyui:
        parser.error("names need --comfyui")
    most_cases = options.cases or float("inf")
    most_seconds = options.seconds or (float("inf") if options.cases else 60)

    faulthandler.enable()
    with tempfile.TemporaryDirectory(prefix="sdc-fuzz-") as folder:
        subjects: list = [] if options.only == "names" else [Files()]
        if options.comfyui and options.only != "files":
            subjects.append(Names(options.comfyui, Path(folder)))
        fuzzers = [Fuzzer(subject, options.seed, options.hang) for subject in subjects]
        started = said = time.monotonic()
        with contextlib.suppress(KeyboardInterrupt):
            while fuzzers[-1].cases < most_cases and time.monotonic() - started < most_seconds:
                for fuzzer in fuzzers:
                    fuzzer.batch(options.start + fuzzer.cases)
                if time.monotonic() - said > 10:
                    said = time.monotonic()
                    at = options.start + fuzzers[-1].cases
                    print(f"{said - started:.0f} s, up to case {at}", file=sys.stderr, flush=True)
    print("\n\n".join(fuzzer.summary() for fuzzer in fuzzers))
    return 1 if any(fuzzer.failed() for fuzzer in fuzzers) else 0


if __name__ == "__main__":
    sys.exit(main())
