"""Files of version 1 decode to the same bytes for ever, and as a second decoder written from FORMAT.md says."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
import sdc_codec as codec
import zstandard


def read_table(fixtures):
    """The table in the fixtures' README: file name to latent shape and SHA-256."""
    rows = [line.split("|")[1:-1] for line in (fixtures / "README.md").read_text().splitlines() if ".sdc" in line]
    return {name.strip(" `"): (shape.strip(), digest.strip(" `")) for name, shape, digest, _ in rows}


def plain_decode(data):
    """FORMAT.md in as few words as possible: no checks, no numpy."""
    assert data[:8] == b"\x93SDC\r\n\x1a\x01" and data[-4:] == struct.pack("<I", zlib.crc32(data[:-4]))
    _, channels, height, width, _, _, _, coder = struct.unpack("<BBHHHHBB", data[8:20])
    sections, position = {}, 20
    while position < len(data) - 4:
        length = int.from_bytes(data[position + 1 : position + 4], "little")
        sections[data[position : position + 1]] = data[position + 4 : position + 4 + length]
        position += 4 + length
    palette, indices = sections[b"P"], sections[b"I"]
    ranges = struct.unpack(f"<{2 * channels}e", palette[: 4 * channels])
    components = palette[4 * channels :]
    entries, count = len(components) // channels, height * width
    if coder == 0:
        bits = (entries - 1).bit_length()
        stream = "".join(f"{byte:08b}" for byte in indices)
        names = [int(stream[i * bits : (i + 1) * bits] or "0", 2) for i in range(count)]
    else:
        planes = zstandard.ZstdDecompressor().decompressobj().decompress(indices)
        names = [planes[i] + (256 * planes[count + i] if entries > 256 else 0) for i in range(count)]
    latent = []
    for c in range(channels):
        low, high = ranges[2 * c : 2 * c + 2]
        latent += [low + components[name * channels + c] * (high - low) / 255 for name in names]
    return struct.pack(f"<{len(latent)}f", *latent)


def test_the_table_lists_every_fixture(fixtures):
    assert sorted(read_table(fixtures)) == sorted(path.name for path in fixtures.glob("*.sdc"))


@pytest.mark.parametrize(
    "name",
    ["v1_fixed_k64.sdc", "v1_zstd_k16.sdc", "v1_zstd_k1000_metadata.sdc", "v1_one_colour_optional_section.sdc"],
)
def test_golden_files_decode_to_the_same_bytes(fixtures, name):
    data = (fixtures / name).read_bytes()
    latent = codec.decode(data)
    shape, digest = read_table(fixtures)[name]
    assert " x ".join(map(str, latent.shape)) == shape
    content = latent.astype("<f4").tobytes()
    assert hashlib.sha256(content).hexdigest() == digest
    assert content == plain_decode(data)


def test_golden_headers(fixtures):
    def picture(name):
        return codec.read((fixtures / name).read_bytes())

    fixed = picture("v1_fixed_k64.sdc")
    assert (fixed.coder, fixed.colours, fixed.latent_format, fixed.size) == ("fixed", 64, "SD1.x", 592)
    zstd = picture("v1_zstd_k16.sdc")
    assert (zstd.coder, zstd.colours, zstd.width, zstd.height) == ("zstd", 16, 250, 187)
    large = picture("v1_zstd_k1000_metadata.sdc")
    assert (large.coder, large.colours, large.latent_format) == ("zstd", 1000, "SDXL")
    assert large.metadata == {
        "prompt": "a lighthouse at dusk, été",
        "workflow": {"nodes": [{"id": 1, "type": "SDCLoad"}], "version": 0.4},
    }
    one = picture("v1_one_colour_optional_section.sdc")
    assert (one.coder, one.colours, one.latent_format) == ("fixed", 1, "Flux")
    assert one.data.endswith(b"z\x05\x00\x00later" + one.data[-4:])


def test_a_random_picture_reads_the_same_in_both_decoders():
    latent = np.random.default_rng(0).normal(size=(4, 12, 11))
    for colours in (2, 33, 500):
        picture = codec.encode(latent, colours=colours)
        assert codec.decode(picture).astype("<f4").tobytes() == plain_decode(picture.data)
