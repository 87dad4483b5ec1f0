import numpy as np
import pytest
from sdc_codec.palette import kmeans


def brute_force_nearest(points, entries):
    return np.square(points[:, None, :] - entries[None, :, :]).sum(axis=2).argmin(axis=1)


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("channels", [1, 4, 16])
def test_nearest_agrees_with_brute_force_near_and_far_from_zero(channels, offset):
    rng = np.random.default_rng(channels)
    points = rng.normal(size=(500, channels)) + offset
    entries = rng.normal(size=(37, channels)) + offset
    np.testing.assert_array_equal(kmeans.nearest(points, entries), brute_force_nearest(points, entries))


def test_nearest_gives_the_same_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    points, entries = rng.normal(size=(101, 4)), rng.normal(size=(8, 4))
    whole = kmeans.nearest(points, entries)
    monkeypatch.setattr(kmeans, "MAX_SCORES", 8 * 10)
    np.testing.assert_array_equal(kmeans.nearest(points, entries), whole)


def test_well_separated_clusters_are_found_exactly():
    centers = np.array([[0, 0], [100, 0], [0, 100], [100, 100], [-50, 50]], float)
    spread = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], float)
    points = (centers[:, None] + spread).reshape(-1, 2)
    found = kmeans.kmeans(points, 5, np.random.default_rng(3))
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(centers, axis=0), atol=1e-4)


def test_every_distinct_point_becomes_a_center_when_there_are_few():
    points = np.repeat(np.array([[1.5, -2], [3, 4], [1.5, 7]]), 50, axis=0)
    found = kmeans.kmeans(points, 64, np.random.default_rng(0))
    np.testing.assert_allclose(np.unique(found, axis=0), np.unique(points, axis=0), atol=1e-6)
    assert len(found) == 3


def test_one_value_gives_one_exact_center():
    points = np.full((100, 4), 0.1)
    np.testing.assert_array_equal(kmeans.kmeans(points, 64, np.random.default_rng(0)), points[:1])


def test_centers_stay_inside_the_data():
    points = np.array([[65504.0], [65504.0], [-65504.0], [1 / 3]])
    found = kmeans.kmeans(points, 2, np.random.default_rng(0))
    assert found.min() >= -65504 and found.max() <= 65504


def test_empty_clusters_restart_at_the_worst_served_points():
    points = np.array([[0], [1], [50], [60]], np.float32)
    centers = np.array([[0.5], [1000]], np.float32)
    means = kmeans._cluster_means(points, kmeans.nearest(points, centers), centers)
    np.testing.assert_allclose(means, [[27.75], [60]])


def test_more_centers_never_serve_worse():
    points = np.random.default_rng(0).normal(size=(2000, 4))
    errors = []
    for count in (2, 8, 32, 128):
        centers = kmeans.kmeans(points, count, np.random.default_rng(1))
        assert len(centers) == count
        errors.append(np.square(points - centers[kmeans.nearest(points, centers)]).mean())
    assert errors == sorted(errors, reverse=True)
