"""Convolutions of 3x3 in numpy, by matrix products, some hundred places at a time, which stay in the processor's cache.

Most of them are of as many outputs as inputs, and are made as in Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks" (2015): a tile of 2x2 outputs takes 16 products of a transformed tile of 4x4 inputs with transformed
weights, in place of 36. The rest of the work is additions.
"""

import numpy as np

CHUNK = 1024  # places whose neighborhoods are laid out at once
TILES = 128  # of 2x2 places that are worked on at once
# Of a row of three weights to those of the four inputs of a tile.
TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def transformed(weights: np.ndarray) -> np.ndarray:
    """(outputs, inputs, 3, 3) weights as `Features.convolve` takes them, (16, inputs, outputs)."""
    outputs, inputs = weights.shape[:2]
    found = np.einsum("ay,bx,oiyx->abio", TRANSFORM, TRANSFORM, weights.astype(np.float64), optimize=True)
    return np.ascontiguousarray(found.reshape(16, inputs, outputs), np.float32)


class Features:
    """(h, w, c) float32 with zeros around, even and odd columns apart, so that the columns of tiles lie side by side.

    Attributes
    ----------
    values : (rows, 2, columns, c) float32 array
        Row y is row y + 1 here. Column x is column (x + 1) // 2 of the odd or even ones, as x + 1 is odd or even. What
        fills up the last tile is 0, too.
    """

    def __init__(self, height: int, width: int, channels: int):
        self.height, self.width, self.channels = height, width, channels
        self.values = np.zeros((height + height % 2 + 2, 2, (width + 1) // 2 + 1, channels), np.float32)

    @classmethod
    def of(cls, x: np.ndarray) -> "Features":
        found = cls(*x.shape)
        rows = found.values[1 : found.height + 1]
        rows[:, 1, : (found.width + 1) // 2] = x[:, 0::2]
        rows[:, 0, 1 : found.width // 2 + 1] = x[:, 1::2]
        return found

    def like(self) -> "Features":
        return Features(self.height, self.width, self.channels)

    def fits(self, other: "Features") -> bool:
        return (self.height, self.width, self.channels) == (other.height, other.width, other.channels)

    def padded(self) -> np.ndarray:
        """(h + 2, w + 2, c) and more, with the zeros around, and what fills up the last tile."""
        rows, _, columns, channels = self.values.shape
        return self.values.transpose(0, 2, 1, 3).reshape(rows, 2 * columns, channels)

    def to_array(self) -> np.ndarray:
        return self.padded()[1 : self.height + 1, 1 : self.width + 1]

    def convolve(self, weights: np.ndarray, bias: np.ndarray, out: "Features", add: bool = False) -> None:
        """Convolve by `transformed` weights, and with `add` add what `out` holds; then set what is below 0 to 0."""
        inputs, outputs = weights.shape[1:]
        down, across = (len(self.values) - 2) // 2, self.values.shape[2] - 1
        most = min(across, TILES)
        deep = max(1, TILES // most)
        for top in range(0, down, deep):
            for left in range(0, across, most):
                high, wide = min(deep, down - top), min(most, across - left)
                part = self.values[2 * top : 2 * (top + high) + 2, :, left : left + wide + 1]
                sums = _products(part, weights, bias)
                for i in range(2):
                    to = out.values[2 * top + 1 + i : 2 * (top + high) + i : 2]
                    pair = to[:, 1, left : left + wide], to[:, 0, left + 1 : left + wide + 1]
                    _two(*pair, sums[i], add)
                    for each in pair:
                        np.maximum(each, 0, out=each)
        out.clear_fill()

    def clear_fill(self) -> None:
        """Set what fills up the last tile to 0 again."""
        if self.height % 2:
            self.values[self.height + 1] = 0
        if self.width % 2:
            self.values[:, 0, -1] = 0

    def enlarge(self, weights: np.ndarray) -> "Features":
        """Repeat every row and column, then convolve by (outputs, inputs, 3, 3) weights.

        That is the same as four convolutions of 2x2, one for each of the four places that come of one.
        """
        outputs, inputs = weights.shape[:2]
        x = self.padded()
        out = Features(2 * self.height, 2 * self.width, outputs)
        deep = max(1, CHUNK // self.width)
        patches = np.empty((deep, self.width, 4, inputs), np.float32)
        for down in range(2):
            rows = _joined(weights, 2, down)
            for right in range(2):
                joined = _joined(rows, 3, right)  # (outputs, inputs, 2, 2)
                matrix = np.ascontiguousarray(joined.transpose(2, 3, 1, 0).reshape(4 * inputs, outputs))
                to = out.values[1 + down : 2 * self.height + 1 : 2, 1 - right, right : right + self.width]
                for top in range(0, self.height, deep):
                    high = min(deep, self.height - top)
                    for tap in range(4):
                        y, left = top + down + tap // 2, right + tap % 2
                        patches[:high, :, tap] = x[y : y + high, left : left + self.width]
                    np.matmul(patches[:high].reshape(high, self.width, 4 * inputs), matrix, out=to[top : top + high])
        return out

    def read(self, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Convolve by (outputs, inputs, 3, 3) weights of few outputs: (h, w, outputs).

        All weights are multiplied by each place first, and the products of nine places added then.
        """
        outputs, inputs = weights.shape[:2]
        matrix = weights.transpose(2, 3, 0, 1).reshape(9 * outputs, inputs)
        _, _, columns, _ = self.values.shape
        y = np.empty((self.height, self.width, outputs), np.float32)
        deep = max(1, CHUNK // (2 * columns))
        for top in range(0, self.height, deep):
            high = min(deep, self.height - top)
            part = self.values[top : top + high + 2]
            products = (matrix @ part.reshape(-1, inputs).T).reshape(3, 3, outputs, high + 2, 2, columns)
            for first in range(2):  # even columns, then odd ones
                wide = (self.width + 1 - first) // 2
                total = np.repeat(bias, high * wide).reshape(outputs, high, wide)
                for tap in range(9):
                    i, j = divmod(tap, 3)
                    column, parity = divmod(first + j, 2)
                    total += products[i, j, :, i : i + high, parity, column : column + wide]
                y[top : top + high, first::2] = total.transpose(1, 2, 0)
        return y


def _products(part: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """From rows of inputs to (2, 4, high, wide, outputs): the two rows of outputs, their columns still transformed.

    One transformed row of four after the other, so that what is worked on is small.
    """
    high, wide = len(part) // 2 - 1, part.shape[2] - 1
    inputs, outputs = weights.shape[1:]
    a, b, c, d = (part[i : i + 2 * high - 1 : 2] for i in range(4))
    row = np.empty(a.shape, np.float32)
    tiles = np.empty((4, high, wide, inputs), np.float32)
    sums, more = np.empty((2, 4, high, wide, outputs), np.float32), np.empty((4, high, wide, outputs), np.float32)
    for number, (operation, one, other) in enumerate(
        ((np.subtract, a, c), (np.add, b, c), (np.subtract, c, b), (np.subtract, b, d))
    ):
        operation(one, other, out=row)
        even, odd = row[:, 0], row[:, 1]
        np.subtract(even[:, :wide], even[:, 1:], out=tiles[0])
        np.add(odd[:, :wide], even[:, 1:], out=tiles[1])
        np.subtract(even[:, 1:], odd[:, :wide], out=tiles[2])
        np.subtract(odd[:, :wide], odd[:, 1:], out=tiles[3])
        to = more if number > 1 else sums[number]
        matrices = weights[4 * number : 4 * number + 4]
        np.matmul(tiles.reshape(4, -1, inputs), matrices, out=to.reshape(4, -1, outputs))
        if number == 1:
            sums[1, 1] += bias  # which counts once in each of the four outputs
            sums[0] += sums[1]
        elif number == 2:
            sums[0] += more
            sums[1] -= more
        elif number == 3:
            sums[1] -= more
    return sums


def _two(first: np.ndarray, second: np.ndarray, products: np.ndarray, add: bool = False) -> None:
    """The two rows, or columns, of outputs that the products of four give."""
    a, b, c, d = products
    if add:
        first += b
        second += b
    else:
        np.add(b, c, out=first)
        np.subtract(b, c, out=second)
    if add:
        first += c
        second -= c
    first += a
    second -= d


def _joined(weights: np.ndarray, axis: int, second: int) -> np.ndarray:
    """Three weights along an axis as two: those of the two neighbors that the first, or second, of a pair has."""
    a, b, c = np.moveaxis(weights, axis, 0)
    return np.stack([a + b, c] if second else [a, b + c], axis)


def conv(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None, stride: int = 1) -> np.ndarray:
    """3x3 convolution of (h, w, inputs) with zeros around, by (outputs, inputs, 3, 3) weights."""
    outputs, inputs = weights.shape[:2]
    matrix = np.ascontiguousarray(weights.transpose(2, 3, 1, 0).reshape(9 * inputs, outputs))
    height, width = (-(-side // stride) for side in x.shape[:2])
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.empty((height, width, outputs), np.float32)
    rows = max(1, CHUNK // width)
    patches = np.empty((min(rows, height), width, 9, inputs), np.float32)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        for tap in range(9):
            i, j = divmod(tap, 3)
            first = top * stride + i
            patches[:count, :, tap] = padded[first : first + count * stride : stride, j : j + width * stride : stride]
        part = patches[:count].reshape(count * width, 9 * inputs) @ matrix
        y[top : top + count] = part.reshape(count, width, outputs)
    if bias is not None:
        y += bias
    return y
