import numpy as np
import pytest
from sdc_codec.autoencoder import plain, tiny_vae


def drawing(height, width):
    """A soft ramp with a disc on it, (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    disc = ((y - height / 2) ** 2 + (x - width / 2) ** 2 < (height / 4) ** 2).astype(np.float32)
    return np.stack([x / width * 200, 120 + 100 * disc, y / height * 200], axis=-1).astype(np.uint8)


def test_an_image_comes_back_by_a_latent_of_the_scale_of_comfyui():
    image = drawing(120, 184)
    latent = tiny_vae.encode_pixels(image)
    assert latent.shape == (4, 15, 23) and latent.dtype == np.float32
    assert 2 < latent.std() < 9  # about 1 / 0.18215
    restored = tiny_vae.decode_latent(latent)
    assert restored.shape == image.shape
    assert 10 * np.log10(255**2 / np.square(restored.astype(float) - image).mean()) > 24


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2)], ids=["wide", "high"])
def test_tiles_leave_no_seam(axes, monkeypatch):
    """Of an image so long that no tile sees all of it, and no multiple of the tile."""
    image = drawing(32, 480).transpose(axes)
    latent = tiny_vae.encode_pixels(image)
    whole = tiny_vae.decode_latent(latent)
    monkeypatch.setattr(plain, "TILE", 16)
    np.testing.assert_allclose(tiny_vae.encode_pixels(image), latent, atol=1e-4)
    assert np.abs(tiny_vae.decode_latent(latent).astype(int) - whole).max() <= 1


def test_sides_are_filled_up_with_the_last_row_and_column():
    narrow = np.full((13, 9, 3), 200, np.uint8)
    filled = np.full((16, 16, 3), 200, np.uint8)
    np.testing.assert_array_equal(tiny_vae.encode_pixels(narrow), tiny_vae.encode_pixels(filled))


@pytest.mark.parametrize("size", [(40, 56), (33, 21), (8, 3)])
def test_numpy_gives_what_torch_gives(size, monkeypatch):
    image = drawing(*size)
    latent = tiny_vae.encode_pixels(image)
    images = [tiny_vae.decode_latent(latent, scale) for scale in (8, 4, 2)]
    monkeypatch.setattr(tiny_vae, "torch", None)
    np.testing.assert_allclose(tiny_vae.encode_pixels(image), latent, atol=1e-3)
    for scale, by_torch in zip((8, 4, 2), images, strict=True):
        by_numpy = tiny_vae.decode_latent(latent, scale)
        assert by_numpy.shape == by_torch.shape and np.abs(by_numpy.astype(int) - by_torch).max() <= 1
