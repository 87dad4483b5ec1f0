"""Golden files of the learned codec, damaged in header, sections and lengths, with a checksum that is right."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import sdc_codec as codec
from hypothesis import given, settings
from hypothesis import strategies as st
from sdc_codec import container

FILES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "fixtures").glob("v1_learned_*.sdc"))]
MAX_PIXELS = 1 << 18
HEADER_END = 20


def outcome(body: bytes) -> str:
    """A latent as the header has it, or one of the package's own errors; anything else fails."""
    try:
        image = codec.load(body + struct.pack("<I", zlib.crc32(body)), max_pixels=MAX_PIXELS)
        latent = codec.decode(image)
    except codec.SdcError as error:
        assert len(str(error)) > 20
        return type(error).__name__
    assert latent.dtype == np.float32 and np.isfinite(latent).all()
    assert latent.shape == (image.channels, image.latent_height, image.latent_width)
    assert np.abs(latent).max() < 1e6  # a stranger's file cannot send the rest of a workflow far out
    return "latent"


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_flipped_cut_and_grown(data):
    body = bytearray(data.draw(st.sampled_from(FILES))[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(7, len(body) - 1))
        kind = data.draw(st.sampled_from(["flip", "flip", "cut", "grow"]))
        if kind == "flip":
            body[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del body[at : at + data.draw(st.integers(1, 8))]
        else:
            body[at:at] = data.draw(st.binary(min_size=1, max_size=8))
    outcome(bytes(body))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_sizes_that_the_payload_was_not_made_for(data):
    body = bytearray(data.draw(st.sampled_from(FILES))[:-4])
    body[10:14] = struct.pack("<HH", *data.draw(st.tuples(*[st.integers(1, 64)] * 2)))
    assert outcome(bytes(body)) in ("SdcLatentError", "latent")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_sections_of_another_file(data):
    first, second = (data.draw(st.sampled_from(FILES)) for _ in range(2))
    section = container.split(second, 1 << 30)[1]["L"]
    cut = data.draw(st.integers(0, len(section)))
    payload = bytes(section[:cut]) + data.draw(st.binary(max_size=40))
    outcome(first[:HEADER_END] + b"L" + len(payload).to_bytes(3, "little") + payload)


@pytest.mark.parametrize("data", FILES, ids=[str(len(data)) for data in FILES])
def test_every_shorter_payload_is_refused(data):
    """All of it is needed: a latent never comes from a part of its bytes."""
    section = bytes(container.split(data, 1 << 30)[1]["L"])
    step = max(1, len(section) // 10)
    for length in [*range(5, len(section), step), len(section) - 1, len(section) - 2]:
        payload = section[:length]
        body = data[:HEADER_END] + b"L" + length.to_bytes(3, "little") + payload
        assert outcome(body) == "SdcLatentError"


def test_the_damage_reaches_every_check():
    """Counted, as damage that a first check caught would test nothing behind it."""
    rng, seen = np.random.default_rng(7), {}
    for _ in range(300):
        body = bytearray(FILES[rng.integers(len(FILES))][:-4])
        for at in rng.integers(7, min(len(body), 60), rng.integers(1, 3)):
            body[at] ^= int(rng.integers(1, 256))
        name = outcome(bytes(body))
        seen[name] = seen.get(name, 0) + 1
    expected = {"latent", "SdcLatentError", "SdcUnsupportedError", "SdcSectionError", "SdcTruncatedError"}
    assert expected <= set(seen), seen
