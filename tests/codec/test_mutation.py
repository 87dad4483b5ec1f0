"""Whatever happens to a file on its way, reading it gives a picture or an SdcError."""

import zlib

import numpy as np
import pytest
import sdc_codec as codec
import zstandard
from sdc_codec import metadata

CASES = 20_000


@pytest.fixture(scope="module")
def originals():
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:6, 0:9]
    smooth = np.stack([np.sin(x / 3), np.cos(y / 2), x / 9, y / 6])
    described = {"prompt": "a lighthouse", "workflow": {"nodes": [{"id": 1, "type": "SDCLoad"}], "version": 0.4}}
    pictures = [
        codec.encode(rng.normal(size=(4, 6, 9)), colours=8),
        codec.encode(np.repeat(smooth, 4, axis=2), colours=5, metadata=described),
        codec.encode(rng.normal(size=(4, 20, 20)), colours=300, dither="none", metadata=described),
        codec.encode(np.tile(rng.normal(size=(4, 17, 17)), (1, 3, 3)), colours=4096, dither="none"),
        codec.encode(np.ones((4, 3, 3))),
        codec.encode(np.repeat(rng.normal(size=(16, 5, 5)), 3, axis=1), colours=20, latent_format="Flux"),
    ]
    assert {picture.coder for picture in pictures} == {"fixed", "zstd"}
    return [picture.data for picture in pictures]


def flip_bits(data, rng):
    data = bytearray(data)
    for position in rng.integers(8 * len(data), size=rng.integers(1, 4)):
        data[position >> 3] ^= 1 << (position & 7)
    return bytes(data)


def replace_bytes(data, rng):
    start = int(rng.integers(len(data)))
    return data[:start] + rng.bytes(int(rng.integers(1, 9))) + data[start + int(rng.integers(0, 9)) :]


def change_header(data, rng):
    data = bytearray(data)
    data[int(rng.integers(7, min(24, len(data))))] = int(rng.choice([0, 1, 2, 3, 4, 16, 127, 128, 255]))
    return bytes(data)


def truncate(data, rng):
    return data[: int(rng.integers(len(data)))]


def splice(data, rng, other):
    return data[: int(rng.integers(len(data)))] + other[int(rng.integers(len(other))) :]


def sections_of(data):
    sections, position = [], 20
    while position < len(data) - 4:
        end = position + 4 + int.from_bytes(data[position + 1 : position + 4], "little")
        sections.append((data[position : position + 1], data[position + 4 : end]))
        position = end
    return sections


def exchange_sections(data, rng, other):
    """Damage, borrow, drop or repeat whole sections, with lengths that stay right."""
    sections = sections_of(data)
    chosen = int(rng.integers(len(sections)))
    tag, payload = sections[chosen]
    borrowed = sections_of(other)
    mutation = rng.integers(6)
    if mutation < 3 and payload:
        sections[chosen] = (tag, (flip_bits, replace_bytes, truncate)[mutation](payload, rng))
    elif mutation < 4:
        sections[chosen] = (tag, borrowed[int(rng.integers(len(borrowed)))][1])
    elif mutation < 5:
        del sections[chosen]
    else:
        sections.insert(chosen, borrowed[int(rng.integers(len(borrowed)))])
    framed = (tag + len(payload).to_bytes(3, "little") + payload for tag, payload in sections)
    return data[:20] + b"".join(framed) + data[-4:]


def fix_checksum(data):
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def test_mutated_files_raise_nothing_but_sdc_errors(originals):
    rng = np.random.default_rng(2024)
    seen = set()
    for case in range(CASES):
        data = originals[rng.integers(len(originals))]
        mutation = rng.integers(8)
        if mutation < 4:
            data = (flip_bits, replace_bytes, change_header, truncate)[mutation](data, rng)
        else:
            other = originals[rng.integers(len(originals))]
            data = (splice if mutation == 4 else exchange_sections)(data, rng, other)
        if case % 2:
            data = fix_checksum(data)
        try:
            picture = codec.read(data, max_pixels=1 << 20)
        except codec.SdcError as error:
            seen.add(type(error))
        else:
            assert codec.decode(picture).shape == (picture.channels, picture.latent_height, picture.latent_width)
            # What can be read can be rewritten.
            assert codec.with_metadata(picture, picture.metadata).metadata == picture.metadata
            seen.add("read")
    assert seen == {
        "read",
        codec.SdcSignatureError,
        codec.SdcTruncatedError,
        codec.SdcChecksumError,
        codec.SdcUnsupportedError,
        codec.SdcCorruptError,
        codec.SdcLimitError,
    }


def test_damaged_metadata_raise_nothing_but_sdc_errors():
    rng = np.random.default_rng(1)
    text = b'{"prompt":"a \\u00e9 \xc3\xa9","workflow":{"n":[1,-2.5e3,null,true,{"k":"v"}]},"x":[[[[]]]]}'
    outcomes = set()
    for _ in range(3000):
        mutated = replace_bytes(flip_bits(text, rng), rng) if rng.random() < 0.5 else flip_bits(text, rng)
        try:
            outcomes.add(type(metadata.from_bytes(zstandard.ZstdCompressor(level=1).compress(mutated))))
        except codec.SdcCorruptError as error:
            outcomes.add(type(error))
    assert outcomes == {dict, codec.SdcCorruptError}
