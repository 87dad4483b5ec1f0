"""Entropy coding of integers whose magnitude is expected, many at a time.

Every integer comes with a scale, its expected magnitude in 1 / 1024. Scales share a ladder of logistic distributions,
four to the octave; above the last octave the low bits are stored as they are. The coders are rANS (Duda, "Asymmetric
numeral systems", 2013), interleaved as in Giesen, "Interleaved entropy coders" (2014): all lanes read from one sequence
of words, so that a numpy operation serves all of them.
"""

import functools
from typing import NamedTuple

import numpy as np

from ..errors import SdcFormatError
from ..interruption import poll

MIN_OCTAVE, NUM_TABLES = 6, 28  # scales below 2^6 count as that; seven octaves
# round(2^16 h) for each step of the ladder, with h so that the distribution below has a mean magnitude in the middle of
# the step: (4.5, 5.5, 6.5, 7.5) 2^k / 64.
RATIOS = (
    2385, 2936, 3495, 4061, 4924, 6098, 7295, 8513, 10367, 12863, 15344, 17765, 21210, 25351, 28944, 32034,
    35881, 39888, 42977, 45419, 48244, 50984, 52980, 54497, 56193, 57783, 58911, 59753,
)  # fmt: skip
TOTAL_BITS = 12  # the frequencies of a table add up to 2^12
MAX_SYMBOLS = 127  # besides the escape
ESCAPE = 255
ESCAPE_BITS = 24
LOWEST = 1 << 16  # a state below takes in another word
MAX_LANES, ELEMENTS_PER_LANE = 4096, 1024
COUNT_BYTES = 4
# Most bytes of an integer: 12 bits of an escape, what is beyond it, and low bits of the largest scale.
MAX_INTEGER_BYTES = 8


class Tables(NamedTuple):
    """Distributions on the ladder, of up to 128 symbols each.

    Attributes
    ----------
    frequencies, starts : (28 * 128,) uint32
        By table and symbol, the escape last.
    slots : (28 * 4096,) uint32
        By table and slot: its symbol * 2^24 + (slot - start) * 2^12 + frequency.
    escapes : (28,) int32
        Number of symbols before the escape.
    """

    frequencies: np.ndarray
    starts: np.ndarray
    slots: np.ndarray
    escapes: np.ndarray


@functools.lru_cache(maxsize=1)
def tables() -> Tables:
    frequencies = np.zeros((NUM_TABLES, MAX_SYMBOLS + 1), np.uint32)
    escapes = np.zeros(NUM_TABLES, np.int32)
    for number, ratio in enumerate(RATIOS):
        row = logistic(ratio)
        frequencies[number, : len(row)] = row
        escapes[number] = len(row) - 1
    starts = np.cumsum(frequencies, 1, dtype=np.uint32) - frequencies
    symbols = np.broadcast_to(np.arange(MAX_SYMBOLS + 1, dtype=np.uint32), frequencies.shape).copy()
    symbols[np.arange(NUM_TABLES), escapes] = ESCAPE
    spread = [np.repeat(part.ravel(), frequencies.ravel()) for part in (symbols, starts, frequencies)]
    places = np.tile(np.arange(1 << TOTAL_BITS, dtype=np.uint32), NUM_TABLES)
    slots = spread[0] << np.uint32(24) | (places - spread[1]) << np.uint32(12) | spread[2]
    return Tables(frequencies.ravel(), starts.ravel(), slots, escapes)


def logistic(ratio: int) -> list[int]:
    """Return the frequencies of 0, -1, 1, -2, 2 ... and of the escape, in integers alone.

    With h = ratio / 2^16, what is above m has the probability T(m) = h^(2m + 1) / (1 + h^(2m + 1)), and so has what is
    below -m: a logistic distribution, rounded to integers.
    """
    one = 1 << 48
    power = ratio << 32  # 2^48 h^(2m + 1)
    tail = (power << 48) // (one + power)
    weights = [one - 2 * tail]
    while len(weights) + 2 <= MAX_SYMBOLS:
        power = power * ratio * ratio >> 32
        below = (power << 48) // (one + power)
        weights += 2 * [tail - below]
        tail = below
    used = 1
    while used < MAX_SYMBOLS and sum(weights[used:]) << TOTAL_BITS > one:
        used += 2
    spread = (1 << TOTAL_BITS) - used - 1  # each symbol has at least 1
    frequencies = [1 + weight * spread // one for weight in weights[:used]] + [1]
    frequencies[0] += (1 << TOTAL_BITS) - sum(frequencies)
    return frequencies


def place_on_ladder(scales: np.ndarray) -> np.ndarray:
    """Return the steps of scales (float32 or float64, not below 0) on the ladder, int32; NUM_TABLES and up have shifts.

    Four steps to the octave are the exponent and the first two bits of the fraction of a float.
    """
    if scales.dtype == np.float32:
        steps = scales.view(np.int32) >> 21
        steps -= 4 * (127 + MIN_OCTAVE)
    else:
        steps = ((scales.view(np.int64) >> 50) - 4 * (1023 + MIN_OCTAVE)).astype(np.int32)
    return np.maximum(steps, 0, out=steps)


def scale_of(step: int) -> int:
    """Return the least scale of a step of the ladder."""
    return (4 + (step & 3)) << (MIN_OCTAVE - 2 + (step >> 2))


def num_lanes(elements: int) -> int:
    return min(max(elements // ELEMENTS_PER_LANE, 1), MAX_LANES)


def split_steps(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the table of each step, and how many low bits are stored as they are; None for none."""
    if not len(steps) or steps.max() < NUM_TABLES:
        return steps, None
    shifts = np.maximum((steps - NUM_TABLES + 4) >> 2, 0)
    return steps - 4 * shifts, shifts


class Writer:
    """Collects vectors of integers; `to_bytes` codes them, last one first."""

    def __init__(self) -> None:
        self._places: list[np.ndarray] = []  # of each vector, table * 128 + symbol
        self._bits: list[np.ndarray] = []

    def put(self, values: np.ndarray, steps: np.ndarray) -> None:
        """Add a vector of integers (n,) int32 with the steps (n,) of their scales."""
        numbers, shifts = split_steps(steps)
        folded = values << 1
        folded ^= values >> 31  # 0, -1, 1, -2, 2 ... are 0, 1, 2, 3, 4
        high = folded if shifts is None else folded >> shifts
        escapes = tables().escapes.take(numbers)
        beyond = high - escapes
        if beyond.size and beyond.max() >= 0:
            beyond = beyond[beyond >= 0]
            self._bits.append((beyond[:, None] >> np.arange(ESCAPE_BITS) & 1).astype(np.uint8).ravel())
            high = np.minimum(high, escapes)
        if shifts is not None:
            self._bits += [(folded[shifts > bit] >> bit & 1).astype(np.uint8) for bit in range(int(shifts.max()))]
        self._places.append(((numbers << 7) + high).astype(np.uint16))

    def to_bytes(self, lanes: int) -> bytes:
        known = tables()
        states, words = np.full(lanes, LOWEST, np.uint32), []
        for places in reversed(self._places):
            poll()
            frequencies, starts = known.frequencies.take(places), known.starts.take(places)
            limits = frequencies << np.uint32(32 - TOTAL_BITS)
            rest = np.uint32(1 << TOTAL_BITS) - frequencies
            inverse = 1 / frequencies
            for first in range((len(places) - 1) // lanes * lanes, -1, -lanes):
                part = slice(first, first + lanes)
                x = states[: len(limits[part])]
                full = np.flatnonzero(x >= limits[part])
                over = x.take(full)
                words.append(over.astype(np.uint16))
                x[full] = over >> np.uint32(16)
                # Exact: a quotient that is no integer is at least 2^-12 below the next.
                whole = (x * inverse[part] + 2**-14).astype(np.uint32)
                whole *= rest[part]
                x += whole
                x += starts[part]
        coded = np.concatenate([np.zeros(0, np.uint16), *reversed(words)]).astype("<u2")
        bits = np.packbits(np.concatenate([np.zeros(0, np.uint8), *self._bits]), bitorder="little")
        count = len(coded).to_bytes(COUNT_BYTES, "little")
        return b"".join([states.astype("<u4").tobytes(), count, coded.tobytes(), bits.tobytes()])


# Integers by symbol; the escape is 0.
INTEGERS = np.array([-(symbol + 1 >> 1) if symbol & 1 else symbol >> 1 for symbol in range(128)] + [0] * 128, np.int32)


class Reader:
    """Gives the vectors of a `Writer` back, in the order in which they were put in. Damage raises SdcFormatError."""

    def __init__(self, coded: bytes, lanes: int):
        head = 4 * lanes + COUNT_BYTES
        if len(coded) < head:
            raise SdcFormatError(f"section N has {len(coded)} coded bytes; its states alone take {head}")
        count = int.from_bytes(coded[head - COUNT_BYTES : head], "little")
        if len(coded) < head + 2 * count:
            raise SdcFormatError(
                f"section N has {len(coded)} coded bytes and needs {head + 2 * count}: it ends too early"
            )
        self._states = np.frombuffer(coded, "<u4", lanes).astype(np.uint32)
        if self._states.min() < LOWEST:
            raise SdcFormatError(
                f"section N begins with the state {self._states.min()}; no encoder goes below {LOWEST}"
            )
        self._words = np.frombuffer(coded, "<u2", count, head).astype(np.uint32)
        self._bits = np.frombuffer(coded, np.uint8, -1, head + 2 * count)
        self._lanes, self._word, self._bit = lanes, 0, 0

    def take(self, steps: np.ndarray) -> np.ndarray:
        """Return the vector of integers (n,), int32 or int64, that was put in with these steps."""
        numbers, shifts = split_steps(steps)
        symbols = self._take_symbols(numbers << TOTAL_BITS)
        if shifts is None and not (symbols == ESCAPE).any():
            return INTEGERS.take(symbols)
        high = symbols.astype(np.int32)
        escaped = np.flatnonzero(symbols == ESCAPE)
        if escaped.size:
            bits = self._take_bits(ESCAPE_BITS * escaped.size).reshape(-1, ESCAPE_BITS)
            high[escaped] = tables().escapes[numbers[escaped]] + bits @ (1 << np.arange(ESCAPE_BITS, dtype=np.int32))
        if shifts is not None:
            folded = high.astype(np.int64) << shifts
            for bit in range(int(shifts.max())):
                there = np.flatnonzero(shifts > bit)
                folded[there] |= self._take_bits(there.size).astype(np.int64) << bit
            high = folded
        return high >> 1 ^ -(high & 1)

    def _take_symbols(self, bases: np.ndarray) -> np.ndarray:
        slots, words, lanes = tables().slots, self._words, self._lanes
        symbols = np.empty(len(bases), np.uint8)
        low, twelve = np.uint32((1 << TOTAL_BITS) - 1), np.uint32(12)
        for first in range(0, len(bases), lanes):
            base = bases[first : first + lanes]
            x = self._states[: len(base)]
            slot = x & low
            slot += base.view(np.uint32)
            found = slots.take(slot)
            x >>= twelve
            x *= found & low
            found >>= twelve
            x += found & low
            found >>= twelve
            symbols[first : first + lanes] = found
            short = np.flatnonzero(x < LOWEST)
            end = self._word + len(short)
            if end > len(words):
                raise SdcFormatError(f"the {len(words)} words of section N end too early")
            x[short] = x.take(short) << np.uint32(16) | words[self._word : end]
            self._word = end
        return symbols

    def _take_bits(self, count: int) -> np.ndarray:
        first, end = self._bit, self._bit + count
        if end > 8 * len(self._bits):
            raise SdcFormatError(f"the {len(self._bits)} bytes of bits in section N end too early")
        self._bit = end
        found = np.unpackbits(self._bits[first // 8 : -(-end // 8)], bitorder="little")
        return found[first % 8 : first % 8 + count].astype(np.int32)

    def finish(self) -> None:
        """Check that all was read."""
        if (self._states != LOWEST).any() or self._word != len(self._words):
            raise SdcFormatError("section N is damaged: its words do not end where its integers do")
        left = np.unpackbits(self._bits[self._bit // 8 :], bitorder="little")[self._bit % 8 :]
        if len(left) >= 8 or left.any():
            raise SdcFormatError("section N has bytes after its last integer")
