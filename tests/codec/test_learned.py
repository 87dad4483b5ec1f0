"""The learned codec: sizes and qualities, exactness against a second decoder, and whatever a stranger puts into it."""

import re
import struct
import zlib

import numpy as np
import plain_decoder
import pytest
import sdc_codec as codec
from hypothesis import given, settings
from hypothesis import strategies as st
from sdc_codec import container, learned
from sdc_codec.learned import weights as weights_module
from sdc_codec.learned.layers import LIMITS

QUALITIES = (1, 24, 48, 79, 100)
LONGEST = 4 + 5 * 8 * 8 * 24  # bytes of a payload for a latent of 16 x 16, with 24 coefficients for each 2 x 2

OTHERS = [name for name in codec.LEARNED_FORMATS if name != "SD1.x"]


def latent_of(height, width, seed=0, latent_format="SD1.x"):
    """About as rough, and as far from zero, as the latents of photographs are."""
    rng, channels = np.random.default_rng(seed), codec.by_name(latent_format).channels
    coarse = rng.normal(size=(channels, height // 4 + 2, width // 4 + 2)) * 6
    smooth = coarse.repeat(4, 1).repeat(4, 2)[:, :height, :width]
    return (smooth + rng.normal(size=(channels, height, width)) * 2).astype(np.float32)


def weights_of(latent_format):
    return weights_module.load_weights(learned.NEWEST[latent_format])


def with_section(data: bytes, section: bytes) -> bytes:
    """The file with another section L, and a checksum that is right."""
    body = data[:20] + b"L" + len(section).to_bytes(3, "little") + section
    return body + struct.pack("<I", zlib.crc32(body))


def section_of(image) -> bytes:
    return bytes(container.parse(image.data, 1 << 30)[1]["L"])


def plain(data: bytes):
    """What the second decoder makes of it, None where it refuses."""
    try:
        return plain_decoder.decode(data, max_pixels=1 << 20)[0]
    except plain_decoder.Refused:
        return None


def ours(data: bytes):
    try:
        return codec.decode(codec.load(data, max_pixels=1 << 20)).astype("<f4").tobytes()
    except codec.SdcError:
        return None


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 40), (29, 7), (16, 24)])
@pytest.mark.parametrize("quality", QUALITIES)
def test_the_second_decoder_agrees_to_the_bit(shape, quality):
    image = codec.encode([latent_of(*shape)], quality=quality)[0]
    assert codec.load(image.data) == image and image.coder == "learned" and image.colors is None
    latent = codec.decode(image)
    assert latent.shape == (4, *shape) and latent.dtype == np.float32 and np.isfinite(latent).all()
    assert plain(image.data) == latent.astype("<f4").tobytes()


@pytest.mark.parametrize("latent_format", OTHERS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (12, 8)])
def test_every_latent_format_is_decoded_alike_by_both(latent_format, shape):
    latent = latent_of(*shape, latent_format=latent_format)
    for quality in (1, 55, 100):
        image = codec.encode([latent], quality=quality, latent_format=latent_format)[0]
        decoded = codec.decode(image)
        assert decoded.shape == latent.shape and np.isfinite(decoded).all()
        assert plain(image.data) == decoded.astype("<f4").tobytes()


@pytest.mark.parametrize("latent_format", OTHERS)
def test_every_latent_format_has_a_dial(latent_format):
    """From coarse to fine, and by size; errors in the latent's own units, as they are estimated."""
    latent = latent_of(24, 32, latent_format=latent_format) / 4
    images = [codec.encode([latent], quality=q, latent_format=latent_format)[0] for q in (1, 36, 71, 100)]
    errors = [np.square(codec.decode(image) - latent).mean() for image in images]
    assert errors == sorted(errors, reverse=True) and [p.num_bytes for p in images] == sorted(
        p.num_bytes for p in images
    )
    assert errors[-1] < 0.35 * np.square(latent - latent.mean((1, 2), keepdims=True)).mean()
    size = images[1].num_bytes + 40
    assert 0.96 * size <= codec.encode([latent], max_bytes=size, latent_format=latent_format)[0].num_bytes <= size


def test_values_far_out_are_coded_by_escapes():
    latent = latent_of(8, 8)
    latent[:, 3, 3] = [3000, -60000, 65504, -65504]
    image = codec.encode([latent], quality=100)[0]
    assert np.isfinite(codec.decode(image)).all() and plain(image.data) == ours(image.data) is not None


def test_no_payload_is_longer_than_a_reader_takes():
    """The largest values that the format has, of both signs in turn, at the finest quality: mostly escapes."""
    signs = np.resize([65504, -65504, -65504, 65504, 65504], (4, 15, 16)).astype(np.float32)
    image = codec.encode([signs], quality=100)[0]
    assert LONGEST / 2 < len(section_of(image)) - 5 <= LONGEST
    assert plain(image.data) == ours(image.data) is not None


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_payloads_end_in_a_latent_or_a_named_error_and_both_decoders_agree(data):
    height, width = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    latent_format = data.draw(st.sampled_from(codec.LEARNED_FORMATS))
    latent = latent_of(height, width, latent_format=latent_format)
    quality = data.draw(st.sampled_from(QUALITIES))
    image = codec.encode([latent], quality=quality, latent_format=latent_format)[0]
    section = bytearray(section_of(image))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(4, len(section) - 1))  # the name of the weights stays
        section[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, 6))
    damaged = bytes(section[: len(section) - cut]) + data.draw(st.binary(max_size=4))
    file = with_section(image.data, damaged)
    assert ours(file) == plain(file)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s[:4], codec.SdcFormatError, "4 bytes"),
        (lambda s: bytes(4) + s[4:], codec.SdcUnsupportedError, "weights 00000000"),
        (lambda s: s[:-2], codec.SdcFormatError, "ends after"),
        (lambda s: s + b"\0\0", codec.SdcFormatError, "end"),
        (lambda s: s[:-1], codec.SdcFormatError, "bytes"),
        (lambda s: s[:5], codec.SdcFormatError, "bytes"),
        (lambda s: s[:5] + bytes(len(s) - 5), codec.SdcFormatError, "state"),
        (lambda s: s[:5] + b"\1\0" + bytes(LONGEST - 2), codec.SdcFormatError, "state|left"),
        (lambda s: s[:5] + b"\1\0" + bytes(LONGEST), codec.SdcFormatError, f"no encoder writes more than {LONGEST}"),
    ],
)
def test_what_no_encoder_writes_is_named(change, error, message):
    image = codec.encode([latent_of(16, 16)], quality=48)[0]
    with pytest.raises(error, match=message):
        codec.decode(codec.load(with_section(image.data, change(section_of(image)))))


def test_weights_of_another_latent_format_are_refused():
    image = codec.encode([latent_of(4, 4)], quality=5)[0]
    data = image.data[:8] + b"\x02" + image.data[9:-4]  # SDXL, with as many channels
    with pytest.raises(codec.SdcFormatError, match="SD1.x, not for SDXL"):
        codec.load(data + struct.pack("<I", zlib.crc32(data)))


def test_palettes_and_the_learned_codec_do_not_mix(build_file, small_sections):
    for sections, coder in ((small_sections, 2), ([(b"L", bytes(9))], 0), ([*small_sections, (b"L", bytes(9))], 0)):
        with pytest.raises(codec.SdcFormatError, match="sections are"):
            codec.load(build_file(sections, coder=coder))


def test_a_latent_too_large_for_the_coder_costs_nothing():
    data = bytearray(codec.encode([latent_of(2, 2)], quality=1)[0].data[:-4])
    data[10:14] = struct.pack("<HH", 2049, 1)
    with pytest.raises(codec.SdcFormatError, match="2049"):
        codec.load(bytes(data) + struct.pack("<I", zlib.crc32(bytes(data))))
    with pytest.raises(codec.SdcArgumentError, match="2048"):
        codec.encode([np.zeros((4, 1, 2049))], quality=1)[0]


@pytest.mark.parametrize("size", [1400, 2000, 3200, 5000])
def test_a_size_is_met_within_two_percent_and_never_passed(size):
    image = codec.encode([latent_of(64, 64)], max_bytes=size)[0]
    assert 0.975 * size <= image.num_bytes <= size
    described = codec.encode([latent_of(64, 64)], max_bytes=size, metadata={"prompt": "a fox"})[0]
    assert described.num_bytes > image.num_bytes and codec.with_metadata(described, None) == image


def test_bits_per_pixel_are_those_of_the_true_image():
    image = codec.encode([latent_of(32, 32)], bits_per_pixel=0.2, width=250, height=249)[0]
    assert 0.195 < image.bits_per_pixel <= 0.2


def test_what_cannot_get_so_small_says_what_would_do():
    with pytest.raises(
        codec.SdcArgumentError, match=r"^bits_per_pixel is 0\.01, 77 bytes here; even at its"
    ) as refused:
        codec.encode([latent_of(32, 32)], bits_per_pixel=0.01, width=250, height=249)[0]
    least = float(re.search(r"use ([0-9.]+) or more", str(refused.value))[1])
    assert codec.encode([latent_of(32, 32)], bits_per_pixel=least, width=250, height=249)[0].bits_per_pixel <= least


@pytest.mark.parametrize(("height", "width"), [(1, 1), (64, 64), (32, 200), (127, 128)])
def test_an_icon_fits_by_itself(height, width):
    """Of so few pixels not even the frame of a file is paid for."""
    (image,) = codec.encode([latent_of(-(-height // 8), -(-width // 8))], width=width, height=height)
    assert image.num_bytes <= 0.095 * 128 * 128 / 8
    assert image.num_bytes > 180 or image.quality == 100


def test_finer_is_larger_and_nearer():
    latent = latent_of(32, 32)
    images = [codec.encode([latent], quality=quality)[0] for quality in QUALITIES]
    errors = [np.square(codec.decode(image) - latent).mean() for image in images]
    assert errors == sorted(errors, reverse=True) and [p.num_bytes for p in images] == sorted(
        p.num_bytes for p in images
    )
    estimates = [codec.estimate_error(image) for image in images]
    assert estimates == sorted(estimates, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quality": 3, "max_bytes": 900}, "max_bytes and quality exclude each other"),
        ({"quality": 101}, "quality is 101"),
        ({"quality": 0}, "quality is 0"),
        ({"quality": "fine"}, "quality is 'fine'"),
        ({"max_bytes": 60}, "max_bytes is 60; even at its coarsest"),
        ({"max_bytes": 0}, "max_bytes is 0"),
        ({"colors": 3}, "the preset best does not use colors; it uses bits_per_pixel, max_bytes, quality, mask"),
        ({"bits_per_pixel": 0}, "bits_per_pixel"),
        ({"bits_per_pixel": float("nan")}, "bits_per_pixel"),
        ({"quality": 3, "mask": np.zeros(3)}, "mask has shape"),
        ({"quality": 3, "mask": np.full((16, 16), 2.0)}, "0 to 1"),
        ({"quality": 3, "latent": np.full((4, 16, 16), np.nan)}, "NaN"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    latent = arguments.pop("latent", None)
    with pytest.raises(codec.SdcArgumentError, match=message):
        codec.encode([latent_of(16, 16) if latent is None else latent], **arguments)


def test_a_latent_format_without_weights_is_named(monkeypatch):
    monkeypatch.delitem(learned.NEWEST, "SD1.x")
    with pytest.raises(codec.SdcArgumentError, match=r"best cannot encode SD1\.x.*fine does not use quality"):
        codec.encode([latent_of(4, 4)], quality=2)
    assert codec.encode([latent_of(4, 4)]) == codec.encode([latent_of(4, 4)], "fine")


def test_all_weights_together_stay_small():
    assert sum(path.stat().st_size for path in weights_module.FOLDER.glob("*.npz")) <= 6_000_000


@pytest.mark.parametrize("latent_format", codec.LEARNED_FORMATS)
def test_no_sum_of_the_decoder_can_become_inexact(latent_format):
    """The bound that is checked when weights are loaded, by inputs of the worst signs and in Python's integers."""
    weights = weights_of(latent_format)
    for name, conv in weights.convs.items():
        worst = np.sign(conv.weights) * conv.max_input
        for column, inputs in zip(conv.weights.T[:8], worst.T[:8], strict=True):
            exact = sum(int(a) * int(b) for a, b in zip(column, inputs, strict=True))
            assert abs(exact) < LIMITS[conv.weights.dtype], name
            assert float(inputs.astype(conv.weights.dtype) @ column) == exact, name


@pytest.mark.parametrize("groups", [(0, 4, 6, 14), (4, 4, 6, 243), (4, 4, 6), (4, 4, 6, 11)])
def test_groups_that_do_not_fit_are_not_believed(groups):
    path = weights_module.FOLDER / f"{learned.NEWEST['SD1.x'].hex()}.npz"
    with np.load(path) as arrays:
        changed = {**arrays, "groups": np.array(groups, np.int32)}
    with pytest.raises(ValueError, match=r"groups|\.w is int16"):
        weights_module.build_weights(changed)
    del changed["groups"]
    with pytest.raises(ValueError, match="groups is missing"):
        weights_module.build_weights(changed)


def test_damaged_weights_are_not_believed(tmp_path, monkeypatch):
    name = next(iter(learned.NEWEST.values()))
    data = bytearray((weights_module.FOLDER / f"{name.hex()}.npz").read_bytes())
    data[1000] ^= 1
    (tmp_path / f"{name.hex()}.npz").write_bytes(data)
    monkeypatch.setattr(weights_module, "FOLDER", tmp_path)
    weights_module.load_weights.cache_clear()
    with pytest.raises(codec.SdcUnsupportedError, match="damaged"):
        weights_module.load_weights(name)
    weights_module.load_weights.cache_clear()


def test_qualities_from_1_to_100_survive_the_byte_in_the_file_and_bytes_the_scale():
    assert [round(learned.quality_of_byte(learned.byte_of_quality(q))) for q in range(1, 101)] == list(range(1, 101))
    assert [learned.byte_of_quality(learned.quality_of_byte(b)) for b in range(256)] == list(range(256))
    (image,) = codec.encode([latent_of(4, 4)], quality=37)
    assert (image.quality, image.stored.describe()) == (37, "learned codec, quality 37")


def test_a_decoded_latent_is_kept_for_the_image_and_its_copies():
    (image,) = codec.encode([latent_of(16, 16)], quality=37)
    first = codec.decode(image)
    first[:] = 0  # the caller's own
    marked = codec.with_metadata(image, {"prompt": "x"})
    assert marked == codec.load(marked.data) and marked.metadata == {"prompt": "x"}
    hits = learned._decode_once.cache_info().hits
    again = codec.decode(marked)
    assert learned._decode_once.cache_info().hits == hits + 1
    loaded = codec.decode(codec.load(image.data))
    assert learned._decode_once.cache_info().hits == hits + 1
    np.testing.assert_array_equal(again, loaded)
