import re
import struct

import numpy as np
import pytest
import sdc_codec as codec
from sdc_codec import container


def test_a_file_written_by_hand_reads_as_the_specification_says(build_file, small_sections):
    data = build_file(small_sections)
    assert len(data) == 32 + len(small_sections[0][1]) + 1
    image = codec.load(data)
    assert (image.latent_format, image.channels) == ("SD1.x", 4)
    assert (image.latent_width, image.latent_height, image.width, image.height) == (2, 1, 16, 8)
    assert (image.coder, image.colors, image.metadata) == ("fixed", 2, {})
    assert image.data == data and image.num_bytes == len(data) and image.bits_per_pixel == 8 * len(data) / 128
    np.testing.assert_array_equal(codec.decode(image), [[[1, -1]], [[2, 0]], [[0.5, 0.5]], [[4, -4]]])


def test_the_writer_gives_exactly_these_bytes(build_file, small_sections):
    header = container.Header(1, 4, 1, 2, 16, 8, 1, 0)
    assert container.pack(header, {"P": small_sections[0][1], "I": b"\x80"}) == build_file(small_sections)


def test_bytes_like_objects_are_read(build_file, small_sections):
    data = build_file(small_sections)
    assert codec.load(bytearray(data)) == codec.load(memoryview(data)) == codec.load(data)


def test_text_is_refused():
    with pytest.raises(codec.SdcArgumentError, match="bytes"):
        codec.load("image.sdc")


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04", "another kind"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "StarOffice"),
        (b"\x93SDC\n\x1a\x01\x01", "text mode"),
        (b"\x93SDC\r\r\n\x1a", "text mode"),
        (b"\x13SDC\r\n\x1a", "another kind"),
    ],
)
def test_other_files_are_named_as_such(start, message):
    with pytest.raises(codec.SdcFormatError, match=message):
        codec.load(start + bytes(100))


def test_every_shorter_piece_of_a_file_is_truncated(build_file, small_sections):
    data = build_file(small_sections)
    for length in range(len(data)):
        # When the cut takes exactly the last section, the header of that section stands where the checksum was.
        expected = codec.SdcChecksumError if length == len(data) - 5 else codec.SdcFormatError
        with pytest.raises(expected):
            codec.load(data[:length])


def test_trailing_bytes_are_refused(build_file, small_sections):
    for extra in (b"\x00", b"\x00" * 4, b"m\x00\x00\x00", b"\x00" * 100):
        with pytest.raises(codec.SdcError):
            codec.load(build_file(small_sections) + extra)


def test_damage_is_a_checksum_error(build_file, small_sections):
    data = bytearray(build_file(small_sections))
    data[30] ^= 4
    with pytest.raises(codec.SdcChecksumError, match="damaged"):
        codec.load(bytes(data))
    with pytest.raises(codec.SdcChecksumError):
        codec.load(build_file(small_sections, crc=0))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"version": 2}, codec.SdcUnsupportedError, "version 2"),
        ({"version": 0}, codec.SdcUnsupportedError, "version 0"),
        ({"latent_format": 255}, codec.SdcUnsupportedError, "latent format 255"),
        ({"latent_format": 0, "channels": 200}, codec.SdcFormatError, "200 channels need 800"),
        ({"images": 2}, codec.SdcFormatError, "2 images by coder 0"),
        ({"images": 0}, codec.SdcFormatError, "no image"),
        ({"channels": 16}, codec.SdcFormatError, "16 channels"),
        ({"channels": 0}, codec.SdcFormatError, "0 channels"),
        ({"latent_height": 0}, codec.SdcFormatError, "empty size"),
        ({"latent_width": 0}, codec.SdcFormatError, "empty size"),
        ({"width": 0}, codec.SdcFormatError, "empty size"),
        ({"height": 0}, codec.SdcFormatError, "empty size"),
        ({"width": 65535, "height": 65535}, codec.SdcLimitError, "max_pixels"),
        ({"latent_width": 65535, "latent_height": 65535}, codec.SdcLimitError, "max_pixels"),
        ({"coder": 3}, codec.SdcFormatError, "must be A"),
        ({"coder": 4}, codec.SdcFormatError, "must be N"),
        ({"coder": 5}, codec.SdcUnsupportedError, "coder 5"),
        ({"latent_width": 3}, codec.SdcFormatError, "must be 0"),
        ({"latent_width": 30}, codec.SdcFormatError, "take 1 bytes"),
    ],
)
def test_bad_headers(build_file, small_sections, fields, error, message):
    if fields.get("latent_width") == 3:
        small_sections[1] = (b"I", b"\x90")
    with pytest.raises(error, match=message):
        codec.load(build_file(small_sections, **fields))


@pytest.mark.parametrize(
    ("payload", "order", "message"),
    [
        (b"\2\0", "TPI", "2 frames; what coder 0 stores has one"),
        (b"\0\0", "TPI", "section T"),
        (b"", "TPI", "section T"),
        (b"\1\0\0", "TPI", "section T"),
        (b"\1\0", "PTI", "sections are 'PTI'"),
        (b"\1\0", "TPIT", "sections are 'PIT'"),
        (b"\xff\xff", "TPI", "8388480 pixels and 2000000 are allowed"),
    ],
)
def test_bad_frames(build_file, small_sections, payload, order, message):
    payloads = {"P": small_sections[0][1], "I": small_sections[1][1], "T": payload}
    with pytest.raises(codec.SdcError, match=message):
        codec.load(build_file([(tag.encode(), payloads[tag]) for tag in order]), max_pixels=2_000_000)


def test_the_limit_can_be_moved_both_ways(build_file, small_sections):
    data = build_file(small_sections)
    assert codec.load(data, max_pixels=128).width == 16
    with pytest.raises(codec.SdcLimitError, match="128 pixels and 127"):
        codec.load(data, max_pixels=127)
    large = build_file(small_sections, width=65535, height=65535)
    assert codec.load(large, max_pixels=1 << 33).width == 65535


@pytest.mark.parametrize("order", ["", "P", "I", "IP", "PmI", "mPI", "PPI", "PII", "PImm", "PIaba", "PIP"])
def test_sections_out_of_order_are_corrupt(build_file, small_sections, order):
    payloads = {"P": small_sections[0][1], "I": small_sections[1][1]}
    sections = [(tag.encode(), payloads.get(tag, b"")) for tag in order]
    with pytest.raises(codec.SdcError) as caught:
        codec.load(build_file(sections))
    # Without sections, or with an empty one alone, the file is too short to be anything.
    assert type(caught.value) is (codec.SdcFormatError if order in ("", "I") else codec.SdcFormatError)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_unknown_required_sections_are_named(build_file, small_sections, position):
    small_sections.insert(position, (b"Q", b"needed"))
    with pytest.raises(codec.SdcUnsupportedError, match="section 'Q'"):
        codec.load(build_file(small_sections))


@pytest.mark.parametrize("tag", [b"\x00", b"1", b"[", b"\xe9"])
def test_tags_are_letters(build_file, small_sections, tag):
    with pytest.raises(codec.SdcFormatError, match="tag byte"):
        codec.load(build_file([*small_sections, (tag, b"")]))


def test_unknown_optional_sections_are_skipped_and_survive_new_metadata(build_file, small_sections):
    sections = [*small_sections, (b"z", b"first"), (b"a", b"")]
    image = codec.load(build_file(sections))
    described = codec.with_metadata(image, {"prompt": "a house"})
    assert described.metadata == {"prompt": "a house"}
    assert described.data[:-4].startswith(image.data[:-4])
    assert codec.with_metadata(described, None) == image


def test_a_section_above_24_bits_of_length_cannot_be_written():
    with pytest.raises(codec.SdcArgumentError, match="16777216"):
        container.pack(container.Header(1, 4, 1, 2, 16, 8, 1, 0), {"P": bytes(1 << 24)})


def test_no_file_is_above_32_mib(build_file, small_sections):
    full = [*small_sections, (b"y", bytes((1 << 24) - 1))]
    room = codec.MAX_FILE_BYTES - len(build_file(full)) - 4
    data = build_file([*full, (b"z", bytes(room))])
    assert len(data) == 1 << 25 and codec.load(data).num_bytes == 1 << 25
    larger = build_file([*full, (b"z", bytes(room + 1))])
    with pytest.raises(codec.SdcLimitError, match="33554433 bytes"):
        codec.load(larger)
    with pytest.raises(codec.SdcArgumentError, match="allows 33554432"):
        codec.with_metadata(codec.load(data), {"prompt": "one more section"})


def test_empty_sections_without_end_stop_at_52(build_file, small_sections):
    letters = [bytes([letter]) for letter in b"abcdefghijklnopqrstuvwxyz"]
    assert codec.load(build_file([*small_sections, *[(letter, b"") for letter in letters]])).colors == 2
    with pytest.raises(codec.SdcFormatError, match="more than 52"):
        codec.load(build_file([*small_sections, *[(b"z", b"")] * 10_000]))


def test_the_smallest_file_can_ask_for_the_largest_latent_and_no_larger(build_file):
    one_color = [(b"P", bytes(20)), (b"I", b"")]
    largest = codec.load(build_file(one_color, latent_height=65535, latent_width=64))
    assert codec.decode(largest).shape == (4, 65535, 64)
    with pytest.raises(codec.SdcLimitError, match="268566528 pixels"):
        codec.load(build_file(one_color, latent_height=2048, latent_width=2049))
    with pytest.raises(codec.SdcLimitError):
        codec.load(build_file(one_color), max_pixels=127)


def test_a_section_length_beyond_the_file_is_truncated(build_file, small_sections):
    data = bytearray(build_file(small_sections))
    data[21:24] = struct.pack("<I", 0xFFFFFF)[:3]
    with pytest.raises(codec.SdcFormatError, match="is incomplete"):
        codec.load(bytes(data))


def test_the_specification_names_every_error(root):
    named = set(re.findall(r"`(Sdc\w*Error)`", (root / "codec" / "FORMAT.md").read_text("utf-8")))
    assert named == {name for name in codec.__all__ if name.endswith("Error")}


def test_every_error_is_a_value_error():
    family = [getattr(codec, name) for name in codec.__all__ if name.endswith("Error")]
    assert len(family) == 6
    assert all(issubclass(error, codec.SdcError) and issubclass(error, ValueError) for error in family)
