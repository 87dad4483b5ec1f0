"""Coder 4 of the second decoder, written from FORMAT.md alone: slow, and integer by integer."""

import math
import struct

RATIOS = [
    2385, 2936, 3495, 4061, 4924, 6098, 7295, 8513, 10367, 12863, 15344, 17765, 21210, 25351, 28944, 32034,
    35881, 39888, 42977, 45419, 48244, 50984, 52980, 54497, 56193, 57783, 58911, 59753,
]  # fmt: skip


class Damaged(Exception):
    pass


def require(condition, reason):
    if not condition:
        raise Damaged(reason)


def table(g):
    power, tails = g << 32, []
    for _ in range(64):
        tails.append((power << 48) // ((1 << 48) + power))
        power = power * g * g >> 32
    weights = [(1 << 48) - 2 * tails[0]]
    for m in range(63):
        weights += 2 * [tails[m] - tails[m + 1]]
    count = 1
    while count < 127 and sum(weights[count:]) > 1 << 36:
        count += 2
    frequencies = [1 + weight * (4096 - count - 1) // (1 << 48) for weight in weights[:count]] + [1]
    frequencies[0] += 4096 - sum(frequencies)
    return frequencies


TABLES = [table(g) for g in RATIOS]
SLOTS = []
for frequencies in TABLES:
    slots, start = [], 0
    for i, f in enumerate(frequencies):
        slots += [(i, f, start)] * f
        start += f
    SLOTS.append(slots)


def ladder(scale):
    if scale < 64:
        return 0
    o = scale.bit_length() - 1
    return 4 * (o - 6) + (scale >> o - 2) % 4


def least(step):
    return (4 + step % 4) * 2 ** (4 + step // 4)


class Coder:
    def __init__(self, data, elements):
        self.lanes = min(max(elements // 1024, 1), 4096)
        head = 4 * self.lanes + 4
        require(len(data) >= head, "states")
        *self.states, count = struct.unpack(f"<{self.lanes + 1}I", data[:head])
        require(min(self.states) >= 65536, "first states")
        require(len(data) >= head + 2 * count, "words")
        self.words = list(struct.unpack(f"<{count}H", data[head : head + 2 * count]))[::-1]
        rest = data[head + 2 * count :]
        self.bits = [byte >> bit & 1 for byte in rest for bit in range(8)][::-1]

    def vector(self, steps):
        low = [max(0, (step - 24) // 4) for step in steps]
        tables = [step - 4 * n for step, n in zip(steps, low, strict=True)]
        symbols = []
        for row in range(0, len(steps), self.lanes):
            short = []
            for lane, number in enumerate(tables[row : row + self.lanes]):
                state = self.states[lane]
                i, f, start = SLOTS[number][state % 4096]
                symbols.append(i)
                self.states[lane] = state = f * (state // 4096) + state % 4096 - start
                if state < 65536:
                    short.append(lane)
            for lane in short:
                require(self.words, "end of the words")
                self.states[lane] = self.states[lane] * 65536 + self.words.pop()
        for at, number in enumerate(tables):
            if symbols[at] == len(TABLES[number]) - 1:
                symbols[at] += sum(self.bit() << j for j in range(24))
        found = [symbol << n for symbol, n in zip(symbols, low, strict=True)]
        for j in range(max(low)):
            for at, n in enumerate(low):
                if n > j:
                    found[at] += self.bit() << j
        return [-(x // 2) - 1 if x % 2 else x // 2 for x in found]

    def bit(self):
        require(self.bits, "end of the bits")
        return self.bits.pop()

    def close(self):
        require(set(self.states) == {65536} and not self.words, "end of the states and words")
        require(len(self.bits) < 8 and not any(self.bits), "bits left over")


def decode(payload, channels, frames, height, width):
    """The latent as little-endian binary32."""
    require(len(payload) >= 9, "length of section N")
    step, fold, most = struct.unpack("<fBI", payload[:9])
    require(math.isfinite(step) and step > 0 and most <= 1 << 20 and step * most <= 3.4028234663852886e38, "numbers")
    require(fold in (1, 2) and channels % fold**2 == 0, "fold")
    decoding = Decoding(payload, channels // fold**2, frames, height * fold, width * fold, most)
    q = decoding.decode()
    found = []
    for c in range(channels):
        channel, y, x = c // fold**2, c // fold % fold, c % fold
        for t in range(frames):
            for i in range(height):
                found += [q[channel, t, i * fold + y, j * fold + x] * step for j in range(width)]
    return struct.pack(f"<{len(found)}f", *found)  # of an exact product of 21 and 24 bits


class Decoding:
    def __init__(self, payload, channels, frames, height, width, most):
        self.c, self.t, self.h, self.w, self.m = channels, frames, height, width, most
        self.sets = [(kind, later) for later in (False, True)[: 1 + (frames > 1)] for kind in ("diagonal", "straight")]
        elements = channels * frames * height * width
        earlier = sum(min(c, 32) for c in range(channels))
        numbers = 5 * channels + len(self.sets) * (4 + 3 * channels + earlier + channels + 5 * channels)
        lanes = min(max(elements // 1024, 1), 4096)
        require(len(payload) <= 13 + 4 * lanes + 8 * (numbers + elements), "too many bytes")
        self.coder = Coder(payload[9:], elements)
        self.q, self.r = {}, {}  # by (channel, frame, row, column)

    def bounded(self, count, step, lowest, highest):
        found = self.coder.vector([step] * count)
        require(all(lowest <= x <= highest for x in found), "a number out of bounds")
        return found

    def decode(self):
        self.means = self.bounded(self.c, 40, -self.m, self.m)
        self.coarse = [self.bounded(self.c, 24, 0, 127)]
        if self.t > 1:
            self.trust = self.bounded(self.c, 24, -127, 127)
            self.coarse.append(self.bounded(self.c, 24, 0, 127))
        self.weights = {each: self.weights_of(each[1]) for each in self.sets}
        for group, before, after in self.groups():
            for kind, rows, columns, offsets in self.grids():
                height = max(1, 131072 // (self.c * len(group) * len(columns)))
                for top in range(0, len(rows), height):
                    self.block(kind, group, before, after, rows[top : top + height], columns, offsets)
        self.coder.close()
        return self.q

    def weights_of(self, later):
        steps = self.bounded(4, 24, 0, 127)
        count = 5 if later else 4
        sizes = [3 * self.c, sum(min(c, 32) for c in range(self.c)), self.c * later, count * self.c]
        vector = self.coder.vector([steps[z] for z, size in zip((0, 1, 3, 2), sizes, strict=True) for _ in range(size)])
        predicting, differences = vector[: sum(sizes[:3])], vector[sum(sizes[:3]) :]
        require(all(abs(x) <= 127 for x in predicting), "a weight out of bounds")
        scales, before = [], [12, 20, 6, 3, 3]
        for c in range(self.c):
            own = differences[count * c : count * (c + 1)]
            before = [x + difference for x, difference in zip(before[:count], own, strict=True)]
            require(all(0 <= x <= 255 for x in before) and least(before[0]) <= 8192 * max(self.m, 1), "scale weights")
            scales.append([least(before[0]), *before[1:]])
        a = [predicting[3 * c : 3 * c + 3] for c in range(self.c)]
        earlier, at = [], 3 * self.c
        for c in range(self.c):
            earlier.append(list(zip(range(max(0, c - 32), c), predicting[at : at + min(c, 32)], strict=True)))
            at += min(c, 32)
        return a, earlier, predicting[at:], scales

    def groups(self):
        yield [0], None, None
        h = 1
        while 2 * h < self.t:
            h *= 2
        size = max(1, 524288 // (self.c * self.h * self.w))
        while h and self.t > 1:
            frames = list(range(h, self.t, 2 * h))
            alone = [frames.pop()] if frames[-1] + h >= self.t else []
            for first in range(0, len(frames), size):
                part = frames[first : first + size]
                yield part, [t - h for t in part], [t + h for t in part]
            if alone:
                yield alone, [alone[0] - h], [alone[0] - h]
            h //= 2

    def grids(self):
        yield "coarse", range(0, self.h, 16), range(0, self.w, 16), None
        for h in (8, 4, 2, 1):
            rows, columns = [(0, -h), (0, h)], [(-h, 0), (h, 0)]
            for kind, top, left, offsets in (
                ("diagonal", h, h, [(-h, -h), (h, h), (-h, h), (h, -h)]),
                ("straight", 0, h, rows + (rows if self.h <= h else columns)),
                ("straight", h, 0, columns + (columns if self.w <= h else rows)),
            ):
                if range(top, self.h, 2 * h) and range(left, self.w, 2 * h):
                    yield kind, range(top, self.h, 2 * h), range(left, self.w, 2 * h), offsets

    def neighbors(self, y, x, offsets):
        for down, right in offsets:
            i = y + down if 0 <= y + down < self.h else y - down
            j = x + right if 0 <= x + right < self.w else x - right
            yield i, j

    def block(self, kind, group, before, after, rows, columns, offsets):
        places = [(n, t, y, x) for n, t in enumerate(group) for y in rows for x in columns]
        own = None if kind == "coarse" else self.weights[kind, before is not None]
        deviations = []
        for c in range(self.c):
            predicted, steps, sums = [], [], []
            for at, (n, t, y, x) in enumerate(places):
                if own is None:
                    p = self.means[c]
                    if before:
                        both = self.q[c, before[n], y, x] + self.q[c, after[n], y, x]
                        p = self.clip(256 * p + 2 * self.trust[c] * (both - 2 * p) + 128 >> 8)
                    predicted.append(p)
                    steps.append(self.coarse[before is not None][c])
                    continue
                a, earlier, v, scales = own
                near = list(self.neighbors(y, x, offsets))
                values = [self.q[c, t, i, j] for i, j in near]
                total = sum(values)
                sums.append(total)
                p = 64 * total + sum(weight * (4 * value - total) for weight, value in zip(a[c], values, strict=False))
                p += sum(weight * deviations[d][at] for d, weight in earlier[c])
                k, b1, b2, b3, *b4 = scales[c]
                one, other, third, fourth = values
                s = k + 4 * b1 * sum(abs(self.r[c, t, i, j]) for i, j in near)
                s += 8 * b2 * (abs(one - other) + abs(third - fourth))
                s += 4 * b3 * sum(abs(self.r[d, t, y, x]) for d in range(max(0, c - 4), c))
                if before:
                    pair = before[n], after[n]
                    both = sum(self.q[c, frame, y, x] for frame in pair)
                    p += v[c] * (4 * both - sum(self.q[c, frame, i, j] for frame in pair for i, j in near))
                    s += 8 * b4[0] * sum(abs(self.r[c, frame, y, x]) for frame in pair)
                predicted.append(self.clip(p + 128 >> 8))
                steps.append(ladder(s))
            residuals = self.coder.vector(steps)
            for (_, t, y, x), p, residual in zip(places, predicted, residuals, strict=True):
                require(abs(p + residual) <= self.m, "an integer out of bounds")
                self.q[c, t, y, x], self.r[c, t, y, x] = p + residual, residual
            if own is not None:
                found = [self.q[c, t, y, x] for _, t, y, x in places]
                deviations.append([4 * value - total for value, total in zip(found, sums, strict=True)])

    def clip(self, p):
        return max(-self.m, min(self.m, p))
