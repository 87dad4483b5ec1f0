import numpy as np
import pytest
from sdc_codec.autoencoder import tiny_vae


@pytest.fixture
def drawing():
    """A soft ramp with a disc on it, (200, 312, 3): neither side a multiple of the tile."""
    y, x = np.mgrid[0:200, 0:312].astype(np.float32)
    disc = ((y - 90) ** 2 + (x - 140) ** 2 < 50**2).astype(np.float32)
    return np.stack([x / 312 * 200, 120 + 100 * disc, y], axis=-1).astype(np.uint8)


def test_a_image_comes_back(drawing):
    restored = tiny_vae.decode_latent(tiny_vae.encode_pixels(drawing))
    assert restored.shape == drawing.shape
    error = np.square(restored.astype(float) - drawing).mean()
    assert 10 * np.log10(255**2 / error) > 24


def test_latents_have_the_scale_of_comfyui(drawing):
    latent = tiny_vae.encode_pixels(drawing)
    assert latent.shape == (4, 25, 39) and latent.dtype == np.float32
    assert 2 < latent.std() < 9  # about 1 / 0.18215


def test_tiles_leave_no_seam(drawing, monkeypatch):
    whole = tiny_vae.encode_pixels(drawing)
    image = tiny_vae.decode_latent(whole)
    monkeypatch.setattr(tiny_vae, "TILE", 16)
    np.testing.assert_allclose(tiny_vae.encode_pixels(drawing), whole, atol=1e-4)
    assert np.abs(tiny_vae.decode_latent(whole).astype(int) - image).max() <= 1


def test_sides_are_filled_up_with_the_last_row_and_column():
    narrow = np.full((13, 9, 3), 200, np.uint8)
    filled = np.full((16, 16, 3), 200, np.uint8)
    np.testing.assert_array_equal(tiny_vae.encode_pixels(narrow), tiny_vae.encode_pixels(filled))
