"""Range asymmetric numeral system (Duda 2013), one state of 32 bits, words of 16, tables of 16.

The state goes from symbol to symbol, in Python's integers: about a tenth of a microsecond each. All else is done for
whole arrays.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from ..errors import SdcFormatError
from ..interruption import poll

BITS = 16  # frequencies of a table add up to 2**BITS
MASK = (1 << BITS) - 1
LOWEST = 1 << 16  # of the state between two symbols
ESCAPE_BITS = 4  # the number of bits of what an escape carries
# Most bytes of a symbol. An escape has 16 bits, 4 for how many follow, 15 of those, and a sign: 36 bits.
SYMBOL_BYTES = 5
BLOCK = 1 << 17  # symbols between two looks at whether the work is to end


class Tables:
    """Cumulative frequencies of each scale. The last of the 2 K + 2 symbols of a table is the escape, and symbol s
    before it stands for the integer s - K, where K is the table's reach.

    Parameters
    ----------
    frequencies : sequence of (2 K + 2,) integer arrays, each of at least 1, adding up to 65536
    """

    def __init__(self, frequencies: Sequence[np.ndarray]):
        for f in frequencies:
            if len(f) < 2 or len(f) % 2 or min(f) < 1 or sum(int(n) for n in f) != 1 << BITS:
                raise ValueError("a table of frequencies is odd, has an empty place or does not add up")
        self.reach = [len(f) // 2 - 1 for f in frequencies]
        self.cumulative = [[0, *accumulate(int(n) for n in f)] for f in frequencies]
        # For the reader: where each symbol of a table ends and begins, its frequency, and the last before the escape.
        self.rows = [(c[1:], c[:-1], f.tolist(), len(f) - 2) for c, f in zip(self.cumulative, frequencies, strict=True)]
        # For the writer: all tables side by side, and where the symbol 0 of each is.
        self.starts = np.concatenate([c[:-1] for c in self.cumulative]).astype(np.uint32)
        self.sizes = np.concatenate(frequencies).astype(np.uint32)
        self.zeros = np.cumsum([0, *(len(f) for f in frequencies[:-1])]) + self.reach

    def bits(self) -> np.ndarray:
        """(tables, 2 * widest + 1) float32, bits of each integer from -widest to widest; for the encoder only."""
        widest = max(self.reach) + 1
        found = np.zeros((len(self.reach), 2 * widest + 1), np.float32)
        beyond = np.abs(np.arange(-widest, widest + 1))
        for number, (k, c) in enumerate(zip(self.reach, self.cumulative, strict=True)):
            own = BITS - np.log2(np.diff(c))
            extra = np.log2(np.maximum(1, beyond - k)) + ESCAPE_BITS + 1
            found[number] = own[-1] + extra
            found[number, widest - k : widest + k + 1] = own[:-1]
        return found


class Writer:
    """Collects symbols in the order in which they will be read."""

    def __init__(self, tables: Tables):
        self.tables = tables
        self.symbols: list[tuple[np.ndarray, np.ndarray]] = []  # where each begins in its table, and its frequency

    def put(self, indices: np.ndarray, values: np.ndarray) -> None:
        """Append symbols, each coded by the table of its index; integers of any type."""
        indices, values = np.asarray(indices, np.intp), np.asarray(values, np.int64)
        reach = np.asarray(self.tables.reach)[indices]
        beyond = np.abs(values) - reach
        at = self.tables.zeros[indices] + np.where(beyond > 0, reach + 1, values)
        starts, sizes = self.tables.starts[at], self.tables.sizes[at]
        if (escapes := np.flatnonzero(beyond > 0)).size:
            raw = [(at, *part) for at in escapes for part in _escape(int(beyond[at]), bool(values[at] < 0))]
            after = [at + 1 for at, _, _ in raw]
            starts = np.insert(starts, after, [start for _, start, _ in raw])
            sizes = np.insert(sizes, after, [size for _, _, size in raw])
        self.symbols.append((starts, sizes))

    def bytes(self) -> bytes:
        """Return the payload of all symbols so far."""
        x, words = LOWEST, []
        for starts, sizes in reversed(self.symbols):
            for end in range(len(starts), 0, -BLOCK):
                poll()
                block = slice(max(0, end - BLOCK), end)
                for start, size in zip(starts[block][::-1].tolist(), sizes[block][::-1].tolist(), strict=True):
                    if x >= size << 16:
                        words.append(x & 0xFFFF)
                        x >>= 16
                    x = (x // size << BITS) + x % size + start
        words += [x & 0xFFFF, x >> 16]
        return np.array(words[::-1], "<u2").tobytes()


def _escape(beyond: int, negative: bool) -> list[tuple[int, int]]:
    """Where each part of `beyond`, 1 or more, begins, and its frequency: the number of its bits after the first, those
    bits, and the sign."""
    count = beyond.bit_length() - 1
    if count >= 1 << ESCAPE_BITS:
        raise ValueError(f"{beyond} is too far out to be coded")
    parts = (count, ESCAPE_BITS), (beyond - (1 << count), count), (int(negative), 1)
    return [(value << (BITS - bits), 1 << (BITS - bits)) for value, bits in parts if bits]


class Reader:
    """Symbols back from bytes. Anything wrong with them raises SdcFormatError."""

    def __init__(self, tables: Tables, data: bytes):
        if len(data) < 4 or len(data) % 2:
            raise SdcFormatError(f"the coded latent has {len(data)} bytes; it needs an even number, 4 or more")
        # A view gives Python integers, as a list would, without making them all at once: a file for a small latent can
        # bring millions of words that are never read.
        self.tables, self.words = tables, memoryview(np.frombuffer(data, "<u2").astype(np.uint16, copy=False).data)
        self.state, self.at = self.words[0] << 16 | self.words[1], 2
        if self.state < LOWEST:
            raise SdcFormatError(f"the coded latent begins with the state {self.state}; no encoder goes below {LOWEST}")

    def take(self, indices: np.ndarray) -> np.ndarray:
        """(n,) int64, the symbols of tables `indices`, (n,) integers."""
        indices = np.asarray(indices)
        found = np.empty(len(indices), np.int64)
        for start in range(0, len(indices), BLOCK):
            poll()
            self._take(indices[start : start + BLOCK], found[start : start + BLOCK])
        return found

    def _take(self, indices: np.ndarray, out: np.ndarray) -> None:
        words = self.words
        found: list[int] = []
        far: list[tuple[int, int]] = []
        x, at = self.state, self.at
        try:
            for ends, starts, sizes, last in map(self.tables.rows.__getitem__, indices.tolist()):
                slot = x & MASK
                s = bisect_right(ends, slot)
                x = sizes[s] * (x >> BITS) + slot - starts[s]
                if x < LOWEST:
                    x = x << 16 | words[at]
                    at += 1
                if s > last:
                    self.state, self.at = x, at
                    far.append((len(found), self._escape(last // 2)))
                    x, at = self.state, self.at
                found.append(s)
        except IndexError:
            raise SdcFormatError(
                f"the coded latent ends after {2 * len(words)} bytes, before all of it was read"
            ) from None
        self.state, self.at = x, at
        np.subtract(found, np.asarray(self.tables.reach)[indices], out=out)
        for place, value in far:
            out[place] = value

    def _escape(self, k: int) -> int:
        count = self._raw(ESCAPE_BITS)
        beyond = (1 << count) + self._raw(count)
        return -(k + beyond) if self._raw(1) else k + beyond

    def _raw(self, bits: int) -> int:
        if not bits:
            return 0
        slot = self.state & MASK
        value = slot >> (BITS - bits)
        self.state = (self.state >> BITS << (BITS - bits)) + slot - (value << (BITS - bits))
        if self.state < LOWEST:
            self.state = self.state << 16 | self.words[self.at]
            self.at += 1
        return value

    def close(self) -> None:
        """Raise SdcFormatError unless nothing is left and the state is the one that the encoder began with."""
        if self.state != LOWEST or self.at != len(self.words):
            raise SdcFormatError(
                f"the coded latent should end in the state {LOWEST} with its last bytes; it ends in {self.state} with "
                f"{2 * (len(self.words) - self.at)} left"
            )
