"""Range asymmetric numeral system (Duda 2013), one state of 32 bits, words of 16, tables of 16.

Plain Python integers: a symbol takes less than a microsecond or so, and there are as many as twenty thousand.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
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
        # Where each symbol begins in its table, and its frequency. Of a large image there are millions.
        self.starts, self.sizes = array("I"), array("I")

    def put(self, indices: Iterable[int], values: Iterable[int]) -> None:
        """Append symbols, each coded by the table of its index."""
        cumulative, reach = self.tables.cumulative, self.tables.reach
        add_start, add_size = self.starts.append, self.sizes.append
        for index, value in zip(indices, values, strict=True):
            c, k = cumulative[index], reach[index]
            s = value + k
            if 0 <= s <= 2 * k:
                add_start(c[s])
                add_size(c[s + 1] - c[s])
            else:
                add_start(c[-2])
                add_size(c[-1] - c[-2])
                self._escape(abs(value) - k, value < 0)

    def _escape(self, beyond: int, negative: bool) -> None:
        """Write `beyond`, 1 or more, as the number of its bits after the first, those bits, and the sign."""
        count = beyond.bit_length() - 1
        if count >= 1 << ESCAPE_BITS:
            raise ValueError(f"{beyond} is too far out to be coded")
        self._raw(count, ESCAPE_BITS)
        self._raw(beyond - (1 << count), count)
        self._raw(int(negative), 1)

    def _raw(self, value: int, bits: int) -> None:
        if bits:
            self.starts.append(value << (BITS - bits))
            self.sizes.append(1 << (BITS - bits))

    def bytes(self) -> bytes:
        """Return the payload of all symbols so far."""
        x, words = LOWEST, []
        for end in range(len(self.starts), 0, -BLOCK):
            poll()
            block = slice(max(0, end - BLOCK), end)
            for start, size in zip(reversed(self.starts[block]), reversed(self.sizes[block]), strict=True):
                if x >= size << 16:
                    words.append(x & 0xFFFF)
                    x >>= 16
                x = (x // size << BITS) + x % size + start
        words += [x & 0xFFFF, x >> 16]
        return np.array(words[::-1], "<u2").tobytes()


class Reader:
    """Symbols back from bytes. Anything wrong with them raises SdcFormatError."""

    def __init__(self, tables: Tables, data: bytes):
        if len(data) < 4 or len(data) % 2:
            raise SdcFormatError(f"the coded latent has {len(data)} bytes; it needs an even number, 4 or more")
        # A view gives Python integers, as a list would, without making them all at once: a file for a small latent can
        # bring millions of words that are never read.
        self.tables, self.words = tables, memoryview(np.frombuffer(data, "<u2").astype(np.uint16).data)
        self.state, self.at = self.words[0] << 16 | self.words[1], 2
        if self.state < LOWEST:
            raise SdcFormatError(f"the coded latent begins with the state {self.state}; no encoder goes below {LOWEST}")

    def take(self, indices: Sequence[int]) -> list[int]:
        """The symbols of tables `indices`."""
        found: list[int] = []
        for start in range(0, len(indices), BLOCK):
            poll()
            found += self._take(indices[start : start + BLOCK])
        return found

    def _take(self, indices: Sequence[int]) -> list[int]:
        cumulative, reach, words = self.tables.cumulative, self.tables.reach, self.words
        found: list[int] = []
        x, at = self.state, self.at
        try:
            for index in indices:
                c, k = cumulative[index], reach[index]
                slot = x & MASK
                s = bisect_right(c, slot) - 1
                start = c[s]
                x = (c[s + 1] - start) * (x >> BITS) + slot - start
                if x < LOWEST:
                    x = x << 16 | words[at]
                    at += 1
                if s > 2 * k:
                    self.state, self.at = x, at
                    found.append(self._escape(k))
                    x, at = self.state, self.at
                else:
                    found.append(s - k)
        except IndexError:
            raise SdcFormatError(
                f"the coded latent ends after {2 * len(words)} bytes, before all of it was read"
            ) from None
        self.state, self.at = x, at
        return found

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
