"""Other codecs at a given number of bytes."""

import functools
import io

import numpy as np
import pytest
import skimage.data
from PIL import Image
from sdc_pack.nodes.comparison import baselines, metrics

IMAGE = np.ascontiguousarray(skimage.data.astronaut()[:256, 100:356])
FACE = IMAGE[64:192, 64:192].copy()  # for what takes many encodings at the slowest setting


@functools.cache
def of_100_bytes(name: str) -> baselines.BaselineImage:
    """As it was asked to be, in vain: by the setting for the smallest file, where there is one."""
    return baselines.encode_baseline_to_size(name, IMAGE, 100)


@pytest.fixture(params=baselines.BASELINES)
def baseline(request):
    if reason := baselines.missing(request.param):
        pytest.skip(reason)
    return request.param


def test_file_has_at_most_the_bytes_asked_for_and_is_nearly_as_large(baseline):
    result = baselines.encode_baseline_to_size(baseline, FACE, 6000)
    assert result.fits and 4500 < result.num_bytes <= 6000
    assert baselines.encode_baseline(baseline, FACE, result.quality + 1).num_bytes > 6000
    assert result.pixels().shape == FACE.shape
    assert metrics.psnr(FACE, result.pixels()) > 28


def test_what_cannot_be_that_small_is_told(baseline):
    result, at_best = of_100_bytes(baseline), baselines.encode_baseline(baseline, IMAGE, 0)
    assert not result.fits and result.quality == 0
    assert result.data == at_best.data or baseline in baselines.SMALLEST and result.num_bytes < at_best.num_bytes


@pytest.mark.parametrize("name", baselines.SMALLEST)
def test_what_fits_only_by_the_setting_for_the_smallest_file_is_found(name):
    if reason := baselines.missing(name):
        pytest.skip(reason)
    at_best = baselines.encode_baseline(name, FACE, 0)
    result = baselines.encode_baseline_to_size(name, FACE, at_best.num_bytes - 1)
    assert result.fits and result.num_bytes < at_best.num_bytes


def test_the_smallest_avif_has_colors_at_half_size():
    for speed in (0, 4):
        file = io.BytesIO()
        Image.fromarray(IMAGE).save(file, "AVIF", quality=0, **{**baselines.AVIF, "speed": speed})
        assert of_100_bytes("AVIF").num_bytes < file.tell()


def test_avif_does_not_depend_on_the_machine():
    """Pillow's own default is as many threads as there are, and tiles for large images."""
    image = np.tile(IMAGE, (3, 4, 1))
    file = io.BytesIO()
    settings = {"speed": 6, "max_threads": 1, "autotiling": False, "subsampling": "4:4:4", "advanced": {"tune": "ssim"}}
    Image.fromarray(image).save(file, "AVIF", quality=20, **settings)
    quick = baselines._encode("AVIF", image, 20, baselines.QUICK["AVIF"])
    assert quick.data == file.getvalue()


def test_avif_is_nearer_than_by_the_default_of_pillow_for_colors(monkeypatch):
    def psnr(subsampling):
        quick = ({**baselines.QUICK["AVIF"][0], "subsampling": subsampling},)
        for settings in (baselines.OPTIONS, baselines.QUICK):
            monkeypatch.setitem(settings, "AVIF", quick)
        return metrics.psnr(IMAGE, baselines.encode_baseline_to_size("AVIF", IMAGE, 3000).pixels())

    chosen = baselines.OPTIONS["AVIF"][0]["subsampling"]
    assert psnr(chosen) > psnr("4:2:0")


def test_avif_is_nearer_than_as_libavif_tunes_it_and_can_be_smaller(monkeypatch):
    ours = baselines.QUICK["AVIF"][0]

    def encode(settings, max_bytes):
        for of in (baselines.OPTIONS, baselines.QUICK, baselines.SMALLEST):
            monkeypatch.setitem(of, "AVIF", (settings,))
        return baselines.encode_baseline_to_size("AVIF", IMAGE, max_bytes)

    default = {**ours, "advanced": {"tune": "iq"}}
    nearer, farther = (metrics.psnr(IMAGE, encode(settings, 3000).pixels()) for settings in (ours, default))
    assert nearer > farther + 0.2
    assert encode(ours, 1).num_bytes < 0.8 * encode(default, 1).num_bytes


def test_an_option_that_an_encoder_of_avif_does_not_know_is_left_out(monkeypatch):
    """As by another encoder than libaom, with which Pillow may have been built."""
    plain = {key: value for key, value in baselines.AVIF.items() if key != "advanced"}
    made = []
    for settings in (plain, {**plain, "advanced": {"no-such-option": "1"}}):
        monkeypatch.setitem(baselines.OPTIONS, "AVIF", ({"speed": 6, **settings},))
        made.append(baselines.encode_baseline("AVIF", IMAGE[:64, :64], 20).data)
    assert made[0] == made[1]


def test_what_is_always_small_enough_has_the_highest_quality(baseline):
    flat = np.full((64, 64, 3), 128, np.uint8)
    result = baselines.encode_baseline_to_size(baseline, flat, 100_000)
    assert result.fits and result.quality == 99


def test_nothing_slower_or_other_makes_a_shorter_jpeg():
    for quality in (0, 90):
        files = []
        for progressive in (False, True):
            file = io.BytesIO()
            Image.fromarray(IMAGE).save(file, "JPEG", quality=quality, optimize=True, progressive=progressive)
            files.append(len(file.getvalue()))
        assert files[0] != files[1]
        assert baselines.encode_baseline("JPEG", IMAGE, quality).num_bytes == min(files)


def test_a_baseline_takes_its_slowest_setting_and_tells_its_time(baseline):
    made = baselines.encode_baseline(baseline, IMAGE, 20)
    assert made.seconds > 0
    if baseline == "AVIF":
        file = io.BytesIO()
        Image.fromarray(IMAGE).save(file, "AVIF", quality=20, speed=6)
        assert metrics.psnr(IMAGE, made.pixels()) > metrics.psnr(IMAGE, np.asarray(Image.open(file)))


def test_an_effort_that_the_plugin_does_not_know_is_lowered_to_one_that_it_does(monkeypatch):
    """As 10 is for versions before 1.3.8; no version knows 12."""
    if reason := baselines.missing("JPEG XL"):
        pytest.skip(reason)
    at_best = baselines.encode_baseline("JPEG XL", IMAGE[:64, :64], 20)
    monkeypatch.setitem(baselines.OPTIONS, "JPEG XL", ({"effort": 12},))
    assert baselines.encode_baseline("JPEG XL", IMAGE[:64, :64], 20).data == at_best.data


def test_an_image_beyond_the_format_is_refused_by_name():
    for name, side in (("WebP", 16384), ("JPEG", 65536), ("AVIF", 65537)):
        with pytest.raises(baselines.BaselineError, match=f"{name} cannot encode {side}x1: "):
            baselines.encode_baseline_to_size(name, np.zeros((1, side, 3), np.uint8), 100)
