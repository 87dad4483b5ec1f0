import dataclasses

import numpy as np
import pytest
import sdc_codec as codec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sdc_codec import container
from sdc_codec.palette import quantizer

LATENTS = hnp.arrays(
    np.float32,
    st.tuples(st.just(4), st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(-65504, 65504, width=32),
)


@given(LATENTS, st.integers(2, 70), st.sampled_from(codec.DITHERS), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_any_latent_gives_a_file_that_reads_back(latent, colors, dither, strength):
    image = codec.encode([latent], "custom", colors=colors, dither=dither, dither_strength=strength)[0]
    assert codec.load(image.data) == image
    restored = codec.decode(codec.load(image.data))
    assert restored.dtype == np.float32 and restored.shape == latent.shape and restored.flags.c_contiguous
    assert len(np.unique(restored.reshape(4, -1), axis=1).T) <= image.colors <= colors
    np.testing.assert_array_equal(restored, codec.decode(image))


@given(LATENTS)
@settings(max_examples=50, deadline=None)
def test_with_an_entry_for_every_value_the_error_is_a_palette_step(latent):
    restored = codec.decode(codec.encode([latent], "custom", colors=4096, dither="none")[0])
    span = np.ptp(latent.reshape(4, -1).astype(float), axis=1).max()
    assert np.abs(restored - latent).max() <= 1.01 * span / 255 + 2**-10 * np.abs(latent).max() + 1e-6


def test_the_paper_preset_fits_its_rate_even_for_noise():
    latent = np.random.default_rng(0).normal(scale=5, size=(4, 64, 64))
    image = codec.encode([latent], "paper")[0]
    assert image.coder == "fixed" and image.colors == 64
    assert image.num_bytes == 32 + 4 * 4 + 64 * 4 + 64 * 64 * 6 // 8 == 3376
    assert image.bits_per_pixel == 3376 * 8 / 512**2


def test_framing_is_32_bytes(smooth_latent):
    image = codec.encode([smooth_latent()], "custom", colors=16)[0]
    _, sections = container.parse(image.data, 1 << 30)
    assert image.num_bytes - sum(map(len, sections.values())) == 32


def test_undithered_error_is_below_the_spread_of_the_latent(smooth_latent):
    latent = smooth_latent(height=64, width=64)
    error = {
        count: np.std(codec.decode(codec.encode([latent], "custom", colors=count, dither="none")[0]) - latent)
        for count in (8, 64, 512)
    }
    assert np.std(latent) > error[8] > error[64] > error[512]


def test_every_undithered_pixel_has_its_nearest_entry(smooth_latent):
    latent = smooth_latent()
    restored = codec.decode(codec.encode([latent], "custom", colors=16, dither="none")[0]).reshape(4, -1).T
    entries = np.unique(restored, axis=0)
    pixels = latent.reshape(4, -1).T.astype(float)
    distance = np.square(pixels[:, None] - entries).sum(axis=2)
    np.testing.assert_allclose(np.square(pixels - restored).sum(axis=1), distance.min(axis=1), rtol=1e-9)


def test_dither_keeps_local_means_where_the_palette_reaches_around_them():
    # Two plateaus pull the palette's ends out to -1 and 1; the ramp between them lies inside.
    ramp = np.clip(np.linspace(-2, 2, 64), -1, 1)
    latent = np.broadcast_to(ramp, (4, 64, 64))

    def blurred_error(**options):
        error = codec.decode(codec.encode([latent], "custom", colors=4, **options)[0]) - latent
        return np.std(error.reshape(4, 8, 8, 8, 8).mean(axis=(2, 4)))

    none, half, full = (blurred_error(dither_strength=strength) for strength in (0, 0.5, 1))
    assert full < half < none
    assert blurred_error(dither="none") == none


def test_constant_latents_take_one_color_and_no_indices():
    latent = np.broadcast_to(np.array([0.5, -2, 0, 65504], np.float32)[:, None, None], (4, 5, 7))
    image = codec.encode([latent], "custom")[0]
    assert (image.colors, image.coder, image.num_bytes) == (1, "fixed", 32 + 16 + 4)
    np.testing.assert_array_equal(codec.decode(image), latent)


def test_unused_entries_are_dropped_and_the_rest_sorted(smooth_latent):
    image = codec.encode([smooth_latent(height=8, width=8)], "custom", colors=64)[0]
    _, sections = container.parse(image.data, 1 << 30)
    components = np.frombuffer(sections["P"][16:], np.uint8).reshape(-1, 4).tolist()
    assert components == sorted(map(list, {tuple(entry) for entry in components}))
    assert len(components) == image.colors == len(np.unique(codec.decode(image).reshape(4, -1), axis=1).T)


def test_the_same_call_gives_the_same_file_and_the_seed_matters(smooth_latent):
    latent = smooth_latent()
    assert codec.encode([latent], "custom", seed=7)[0] == codec.encode([latent.copy()], "custom", seed=7)[0]
    assert codec.encode([latent], "custom", seed=7)[0] != codec.encode([latent], "custom", seed=8)[0]
    codec.encode([latent], "custom", seed=2**64 - 1)[0]


def test_number_types_and_memory_order_do_not_matter(smooth_latent):
    latent = smooth_latent().astype(np.float16)
    expected = codec.encode([latent], "custom")[0]
    assert codec.encode([latent.astype(np.float64)], "custom")[0] == expected
    assert codec.encode([np.asfortranarray(latent)], "custom")[0] == expected


def test_the_latent_is_left_alone(smooth_latent):
    latent = smooth_latent().astype(np.float64)
    before = latent.copy()
    codec.encode([latent], "custom")[0]
    np.testing.assert_array_equal(latent, before)


@pytest.mark.parametrize("latent_format", codec.LATENT_FORMATS, ids=lambda latent_format: latent_format.name)
def test_every_latent_format(latent_format, smooth_latent):
    latent = smooth_latent(channels=latent_format.channels, height=6, width=10)
    image = codec.load(codec.encode([latent], "custom", latent_format=latent_format.name)[0].data)
    assert (image.latent_format, image.channels) == (latent_format.name, latent_format.channels)
    sides = 6 * latent_format.spatial_factor, 10 * latent_format.spatial_factor
    assert (image.latent_height, image.latent_width, image.height, image.width) == (6, 10, *sides)
    np.testing.assert_allclose(codec.decode(image), latent, atol=0.1)


def test_true_size_and_metadata_are_kept(smooth_latent):
    described = {"prompt": "boats, évening", "workflow": {"nodes": [{"id": 1}]}, "other": [1, 2.5, None]}
    image = codec.encode([smooth_latent()], "custom", width=190, height=121, metadata=described)[0]
    assert codec.load(image.data).metadata == described
    assert (image.width, image.height) == (190, 121)
    described["prompt"] = "changed"
    assert image.metadata["prompt"] == "boats, évening"


def test_with_metadata_replaces_only_metadata(smooth_latent):
    plain = codec.encode([smooth_latent()], "custom")[0]
    first = codec.with_metadata(plain, {"prompt": "one"})
    second = codec.with_metadata(first, {"prompt": "two", "x": 1})
    assert (plain.metadata, first.metadata, second.metadata) == ({}, {"prompt": "one"}, {"prompt": "two", "x": 1})
    assert second.data.startswith(plain.data[:-4]) and codec.with_metadata(second, {}) == plain
    np.testing.assert_array_equal(codec.decode(second), codec.decode(plain))
    with pytest.raises(codec.SdcArgumentError, match="metadata"):
        codec.with_metadata(plain, {"x": float("nan")})


def test_what_the_learned_codec_has_stored_cannot_be_relabeled(smooth_latent):
    learned = codec.encode([smooth_latent()], quality=9)[0]
    assert codec.relabeled(learned, "SD1.x") is learned
    with pytest.raises(codec.SdcArgumentError, match="again, as SDXL"):
        codec.relabeled(learned, "SDXL")
    with pytest.raises(codec.SdcArgumentError, match="choose one of"):
        codec.relabeled(learned, "SDXXL")


def test_images_are_frozen_hashable_and_short_to_print(smooth_latent):
    image = codec.encode([smooth_latent()], "custom", metadata={"prompt": "x"})[0]
    assert {image: 1}[codec.load(image.data)] == 1
    assert len(repr(image)) < 300 and "SD1.x" in repr(image)
    with pytest.raises(dataclasses.FrozenInstanceError):
        image.width = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": np.zeros((1, 4, 8, 8))}, "which come first"),
        ({"latent": np.zeros((8, 8))}, "shape"),
        ({"latent": np.zeros((3, 8, 8))}, "4 channels"),
        ({"latent": np.zeros((4, 8, 8)), "latent_format": "Flux"}, "16 channels"),
        ({"latent": np.zeros((4, 0, 8))}, "1 to 65535"),
        ({"latent": np.zeros((4, 8, 0))}, "1 to 65535"),
        ({"latent": np.zeros((4, 1, 65536), np.uint8)}, "1 to 65535"),
        ({"latent": np.full((4, 8, 8), np.nan)}, "NaN"),
        ({"latent": np.full((4, 8, 8), -np.inf)}, "NaN or infinity"),
        ({"latent": np.full((4, 8, 8), 65505.0)}, "65505"),
        ({"latent": np.zeros((4, 8, 8), complex)}, "complex"),
        ({"latent": np.zeros((4, 8, 8), bool)}, "bool"),
        ({"latent": "latent.npy"}, "latent"),
        ({"preset": "tiny"}, "best, fine, clean, paper, archive, custom"),
        ({"max_bytes": 900}, "the preset custom does not use max_bytes"),
        ({"colors": 1}, "colors is 1"),
        ({"colors": 4097}, "2 to 4096"),
        ({"colors": 64.0}, "colors"),
        ({"colors": "64"}, "colors"),
        ({"dither": "bayer"}, "floyd-steinberg, none"),
        ({"dither_strength": -0.1}, "dither_strength"),
        ({"dither_strength": 1.5}, "dither_strength"),
        ({"dither_strength": float("nan")}, "dither_strength"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed"),
        ({"latent_format": "SD9"}, "SD1.x, SDXL, SD3, Flux"),
        ({"width": 0}, "width is 0"),
        ({"width": 65536}, "1 to 65535"),
        ({"height": 8.5}, "height"),
        ({"latent": np.zeros((4, 1, 8192), np.uint8)}, "width is 65536"),
        ({"metadata": {"prompt": None}}, "prompt"),
        ({"metadata": ["prompt"]}, "object"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"latent": np.zeros((4, 8, 8)), **changes}
    with pytest.raises(codec.SdcArgumentError, match=message):
        codec.encode([arguments.pop("latent")], **{"preset": "custom", **arguments})


def test_work_grows_with_area_and_training_does_not(monkeypatch):
    matched, trained = [], []
    nearest, kmeans = quantizer.nearest, quantizer.kmeans

    def counting_nearest(points, entries):
        matched.append(len(points))
        return nearest(points, entries)

    def counting_kmeans(points, count, rng):
        trained.append(len(points))
        return kmeans(points, count, rng)

    monkeypatch.setattr(quantizer, "nearest", counting_nearest)
    monkeypatch.setattr(quantizer, "kmeans", counting_kmeans)
    rng = np.random.default_rng(0)
    for side in (64, 256, 512):
        codec.encode([rng.normal(size=(4, side, side))], "custom", colors=4, dither="none")[0]
    assert matched == [64**2, 256**2, 512**2]
    assert trained == [64**2, 256**2, 256**2]
