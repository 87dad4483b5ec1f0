"""Whoever waits for encoding or decoding can end it at any moment, and sees how far decoding is."""

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec.learned.layers import AREA, row_ranges

LATENT = np.random.default_rng(5).normal(size=(4, 16, 24)).astype(np.float32)


ARCHIVED = codec.encode([LATENT], "archive")[0]


class Stopped(BaseException):
    """As ComfyUI's own: no Exception."""


class Stop:
    """Raises at one of the calls."""

    def __init__(self, at=None):
        self.at, self.shares = at, []

    def __call__(self, share):
        self.shares.append(share)
        if len(self.shares) == self.at:
            raise Stopped


@pytest.fixture(scope="module")
def image():
    return codec.encode([LATENT], quality=20)[0]


WORK = {
    "decode": lambda image: codec.decode(codec.load(image.data)),
    "to a size": lambda _: codec.encode([LATENT], "best"),
    "to a quality": lambda _: codec.encode([LATENT], quality=50),
    "palette": lambda _: codec.encode([LATENT], "custom", colors=16, dither="none"),
    "dithered": lambda _: codec.encode([LATENT], "paper"),
    "archive": lambda _: codec.encode([LATENT], "archive"),
    "of the archive": lambda _: codec.decode(ARCHIVED),
}


@pytest.mark.parametrize("work", WORK)
def test_what_the_caller_raises_ends_the_work_at_once(work, image):
    whole = Stop()
    with codec.interruptible(whole):
        WORK[work](image)
    count = len(whole.shares)
    assert count >= 8
    for at in (1, count // 2, count):
        stop = Stop(at)
        with pytest.raises(Stopped), codec.interruptible(stop):
            WORK[work](image)
        assert len(stop.shares) == at
    WORK[work](image)  # nobody is asked any more
    assert len(whole.shares) == count


def test_decoding_says_how_far_it_is(image):
    stop = Stop()
    with codec.interruptible(stop):
        codec.decode(codec.load(image.data))
    shares = [share for share in stop.shares if share is not None]
    assert shares == [number / 8 for number in range(8)]  # seven passes and the synthesis


def test_a_network_over_a_large_latent_looks_up_for_every_strip():
    stop = Stop()
    with codec.interruptible(stop):
        strips = list(row_ranges(30, AREA // 8))
    assert strips == [(top, top + 2) for top in range(0, 30, 2)] and len(strips) == len(stop.shares)
