"""Coefficients in the memory of the latent: what is put comes back, whatever else is put, to the largest there are."""

import numpy as np
import pytest
from sdc_codec.learned.coefficients import Coefficients

PLACES = slice(1, 3)


@pytest.mark.parametrize("share", [0, 0.3], ids=["without the largest", "with the largest"])
@pytest.mark.parametrize(
    ("total", "waiting", "channels", "inside"),
    [(24, 10, 4, True), (16, 6, 4, True), (48, 24, 16, True), (200, 60, 4, False)],
    ids=["SD1.x", "SDXL", "SD3", "more than a latent holds"],
)
def test_what_is_put_comes_back(total, waiting, channels, inside, share):
    rng, every = np.random.default_rng(total), slice(0, 3)
    latent = np.empty((channels, 12, 20), np.float32)
    known = Coefficients(total, waiting, latent)
    assert np.may_share_memory(latent, known._values) == inside
    values = rng.integers(-(1 << 15), 1 << 15, (total, 3, 4, 5))
    values[rng.random(values.shape) < share] = 1 << 15
    tables = rng.integers(0, 64, (waiting, 3, 2, 5)).astype(np.uint8)
    known.put(slice(0, total - 3), every, slice(None), values[:-3])
    known.put_tables(every, PLACES, tables)
    known.put(slice(total - 3, total), every, slice(None), values[-3:])
    np.testing.assert_array_equal(known.get(slice(0, total), every), values)
    np.testing.assert_array_equal(known.get_tables(waiting, every, PLACES), tables)
    known.put(slice(2, 5), slice(1, 2), slice(0, 4, 3), np.full((3, 1, 2, 5), 9))
    values[2:5, 1, ::3] = 9
    np.testing.assert_array_equal(known.get(slice(0, total), every), values)
    np.testing.assert_array_equal(known.get_tables(waiting, every, PLACES), tables)


def test_rows_of_tiles_lie_where_the_latent_has_them():
    """So the first rows of the latent can be written while the coefficients of the last ones are still needed."""
    latent = np.zeros((4, 12, 20), np.float32)
    known = Coefficients(24, 10, latent)
    values = np.random.default_rng(1).integers(-999, 999, (24, 3, 4, 5))
    known.put(slice(0, 24), slice(0, 3), slice(None), values)
    latent[:, :8] = 7
    np.testing.assert_array_equal(known.get(slice(0, 24), slice(2, 3)), values[:, 2:])
