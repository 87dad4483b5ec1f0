"""Other codecs at a given number of bytes."""

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image
from sdc_pack.nodes.comparison import metrics, rivals

PICTURE = np.ascontiguousarray(skimage.data.astronaut()[:256, 100:356])


@pytest.fixture(params=rivals.RIVALS)
def rival(request):
    if reason := rivals.missing(request.param):
        pytest.skip(reason)
    return request.param


def test_file_has_at_most_the_bytes_asked_for_and_is_nearly_as_large(rival):
    picture = PICTURE[64:192, 64:192]
    result = rivals.encode_rival_to_size(rival, picture, 6000)
    assert result.fits and 4500 < result.size <= 6000
    assert rivals.encode_rival(rival, picture, result.quality + 1).size > 6000
    assert result.pixels().shape == picture.shape
    assert metrics.psnr(picture, result.pixels()) > 28


def test_what_cannot_be_that_small_is_told(rival):
    result = rivals.encode_rival_to_size(rival, PICTURE, 100)
    assert not result.fits and result.quality == 0
    assert result.data == rivals.encode_rival(rival, PICTURE, 0).data


def test_what_is_always_small_enough_has_the_highest_quality(rival):
    flat = np.full((64, 64, 3), 128, np.uint8)
    result = rivals.encode_rival_to_size(rival, flat, 100_000)
    assert result.fits and result.quality == 99


def test_nothing_slower_or_other_makes_a_shorter_jpeg():
    for quality in (0, 90):
        files = []
        for progressive in (False, True):
            file = io.BytesIO()
            Image.fromarray(PICTURE).save(file, "JPEG", quality=quality, optimize=True, progressive=progressive)
            files.append(len(file.getvalue()))
        assert files[0] != files[1]
        assert rivals.encode_rival("JPEG", PICTURE, quality).size == min(files)


def test_a_rival_takes_its_slowest_setting_and_tells_its_time(rival):
    made = rivals.encode_rival(rival, PICTURE, 20)
    assert made.seconds > 0
    if rival == "AVIF":
        file = io.BytesIO()
        Image.fromarray(PICTURE).save(file, "AVIF", quality=20, speed=6)
        assert metrics.psnr(PICTURE, made.pixels()) > metrics.psnr(PICTURE, np.asarray(Image.open(file)))
