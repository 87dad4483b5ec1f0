"""Other codecs at a given number of bytes."""

import numpy as np
import pytest
import skimage.data
from sdc_pack.nodes.comparison import metrics, rivals

PICTURE = np.ascontiguousarray(skimage.data.astronaut()[:256, 100:356])


@pytest.fixture(params=rivals.RIVALS)
def rival(request):
    if reason := rivals.missing(request.param):
        pytest.skip(reason)
    return request.param


def test_file_has_at_most_the_bytes_asked_for_and_is_nearly_as_large(rival):
    result = rivals.encode_rival_to_size(rival, PICTURE, 20_000)
    assert result.fits and 15_000 < result.size <= 20_000
    assert rivals.encode_rival(rival, PICTURE, result.quality + 1).size > 20_000
    assert result.pixels().shape == PICTURE.shape
    assert metrics.psnr(PICTURE, result.pixels()) > 28


def test_what_cannot_be_that_small_is_told(rival):
    result = rivals.encode_rival_to_size(rival, PICTURE, 100)
    assert not result.fits and result.quality == 0
    assert result.data == rivals.encode_rival(rival, PICTURE, 0).data


def test_what_is_always_small_enough_has_the_highest_quality(rival):
    flat = np.full((64, 64, 3), 128, np.uint8)
    result = rivals.encode_rival_to_size(rival, flat, 100_000)
    assert result.fits and result.quality == 99
