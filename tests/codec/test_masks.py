"""Masks of an image to masks of its latent."""

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec.geometry import mask_to_latent


def test_one_white_pixel_whitens_the_latent_element_that_it_lies_in():
    mask = np.zeros((24, 40))
    mask[9, 31] = 0.5
    small = mask_to_latent(mask, (3, 5), (24, 40), 8)
    assert small.dtype == np.float32 and small[1, 3] == 0.5 and small.sum() == 0.5


def test_a_mask_of_the_image_is_trimmed_as_the_image_is():
    mask = np.zeros((29, 45))
    mask[1], mask[:, 44], mask[2, 2] = 1, 1, 1  # cut off, cut off, and the first pixel that is kept
    small = mask_to_latent(mask, (3, 5), (29, 45), 8)
    assert small[0, 0] == 1 and small.sum() == 1


def test_padding_repeats_the_border_and_any_other_size_covers_the_latent():
    mask = np.zeros((5, 20))
    mask[:, 19] = 1
    np.testing.assert_array_equal(mask_to_latent(mask, (1, 3), (5, 20), 8), [[0, 0, 1]])
    quarters = mask_to_latent(np.eye(2), (5, 4), (40, 32), 8)
    np.testing.assert_array_equal(quarters, [[1, 1, 0, 0]] * 2 + [[1, 1, 1, 1]] + [[0, 0, 1, 1]] * 2)


@pytest.mark.parametrize(("mask", "message"), [(np.zeros(3), "shape"), (np.full((3, 3), 2.0), "0 to 1")])
def test_what_is_no_mask_is_named(mask, message):
    with pytest.raises(codec.SdcArgumentError, match=message):
        mask_to_latent(mask, (3, 3), (24, 24), 8)


def test_every_image_takes_its_own_mask():
    latents = np.random.default_rng(0).normal(size=(2, 4, 16, 16))
    masks = np.zeros((2, 16, 16))
    masks[0, :, :8] = masks[1, :, 8:] = 1
    pairs = codec.encode(latents, max_bytes=300, mask=masks)
    alone = [codec.encode([latent], max_bytes=300, mask=mask)[0] for latent, mask in zip(latents, masks, strict=True)]
    assert pairs == alone
    assert codec.encode(latents, max_bytes=300, mask=masks[0])[0] == alone[0] != codec.encode(latents, max_bytes=300)[0]
    with pytest.raises(codec.SdcArgumentError, match="2 masks for 1 latents"):
        codec.encode(latents[:1], mask=masks)
