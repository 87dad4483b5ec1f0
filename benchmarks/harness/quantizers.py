"""Other ways to code a latent, for `bench coders`: codebooks and scalars, and how many bits they would take.

Nothing is written. A length is what an ideal entropy coder takes under a simple model: from four decoded neighbors
(left, above, and both beside that) a linear map predicts the place, and how much these differ chooses how far off it
may be. A grid is a latent as (h, w, C).
"""

import math

import numpy as np
from sdc_pack.codec.palette.kmeans import kmeans, nearest

CLASSES = 8
TAIL = 6.0  # degrees of freedom of Student's t, by which a place differs from its prediction
ROUNDS = 5  # until a codebook, or the weights of its entries, have settled
SAMPLE = 1 << 16  # places that a codebook is made from


def neighbors(grid: np.ndarray) -> np.ndarray:
    """(h, w, C) -> (h * w, 4 C + 1): left, above, above left, above right, zeros outside; and one."""
    height, width, _ = grid.shape
    padded = np.pad(grid, ((1, 0), (1, 1), (0, 0)))
    places = [padded[1:, :width], padded[:-1, 1:-1], padded[:-1, :width], padded[:-1, 2:]]
    return np.concatenate([*places, np.ones((height, width, 1))], 2).reshape(height * width, -1)


def activity(seen: np.ndarray) -> np.ndarray:
    """(places, 4 C + 1) -> (places,) how much the neighbors differ from each other."""
    around = seen[:, :-1].reshape(len(seen), 4, -1)
    return np.abs(around - around.mean(1, keepdims=True)).mean((1, 2))


class Prediction:
    """The linear map, and the covariance of what it misses by class of activity; from decoded training latents."""

    def __init__(self, grids: list[np.ndarray]):
        seen, truth = np.concatenate([neighbors(g) for g in grids]), np.concatenate([flat(g) for g in grids])
        self.map = np.linalg.lstsq(seen, truth, rcond=None)[0]
        busy = activity(seen)
        self.edges = np.quantile(busy, np.arange(1, CLASSES) / CLASSES)
        missed, kinds = truth - seen @ self.map, np.searchsorted(self.edges, busy)
        self.precision = np.stack(
            [np.linalg.inv(np.cov(missed[kinds == kind].T) + 1e-3 * np.eye(truth.shape[1])) for kind in range(CLASSES)]
        )

    def log_density(self, seen: np.ndarray, entries: np.ndarray) -> np.ndarray:
        """(places, 4 C + 1), (K, C) -> (places, K), up to a constant for each place."""
        precision = self.precision[np.searchsorted(self.edges, activity(seen))]
        # Of d = entry - mean: d' P d, without making all the differences.
        mean = np.einsum("nij,nj->ni", precision, seen @ self.map)
        pairs = np.einsum("ki,kj->kij", entries, entries).reshape(len(entries), -1)
        squares = precision.reshape(len(seen), -1) @ pairs.T - 2 * mean @ entries.T
        squares += np.einsum("ni,ni->n", mean, seen @ self.map)[:, None]
        return -(TAIL + entries.shape[1]) / 2 * np.log1p(np.maximum(squares, 0) / TAIL)


class Codebook:
    """Entries for all images, chosen by squared error plus `price` times their bits (Chou, Lookabaugh and Gray,
    "Entropy-constrained vector quantization", 1989); price 0 is k-means."""

    def __init__(self, grids: list[np.ndarray], count: int, price: float, seed: int = 0):
        rng = np.random.default_rng(seed)
        points = np.concatenate([flat(grid) for grid in grids])
        points = points[rng.permutation(len(points))[:SAMPLE]]
        self.price, self.entries = price, kmeans(points, count, rng)
        self.bits = np.full(len(self.entries), math.log2(len(self.entries)))
        for _ in range(ROUNDS):
            chosen = self.choose(points)
            times = np.bincount(chosen, minlength=len(self.entries))
            used = times > 0
            sums = np.stack([np.bincount(chosen, column, len(times)) for column in points.T], 1)
            self.entries, self.bits = (sums / np.maximum(times, 1)[:, None])[used], -np.log2(times[used] / len(points))
        decoded = [self.decode(grid) for grid in grids]
        self.prediction = Prediction(decoded)
        # Entries lie closer where latents are frequent. Their weights are such that each is expected as often as it is.
        times = np.bincount(np.concatenate([self.choose(flat(grid)) for grid in grids]), minlength=len(self.entries))
        seen = np.concatenate([neighbors(grid) for grid in decoded])[:: max(1, sum(times) // 8192)]
        density = self.prediction.log_density(seen, self.entries)
        self.weights = np.zeros(len(self.entries))
        for _ in range(ROUNDS):
            expected = softmax(density + self.weights).mean(0)
            self.weights += np.log((times + 0.5) / sum(times)) - np.log(expected + 1e-12)

    def choose(self, points: np.ndarray) -> np.ndarray:
        """(places, C) -> (places,) numbers of entries."""
        if not self.price:
            return nearest(points, self.entries)
        # A further coordinate: its square is what the bits of an entry cost.
        dear = np.sqrt(self.price * (self.bits - self.bits.min()))[:, None]
        return nearest(np.pad(points, ((0, 0), (0, 1))), np.hstack([self.entries, dear]))

    def decode(self, grid: np.ndarray) -> np.ndarray:
        return self.entries[self.choose(flat(grid))].reshape(grid.shape)

    def bytes(self, grid: np.ndarray) -> tuple[float, float]:
        """By the bits of each entry alone, and with the neighbors known."""
        chosen = self.choose(flat(grid))
        density = self.prediction.log_density(neighbors(self.decode(grid)), self.entries)
        known = softmax(density + self.weights)[np.arange(len(chosen)), chosen]
        return self.bits[chosen].sum() / 8, -np.log2(known).sum() / 8


def palette_bytes(prediction: Prediction, entries: np.ndarray, indices: np.ndarray) -> float:
    """Of the indices (h, w) of an image's own palette, with the neighbors known.

    How often an entry is used is not known before; so its weight is learned from the places before, as the share of
    what it was, to what was expected.
    """
    density = prediction.log_density(neighbors(entries[indices]), entries)
    was, expected, bits = np.ones(len(entries)), np.ones(len(entries)), 0.0
    for row, index in zip(density, indices.ravel(), strict=True):
        share = np.exp(row - row.max()) * (was / expected)
        share /= share.sum()
        bits -= math.log2(share[index])
        was[index] += 1
        expected += share
    return bits / 8


class Scalars:
    """One step for all channels, `dead` of it more around zero; logistic distributions around the prediction."""

    def __init__(self, grids: list[np.ndarray], step: float, dead: float):
        self.step, self.dead = step, dead
        decoded = [self.decode(grid) for grid in grids]
        truth = np.concatenate([flat(grid) for grid in decoded])
        seen = np.concatenate([neighbors(grid) for grid in decoded])
        self.edges = np.quantile(activity(seen), np.arange(1, CLASSES) / CLASSES)
        kinds = np.searchsorted(self.edges, activity(seen))
        self.maps, self.scales = [], []
        for channel in range(truth.shape[1]):
            known = np.hstack([seen, truth[:, :channel]])  # the channels before it too
            self.maps.append(np.linalg.lstsq(known, truth[:, channel], rcond=None)[0])
            missed = np.abs(truth[:, channel] - known @ self.maps[-1])
            # The mean magnitude of a logistic distribution is 2 ln 2 of its scale.
            self.scales.append(np.array([missed[kinds == k].mean() for k in range(CLASSES)]) / (2 * math.log(2)) + 1e-3)

    def decode(self, grid: np.ndarray) -> np.ndarray:
        return np.sign(grid) * np.floor(np.abs(grid) / self.step + 0.5 - self.dead / 2).clip(0) * self.step

    def bytes(self, grid: np.ndarray) -> float:
        decoded = self.decode(grid)
        seen, values, bits = neighbors(decoded), flat(decoded), 0.0
        kinds = np.searchsorted(self.edges, activity(seen))
        for channel, (linear, scales) in enumerate(zip(self.maps, self.scales, strict=True)):
            missed = values[:, channel] - np.hstack([seen, values[:, :channel]]) @ linear
            high, low = ((missed + side * self.step / 2) / scales[kinds] for side in (1, -1))
            share = 0.5 * (np.tanh(high / 2) - np.tanh(low / 2))
            bits -= np.log2(np.maximum(share, 2.0**-24)).sum()
        return bits / 8


def flat(grid: np.ndarray) -> np.ndarray:
    return grid.reshape(-1, grid.shape[2])


def softmax(logs: np.ndarray) -> np.ndarray:
    shares = np.exp(logs - logs.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)
