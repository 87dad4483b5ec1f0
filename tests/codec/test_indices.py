import numpy as np
import pytest
import sdc_codec as codec
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from sdc_codec.palette import indices


@pytest.mark.parametrize(
    ("values", "entries", "payload"),
    [
        ([0, 0, 0], 1, b""),
        ([1, 0, 1], 2, b"\xa0"),
        ([1, 2, 3, 0], 4, b"\x6c"),
        ([1, 2, 4], 5, b"\x2a\x00"),
        ([0x123, 0xABC], 4096, b"\x12\x3a\xbc"),
    ],
)
def test_fixed_length_bytes(values, entries, payload):
    values = np.array(values, np.uint16)
    assert indices._pack(values, indices.index_bits(entries)) == payload
    np.testing.assert_array_equal(indices.decode_indices(indices.FIXED, payload, len(values), entries), values)


@given(st.integers(1, 4096), st.integers(1, 300), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=150, deadline=None)
def test_round_trip(entries, count, seed, repetitive):
    values = np.random.default_rng(seed).integers(entries, size=count)
    if repetitive:
        values = np.resize(values[: 1 + count // 20], count)
    coder, payload = indices.code_indices(values, entries)
    np.testing.assert_array_equal(indices.decode_indices(coder, payload, count, entries), values)
    assert len(payload) <= (count * indices.index_bits(entries) + 7) // 8


def test_each_coder_is_chosen_where_it_is_shorter():
    noise = np.random.default_rng(0).integers(64, size=4096)
    assert indices.code_indices(noise, 64)[0] == indices.FIXED
    assert indices.code_indices(np.arange(4096) // 64, 64)[0] == indices.ZSTD


def test_equal_lengths_take_the_fixed_coder():
    values = np.zeros(1, np.uint16)
    assert indices.code_indices(values, 1) == (indices.FIXED, b"")


def test_large_palettes_are_two_planes():
    values = np.array([1, 256, 4095] * 100, np.uint16)
    coder, payload = indices.code_indices(values, 4096)
    content = zstandard.ZstdDecompressor().decompress(payload, max_output_size=600)
    assert coder == indices.ZSTD
    assert content == b"\x01\x00\xff" * 100 + b"\x00\x01\x0f" * 100


def test_the_frame_has_neither_size_nor_checksum():
    _, payload = indices.code_indices(np.zeros(4096, np.uint16), 64)
    parameters = zstandard.get_frame_parameters(payload)
    assert parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN
    assert not parameters.has_checksum and not parameters.dict_id
    assert parameters.window_size <= 8192


def frame(content, **options):
    return zstandard.ZstdCompressor(**options).compress(content)


SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"


def wide_window(content):
    parameters = zstandard.ZstdCompressionParameters(window_log=24, write_content_size=0)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize("entries", [1, 3])
def test_a_frame_may_declare_its_size_and_checksum(entries):
    payload = frame(bytes(12), write_checksum=True)
    np.testing.assert_array_equal(indices.decode_indices(indices.ZSTD, payload, 12, entries), np.zeros(12))


@pytest.mark.parametrize(
    ("coder", "payload", "message"),
    [
        (0, b"\x00", "take 1 bytes"),
        (0, bytes(4), "take 4 bytes"),
        (0, b"\x00\x00\x01", "must be 0"),
        (0, b"\xff\xff\xf0", "index is 7"),
        (1, b"", "nothing"),
        (1, b"\x28\xb5\x2f\xfd", "header"),
        (1, bytes(20), "start with"),
        (1, frame(bytes(11)), "inflate to 11"),
        (1, frame(b""), "inflate to 0"),
        (1, frame(bytes(13)), "declare 13"),
        (1, frame(bytes(13), write_content_size=False), "not one zstd frame"),
        (1, frame(bytes(12), write_checksum=True)[:-1] + b"\x00", "not one zstd frame"),
        (1, frame(bytes(12)) + b"\x00", "not one zstd frame"),
        (1, frame(bytes(12)) + frame(b""), "not one zstd frame"),
        (1, frame(bytes(12)) + SKIPPABLE, "not one zstd frame"),
        (1, SKIPPABLE + frame(bytes(12)), "start with"),
        (1, frame(bytes(range(12)))[:-1], "not one zstd frame"),
        (1, frame(b"\x05" + bytes(11)), "index is 5"),
        (1, wide_window(bytes(12)), "window"),
    ],
)
def test_bad_payloads_are_corrupt(coder, payload, message):
    with pytest.raises(codec.SdcFormatError, match=message):
        # Seven times three bits leave three bits of padding; zstd payloads stand for twelve indices.
        indices.decode_indices(coder, payload, 7 if coder == 0 else 12, 5)


def test_dictionaries_are_refused():
    dictionary = zstandard.train_dictionary(1024, [bytes([i, j, i ^ j]) * 20 for i in range(40) for j in range(40)])
    with pytest.raises(codec.SdcFormatError, match="dictionary"):
        indices.decode_indices(1, zstandard.ZstdCompressor(dict_data=dictionary).compress(bytes(12)), 12, 5)
