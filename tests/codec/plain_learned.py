"""Coder 2 of the second decoder, written from FORMAT.md alone: slow, and symbol by symbol.

The sums of the networks are exact integers in whatever order they are added, so numpy adds them, all in int64; the
rounded steps after them are numpy's too, an operation at a time. The rest are Python's integers.
"""

import hashlib
import io
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[2] / "weights" / "learned"
PHASES = {
    "corner": lambda y, x: y % 4 == x % 4 == 0,
    "rest": lambda y, x: y % 2 == x % 2 == 0 and not y % 4 == x % 4 == 0,
    "odd": lambda y, x: y % 2 == x % 2 == 1,
    "even": lambda y, x: y % 2 == x % 2,
    "cross": lambda y, x: y % 2 != x % 2,
}
PASSES = (
    [(0, "corner")],
    [(0, "rest")],
    [(0, "odd")],
    [(0, "cross"), (1, "even")],
    [(1, "cross"), (2, "even")],
    [(2, "cross"), (3, "even")],
    [(3, "cross")],
)
weights_read: dict[bytes, dict] = {}


class Damaged(Exception):
    pass


def read_weights(identifier):
    """Arrays by name, or None where there are no such weights."""
    if identifier not in weights_read:
        path = FOLDER / f"{identifier.hex()}.npz"
        if not path.exists():
            return None
        data = path.read_bytes()
        assert hashlib.sha256(data).digest()[:4] == identifier
        with np.load(io.BytesIO(data)) as arrays:
            weights_read[identifier] = {name: arrays[name] for name in arrays.files}
    return weights_read[identifier]


def decode(section, height, width, latent_format, channels):
    """The latent as binary32 (C, height, width)."""
    if len(section) < 5:
        raise Damaged("length of section L")
    arrays = read_weights(section[:4])
    if arrays is None or str(arrays["latent_format"]) != latent_format or arrays["channels"] != channels:
        raise Damaged("weights")
    if max(height, width) > 2048:
        raise Damaged("size")
    if len(section) - 5 > 4 + 5 * -(-height // 2) * -(-width // 2) * int(arrays["groups"].sum()):
        raise Damaged("length of the coded latent")
    return Decoding(arrays, section[4], -(-height // 2), -(-width // 2)).decode(section[5:])[:, :height, :width]


class Decoding:
    def __init__(self, arrays, quality, h, w):
        self.arrays, self.q, self.h, self.w = arrays, quality, h, w
        sizes = arrays["groups"].tolist()
        self.groups = [range(sum(sizes[:g]), sum(sizes[: g + 1])) for g in range(4)]
        self.known = np.zeros((h, w, sum(sizes)), np.int64)
        self.flags = np.zeros((h, w, 4), np.int64)
        ends = np.cumsum(arrays["tables.lengths"]).tolist()
        frequencies = arrays["tables.frequencies"].tolist()
        self.tables = [frequencies[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def decode(self, data):
        coder = Coder(data)
        for number, parts in enumerate(PASSES):
            out = self.context(number)
            size = sum(len(self.groups[group]) for group, _ in parts)
            at = 0
            for group, phase in parts:
                for y in range(self.h):
                    for x in range(self.w):
                        if PHASES[phase](y, x):
                            self.place(coder, group, y, x, out[y, x, at:size], out[y, x, size + at :])
                            self.flags[y, x, group] = 256
                at += len(self.groups[group])
        coder.end()
        return self.synthesis()

    def place(self, coder, group, y, x, means, tables):
        for number, k in enumerate(self.groups[group]):
            mean = min(max(round(float(means[number])), -32768), 32768)
            table = float(tables[number]) - float(self.arrays["log_steps"][self.q, k])
            table = min(max(round(table), 0), 63)
            symbol = 0
            if table >= int(self.arrays["zero_rate"]):
                symbol = coder.symbol(self.tables[table])
            value = mean + symbol * int(self.arrays["steps"][self.q, k])
            self.known[y, x, k] = min(max(value, -32768), 32768)

    def context(self, t):
        quality = np.full((self.h, self.w, 1), 2 * self.q - 256)
        value = self.layer(f"c{t}.first", np.concatenate([self.known, self.flags, quality], axis=2))
        for name in (f"c{t}.second", f"c{t}.third", f"c{t}.last"):
            value = self.layer(name, self.rectified(value, name))
        return value

    def synthesis(self):
        quality = np.full((self.h, self.w, 1), 2 * self.q - 256)
        trunk = self.layer("s.head", np.concatenate([self.known, quality], axis=2)).astype(np.float32)
        for n in range(4):
            u = self.layer(f"s.{n}.first", self.rectified(trunk, f"s.{n}.first"))
            trunk = trunk + self.layer(f"s.{n}.second", self.rectified(u, f"s.{n}.second"))
        assert trunk.dtype == np.float32
        out = self.layer("s.linear", self.known) + self.layer("s.tail", self.rectified(trunk, "s.tail"))
        out = out.astype(np.float32)
        latent = np.zeros((out.shape[2] // 4, 2 * self.h, 2 * self.w), np.float32)
        for channel in range(len(latent)):
            for i in range(2):
                for j in range(2):
                    latent[channel, i::2, j::2] = out[:, :, 4 * channel + 2 * i + j]
        return latent

    def layer(self, name, x):
        w = self.arrays[f"{name}.w"]
        kind = {"int8": np.float32, "int16": np.float64}[w.dtype.name]
        assert np.abs(x).max() <= self.arrays[f"{name}.max_input"]
        n = x.shape[2]
        total = np.zeros((self.h, self.w, w.shape[1]), np.int64)
        if len(w) == n:
            total = x @ w.astype(np.int64)
        else:
            around = np.pad(x, ((1, 1), (1, 1), (0, 0)))
            for i in range(3):
                for j in range(3):
                    tap = (3 * i + j) * n
                    total += around[i : i + self.h, j : j + self.w] @ w[tap : tap + n].astype(np.int64)
        product = total.astype(kind) * self.arrays[f"{name}.m"]
        value = product + self.arrays[f"{name}.b"]
        assert value.dtype == kind
        return value

    def rectified(self, value, name):
        scaled = value * value.dtype.type(self.arrays[f"{name}.scale"])
        return np.rint(np.clip(scaled, 0, self.arrays[f"{name}.max_input"])).astype(np.int64)


class Coder:
    def __init__(self, data):
        if len(data) < 4 or len(data) % 2:
            raise Damaged("length of the coded latent")
        self.words = [low + 256 * high for low, high in zip(data[::2], data[1::2], strict=True)][::-1]
        self.state = self.words.pop() * 65536 + self.words.pop()
        if self.state < 65536:
            raise Damaged("first state")

    def read(self, frequencies):
        slot = self.state % 65536
        place = start = 0
        while start + frequencies[place] <= slot:
            start += frequencies[place]
            place += 1
        self.state = frequencies[place] * (self.state // 65536) + slot - start
        if self.state < 65536:
            if not self.words:
                raise Damaged("no word left")
            self.state = self.state * 65536 + self.words.pop()
        return place

    def bits(self, n):
        return self.read([2 ** (16 - n)] * 2**n) if n else 0

    def symbol(self, frequencies):
        reach = len(frequencies) // 2 - 1
        place = self.read(frequencies)
        if place <= 2 * reach:
            return place - reach
        n = self.bits(4)
        far = reach + 2**n + self.bits(n)
        return -far if self.bits(1) else far

    def end(self):
        if self.state != 65536 or self.words:
            raise Damaged("end of the coded latent")
