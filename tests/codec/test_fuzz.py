"""Damaged and costly files: each is read or refused with an SdcError, in bounded time and memory, and the second
decoder takes and refuses the same."""

import contextlib
import ctypes
import math
import time
import tracemalloc
from collections import Counter
from functools import partial
from hashlib import sha256

import damage
import numpy as np
import plain_decoder
import pytest
import sdc_codec as codec
from hypothesis import strategies as st

from dev import memory

MAX_MEMORY = 64 << 20  # bytes beyond what is held before and the latent
MAX_TIME = 8  # times what the largest sound file takes
TRIES = 5  # at what seems to take longer
LEARNED_PLACES = 1 << 16  # of a latent, for which the learned codec may take as long as that file
LEAST_PLACES = 16 * 16  # of a latent, below which it hardly gets faster
ARCHIVE_ELEMENTS = 1 << 18  # the same of the archive coder
COMPARED_PLACES = 64 * 64  # of a latent; the second decoder is slow, and slower by far for the learned codec
MAX_LATENT = 1e6  # of a learned latent: a stranger's file cannot send the rest of a workflow far out


class Reader:
    """Reads files, holds each to the bounds, and counts the checks that refused them."""

    def __init__(self):
        self.seen = Counter()
        for data in damage.GOLDEN:  # weights and dictionaries are kept, and no file's own
            self.read(data)
        self.seconds, _ = self.timed(damage.MAX_SOUND_FILE)
        self.reset()

    def reset(self):
        with contextlib.suppress(OSError, AttributeError, TypeError):  # of glibc alone
            ctypes.CDLL(None).malloc_trim(0)  # what it keeps of one file would hide what the next one takes
        self.held = memory.high_water() if memory.reset_high_water() else math.inf

    def __call__(self, data):
        """(image, digest of a small latent) for each in a file; None where it is refused."""
        seconds, (found, largest, times) = self.timed(data)
        beyond = memory.high_water() - self.held
        if beyond - largest >= MAX_MEMORY:  # perhaps pages came back that other tests have held before
            beyond = self.memory_of(data)
        assert beyond - largest < MAX_MEMORY
        slow = seconds > MAX_TIME * times * self.seconds
        if slow:  # perhaps since the machine was busy: both again, by turns, and what each takes at best
            pairs = [(self.timed(data)[0], self.timed(damage.MAX_SOUND_FILE)[0]) for _ in range(TRIES)]
            taken, largest_takes = map(min, zip(*pairs, strict=True))
            assert taken < MAX_TIME * times * largest_takes
        if slow or beyond > 8 << 20:
            self.reset()
        return found

    def memory_of(self, data):
        """Bytes that Python and numpy allocate for a file, at their most."""
        tracemalloc.start()
        try:
            self.read(data)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def timed(self, data):
        """Processor seconds that a file takes, and what `read` gives."""
        started = time.thread_time()
        found = self.read(data)
        return time.thread_time() - started, found

    def read(self, data):
        """What a call gives, bytes of the largest latent, and how many times as long as other files it may take."""
        found, largest, times = [], 0, 1.0
        try:
            for image in codec.load_all(data):
                shape = image.shape
                if image.coder == "learned":
                    times += max(LEAST_PLACES, math.prod(shape[-2:])) / LEARNED_PLACES
                elif image.coder == "archive":
                    times += math.prod(shape) / ARCHIVE_ELEMENTS
                latent = codec.decode(image)
                assert latent.shape == shape and latent.dtype == np.float32
                peak = float(max(latent.max(), -latent.min()))
                assert math.isfinite(peak) and (image.coder != "learned" or peak < MAX_LATENT)
                largest = max(largest, latent.nbytes)
                small = math.prod(shape[1:]) <= COMPARED_PLACES
                found.append((image, sha256(latent.astype("<f4")).digest() if small else None))
                del latent  # before the next one comes
        except codec.SdcError as error:
            assert len(str(error)) > 20
            self.seen[check_of(error)] += 1
            return None, 0, times
        return found, largest, max(times, largest / damage.MAX_LATENT_BYTES)


def check_of(error):
    """Where the first error was raised, as (file, line)."""
    while isinstance(error.__cause__, codec.SdcError):
        error = error.__cause__
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno


def compare(data, found):
    """The second decoder, which is written from FORMAT.md alone, takes and refuses the same."""
    height, width = (int.from_bytes(data[at : at + 2], "little") for at in (10, 12))
    tags = damage.tags_of(data)
    times = 40 if b"L" in tags else 1
    if b"N" in tags:  # integer by integer, of all channels and frames
        frames = next(
            (payload for tag, payload in damage.split_sections(data[damage.HEADER_END : -4]) if tag == b"T"), b"\1"
        )
        times = 3 * (data[9] or 256) * int.from_bytes(frames, "little")
    if height * width * times > COMPARED_PLACES:
        return
    try:
        expected = plain_decoder.decode_all(data)
    except plain_decoder.Refused as refused:
        assert found is None, f"the second decoder refuses it: {refused}"
    else:
        assert found is not None, "the second decoder takes it"
        expected = [(sha256(latent).digest(), metadata) for latent, metadata in expected]
        assert [(digest, image.metadata) for image, digest in found] == expected


def write_again(images):
    """What can be read can be written, unless its numbers are longer as we write them: 1e9 is 1000000000.0."""
    try:
        again = [codec.with_metadata(image, image.metadata) for image in images]
        joined = codec.load_all(codec.join_images(again))
    except codec.SdcArgumentError as error:
        assert "524288" in str(error)
        return
    assert [image.metadata for image in again] == [image.metadata for image in images]
    assert joined == again


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("originals", "count", "checks"),
    [(damage.OTHERS, 2000, 30), (damage.LEARNED, 200, 14), (damage.ARCHIVE, 300, 14)],
    ids=["palette", "learned", "archive"],
)
def test_damaged_files(fuzz, originals, count, checks):
    reader, taken = Reader(), Counter()

    def check(data, rewrite):
        found = reader(data)
        compare(data, found)
        if found and rewrite:
            write_again([image for image, _ in found])
        taken[len(found or [])] += 1

    fuzz(count, check, damage.damaged_files(originals), st.sampled_from([False] * 15 + [True]))
    # Damage that ends at the same few checks would be no test of those behind them.
    assert len(reader.seen) >= checks, reader.seen
    assert taken[1] > count / 40 and (originals != damage.OTHERS or taken[4] + taken[5] > 10)


COSTLY = [damage.costly_palettes, damage.costly_sequences, damage.costly_learned]
COSTLIEST_LEARNED = partial(damage.costly_learned, damage.SIDE)


@pytest.mark.parametrize("kind", [*COSTLY, pytest.param(COSTLIEST_LEARNED, marks=pytest.mark.release)])
def test_costly_files(kind):
    files, reader = list(kind()), Reader()
    for data in files:
        reader(data)


@pytest.mark.parametrize("data", damage.LEARNED, ids=len)
def test_all_of_a_learned_payload_is_needed(data):
    tag, payload = damage.split_sections(data[damage.HEADER_END : -4])[0]
    for length in [*range(5, len(payload), max(1, len(payload) // 10)), len(payload) - 1, len(payload) - 2]:
        body = data[: damage.HEADER_END] + damage.join_sections([(tag, payload[:length])])
        with pytest.raises(codec.SdcFormatError):
            codec.decode(codec.load(damage.with_checksum(body + bytes(4))))
