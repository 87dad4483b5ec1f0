"""k-means clustering: k-means++ start (Arthur & Vassilvitskii, 2007), then Lloyd's iterations."""

import numpy as np

from ..interruption import poll

# Scores (points x entries, or points x channels where there are more) computed at once: 4 Mi values, 32 MB as float64.
MAX_SCORES = 1 << 22
MAX_ITERATIONS = 40
# Lloyd stops when the mean squared movement of the centers falls below this share of the data's variance.
TOLERANCE = 1e-6


def nearest(points: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Return the index of the entry nearest to each point.

    Parameters
    ----------
    points : (N, C) float array
        Distances are computed in its precision.
    entries : (K, C) float array

    Returns
    -------
    (N,) intp array
    """
    # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, and |x|^2 is the same for every entry. The differences between these sums
    # drown in rounding when all values lie far from zero, so everything is measured from the entries' mean. The
    # column of ones lets a single matrix product add |c|^2.
    center = entries.mean(axis=0, dtype=np.float64)
    offsets = entries - center
    weights = np.vstack([-2 * offsets.T, np.square(offsets).sum(axis=1)]).astype(points.dtype)
    indices = np.empty(len(points), np.intp)
    block = max(1, MAX_SCORES // max(entries.shape))
    for start in range(0, len(points), block):
        poll()
        part = points[start : start + block]
        extended = np.ones((len(part), part.shape[1] + 1), points.dtype)
        extended[:, :-1] = part - center
        indices[start : start + block] = (extended @ weights).argmin(axis=1)
    return indices


def kmeans(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most `count` centers of `points`; fewer when there are fewer distinct points.

    Parameters
    ----------
    points : (N, C) float array, N >= 1
    count : int
    rng : numpy.random.Generator

    Returns
    -------
    (K, C) float64 array, 1 <= K <= count
    """
    mean = points.mean(axis=0, dtype=np.float64)
    centered = (points - mean).astype(np.float32)
    centers = _spread_start(centered, count, rng)
    if len(centers) == count:  # fewer centers mean that every distinct point already is one
        centers = _lloyd(centered, centers)
    # Rounding must not carry a center out of the data: the palette's ranges rely on that.
    return np.clip(centers + mean, points.min(axis=0), points.max(axis=0))


def _spread_start(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """k-means++: each next center is a point drawn with probability proportional to its squared distance so far."""
    columns = np.ascontiguousarray(points.T)
    chosen = [int(rng.integers(len(points)))]
    distance = np.full(len(points), np.inf, np.float32)
    while True:
        poll()
        distance = np.minimum(distance, _squared_distance(columns, points[chosen[-1]]))
        cumulative = np.cumsum(distance, dtype=np.float64)
        if len(chosen) == count or cumulative[-1] == 0:
            return points[chosen]
        # "right" steps over points at distance zero, which are centers already; rounding may reach past the end.
        drawn = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        chosen.append(int(drawn) if drawn < len(points) else int(distance.argmax()))


def _squared_distance(columns: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Squared distance of each point, given as (C, N), from one center."""
    return np.square(columns - center[:, None]).sum(axis=0)


def _lloyd(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    variance = np.square(points).mean(dtype=np.float64)
    for _ in range(MAX_ITERATIONS):
        indices = nearest(points, centers)
        moved = _cluster_means(points, indices, centers)
        movement = np.square(moved - centers).mean(dtype=np.float64)
        centers = moved
        if movement <= TOLERANCE * variance:
            break
    return centers


def _cluster_means(points: np.ndarray, indices: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the mean of each cluster; a cluster without points restarts at one of the worst served points."""
    sizes = np.bincount(indices, minlength=len(centers))
    sums = np.stack([np.bincount(indices, column, len(centers)) for column in points.T], axis=1)
    means = (sums / np.maximum(sizes, 1)[:, None]).astype(points.dtype)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        distance = np.square(points - centers[indices]).sum(axis=1)
        worst = np.argsort(distance, kind="stable")[-len(empty) :]
        means[empty] = points[worst]
    return means
