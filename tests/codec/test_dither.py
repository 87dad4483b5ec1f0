import numpy as np
import pytest
from sdc_codec.palette import dither


def reference(pixels, entries, strength):
    """Floyd-Steinberg as everyone writes it: one pixel after the other."""
    height, width, channels = pixels.shape
    received = np.zeros((height, width, channels))
    indices = np.empty((height, width), int)
    for y in range(height):
        for x in range(width):
            wanted = pixels[y, x] + received[y, x]
            chosen = np.square(entries - wanted).sum(axis=1).argmin()
            indices[y, x] = chosen
            error = (wanted - entries[chosen]) * strength
            for dx, dy, share in ((1, 0, 7 / 16), (-1, 1, 3 / 16), (0, 1, 5 / 16), (1, 1, 1 / 16)):
                if 0 <= x + dx < width and y + dy < height:
                    received[y + dy, x + dx] += error * share
    return indices


SHAPES = [(1, 1), (1, 9), (9, 1), (2, 3), (3, 2), (2, 2), (1, 2), (2, 1), (7, 5), (5, 12), (12, 5), (16, 16)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("channels", [1, 4, 16])
def test_wavefronts_match_the_raster_scan_exactly(shape, strength, channels):
    rng = np.random.default_rng([*shape, channels])
    pixels = rng.normal(size=(*shape, channels))
    for count in (1, 2, 7, 64):
        entries = rng.normal(size=(count, channels))
        expected = reference(pixels, entries, strength)
        np.testing.assert_array_equal(dither.floyd_steinberg(pixels, entries, strength), expected)


def test_a_flat_area_keeps_its_mean():
    pixels = np.full((64, 64, 1), 0.3)
    indices = dither.floyd_steinberg(pixels, np.array([[0.0], [1.0]]), 1.0)
    assert abs(indices.mean() - 0.3) < 0.01


def test_every_pixel_is_matched_once_in_one_call_a_wavefront(monkeypatch):
    rows = []
    nearest = dither.nearest

    def counting_nearest(points, entries):
        rows.append(len(points))
        return nearest(points, entries)

    monkeypatch.setattr(dither, "nearest", counting_nearest)
    for height, width in ((8, 8), (16, 16), (32, 16)):
        rows.clear()
        dither.floyd_steinberg(np.zeros((height, width, 4)), np.zeros((2, 4)), 1.0)
        assert sum(rows) == height * width
        assert len(rows) == width + 2 * (height - 1)
