"""The quantization error, judged from a palette and its usage."""

import numpy as np
import pytest
import sdc_pack.codec as codec


def pink(seed, side=64):
    """A latent with the spectrum of photographs, (4, side, side)."""
    noise = np.random.default_rng(seed).normal(size=(4, side, side))
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    latent = np.fft.irfft2(np.fft.rfft2(noise) / (np.hypot(rows, columns) + 0.03))
    return (latent / latent.std() * 5).astype(np.float32)


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg"])
@pytest.mark.parametrize("colors", [16, 64, 256])
def test_is_near_the_true_error(colors, dither):
    latent = pink(colors)
    image = codec.encode([latent], "custom", colors=colors, dither=dither)[0]
    true = np.sqrt(((codec.decode(image) - latent) ** 2).mean())
    assert 0.8 < codec.estimate_error(image) / true < 1.25


def test_one_color_says_nothing():
    flat = np.full((4, 8, 8), 0.5, np.float32)
    assert codec.estimate_error(codec.encode([flat], "custom", colors=2)[0]) == 0.0


def test_scales_with_the_latent():
    latent = pink(1, 32)
    small, large = (codec.estimate_error(codec.encode([latent * scale], "custom", colors=32)[0]) for scale in (1, 8))
    assert large == pytest.approx(8 * small, rel=0.05)
