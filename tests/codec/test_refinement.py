"""Latents refined for the image that their files are to show."""

from functools import partial

import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
import torch
from PIL import Image
from sdc_pack.codec.autoencoder import images, refinement, tiny_vae
from sdc_pack.codec.autoencoder.judge import Judge
from sdc_pack.codec.autoencoder.learned_network import Network
from sdc_pack.codec.learned import NEWEST, byte_of_quality
from sdc_pack.codec.learned.weights import FOLDER, UNIT, load_weights

BY_SIZE = partial(codec.encode, max_bytes=330)
FEW = 10  # steps


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge().eval()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Eileen Collins, photographed by NASA, public domain: (128, 128, 3) uint8, most of the face."""
    return photograph((128, 128), (150, 0, 400, 250))


def photograph(size: tuple[int, int], box=None) -> np.ndarray:
    image = Image.fromarray(skimage.data.astronaut()).crop(box) if box else Image.fromarray(skimage.data.astronaut())
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


@torch.no_grad()
def difference(judge: Judge, image: codec.EncodedImage, pixels: np.ndarray, part=slice(None)) -> float:
    """How different the decoded image looks, as it is and through blurs, by which nothing was chosen."""
    shown = images.decode_image(image)
    pair = torch.from_numpy(np.stack([shown[part], pixels[part]])).permute(0, 3, 1, 2).float() / 255
    blurred = torch.nn.functional.avg_pool2d(pair, 2)
    return sum(judge(each[:1], each[1:]).item() for each in (pair, blurred))


@pytest.fixture(scope="module")
def refined(pixels) -> codec.EncodedImage:
    (image,) = refinement.encode_refined([tiny_vae.encode_pixels(pixels)], [pixels], BY_SIZE, FEW)
    return image


def test_a_refined_file_is_as_large_and_looks_closer(judge, pixels, refined):
    latent = tiny_vae.encode_pixels(pixels)
    (plain,) = BY_SIZE([latent])
    assert 0.9 * plain.num_bytes < refined.num_bytes <= 330
    assert difference(judge, refined, pixels) < 0.93 * difference(judge, plain, pixels)
    assert codec.load(refined.data) == refined  # a file like any other
    again = refinement.encode_refined([latent], [pixels], BY_SIZE, FEW)
    assert again == [refined]


def test_more_steps_look_closer(judge, pixels, refined):
    (two,) = refinement.encode_refined([tiny_vae.encode_pixels(pixels)], [pixels], BY_SIZE, 2)
    assert difference(judge, refined, pixels) < difference(judge, two, pixels)


def test_it_works_in_inference_mode_and_takes_no_random_numbers(pixels):
    latent = tiny_vae.encode_pixels(pixels[:64, :64])
    refinement._networks.cache_clear()
    state = torch.get_rng_state()
    with torch.inference_mode():  # as ComfyUI runs nodes
        inside = refinement.refine(latent, pixels[:64, :64], 50, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(refinement.refine(latent, pixels[:64, :64], 50, 2), inside)
    assert inside.shape == latent.shape and inside.dtype == np.float32 and not np.array_equal(inside, latent)


def test_a_large_image_is_refined_tile_by_tile(judge, pixels, monkeypatch):
    """Every latent changes, in pieces that know what is around them."""
    monkeypatch.setattr(refinement, "MAX_TILE", 8)
    monkeypatch.setattr(refinement, "MARGIN", 4)
    tiles = refinement._parts(refinement.MAX_TILE, 18, 16)
    assert {(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in tiles} == {(6, 8)}
    covered = np.zeros((18, 16), int)
    for rows, columns in tiles:
        covered[rows, columns] += 1
    assert (covered == 1).all()
    latent = tiny_vae.encode_pixels(pixels)
    (plain,), (refined,) = BY_SIZE([latent]), refinement.encode_refined([latent], [pixels], BY_SIZE, FEW)
    assert difference(judge, refined, pixels) < 0.95 * difference(judge, plain, pixels)
    assert (refinement.refine(latent, pixels, 50, 1) != latent).any(0).all()


def test_every_part_of_an_image_is_looked_at_as_often(judge, pixels, monkeypatch):
    """What is never seen would only lose bits: with windows at random the corners of large images got worse."""
    for height, width, least in ((512, 512, 2), (704, 336, 2), (640, 640, 6), (256, 320, 2), (2, 330, 1)):
        seen = np.zeros((height, width), int)
        for look in refinement._looks(least, height, width):
            seen[look] += 1
            assert max(seen[look].shape) <= refinement.WINDOW
        assert seen.min() == seen.max() >= least / (len(refinement._looks(1, height, width)))
    monkeypatch.setattr(refinement, "WINDOW", 64)
    latent = tiny_vae.encode_pixels(pixels)
    (plain,), (refined,) = BY_SIZE([latent]), refinement.encode_refined([latent], [pixels], BY_SIZE, FEW)
    corners = [(slice(top, top + 64), slice(left, left + 64)) for top in (0, 64) for left in (0, 64)]
    errors = [np.mean([difference(judge, image, pixels, corner) for corner in corners]) for image in (refined, plain)]
    assert errors[0] < 0.97 * errors[1]


@pytest.mark.parametrize("size", [(61, 43), (5, 9), (72, 40)])
def test_every_size_keeps_its_own(size, monkeypatch):
    monkeypatch.setattr(refinement, "STEPS", 2)
    pixels = photograph(size)
    image = images.encode_image(pixels, partial(codec.encode, quality=40), "thorough")
    assert (image.width, image.height) == size
    assert images.decode_image(image).shape == pixels.shape


@pytest.mark.parametrize("color", [0, 128, 255])
def test_an_image_without_anything_in_it(color, monkeypatch):
    monkeypatch.setattr(refinement, "STEPS", FEW)
    pixels = np.full((48, 64, 3), color, np.uint8)
    image = images.encode_image(pixels, partial(codec.encode, quality=60), "thorough")
    assert np.abs(images.decode_image(image).astype(int) - color).mean() < 8


def test_no_difference_at_all_is_no_error():
    """Where the file shows the image exactly, what is compared is 0."""
    latent = np.zeros((4, 8, 8), np.float32)
    (image,) = codec.encode([latent], quality=60)
    assert np.isfinite(refinement._cost(images.decode_image(image), "cpu", image))


def test_what_a_callback_raises_ends_the_work(pixels):
    shares = []

    def poll(share):
        shares.append(share)
        if len(shares) == 5:
            raise InterruptedError

    latent = tiny_vae.encode_pixels(pixels[:64, :64])
    with pytest.raises(InterruptedError):
        refinement.encode_refined([latent, latent], [pixels[:64, :64]] * 2, BY_SIZE, 3, poll=poll)
    assert shares == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6])


def test_a_palette_is_left_as_it_is(pixels):
    latent = tiny_vae.encode_pixels(pixels)
    encode = partial(codec.encode, preset="paper")
    assert refinement.encode_refined([latent], [pixels], encode, FEW) == encode([latent])


def test_an_effort_that_cannot_be_used_is_refused(pixels, monkeypatch):
    with pytest.raises(codec.SdcArgumentError, match="effort is 'most'; choose one of: fast, thorough"):
        images.encode_image(pixels, effort="most")
    monkeypatch.setattr(tiny_vae, "torch", None)
    with pytest.raises(codec.SdcUnsupportedError, match="effort thorough needs torch"):
        images.encode_image(pixels, effort="thorough")


@pytest.mark.parametrize("latent_format", NEWEST)
def test_the_network_says_what_the_codec_does(latent_format):
    """Decoded latents and bits, but for what is rounded otherwise here and there in floating point."""
    name = NEWEST[latent_format]
    weights = load_weights(name)
    network = Network(weights.channels, weights.groups)
    network.read((FOLDER / f"{name.hex()}.npz").read_bytes())
    quality = 50
    stored = byte_of_quality(quality)
    smooth = torch.nn.functional.interpolate(
        torch.randn(1, weights.channels, 8, 8, generator=torch.manual_seed(0)), scale_factor=4, mode="bilinear"
    )
    latent = (smooth[0].numpy() / weights.scale + weights.shift).astype(np.float32)
    (image,) = codec.encode([latent], quality=quality, latent_format=latent_format)
    steps = torch.from_numpy(np.log(weights.steps[stored] / UNIT)).float()[None, :, None, None]
    with torch.no_grad():
        coded, bits = network.coded(smooth, steps, torch.tensor([stored / 256]), hard=True)
    decoded = (codec.decode(image) - weights.shift) * weights.scale
    assert np.abs(coded[0].numpy() - decoded).mean() < 0.4 * np.abs(decoded - smooth[0].numpy()).mean()
    assert bits.item() / 8 == pytest.approx(len(image.stored.payload), rel=0.15)
