import json

import numpy as np
import pytest
import sdc_codec as codec
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from sdc_codec import metadata

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def compress(text):
    return zstandard.ZstdCompressor().compress(text.encode() if isinstance(text, str) else text)


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


@given(st.dictionaries(TEXT.filter(lambda key: key not in metadata.KNOWN_TYPES), VALUES, max_size=5))
@settings(max_examples=100, deadline=None)
def test_round_trip(value):
    assert metadata.from_bytes(metadata.to_bytes(value)) == value


def test_text_is_compact_sorted_utf8():
    payload = metadata.to_bytes({"workflow": {"b": 1, "a": [1.5, None]}, "prompt": "Zürich"})
    text = zstandard.ZstdDecompressor().decompress(payload, max_output_size=1000)
    assert text == '{"prompt":"Zürich","workflow":{"a":[1.5,null],"b":1}}'.encode()


def test_depth_limit_counts_the_object_itself():
    assert metadata.from_bytes(metadata.to_bytes(nested(100))) == nested(100)
    with pytest.raises(codec.SdcArgumentError, match="nested"):
        metadata.to_bytes(nested(101))
    with pytest.raises(codec.SdcMetadataError, match="nested"):
        metadata.from_bytes(compress(json.dumps(nested(101))))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"{}", "zstd"),
        (compress(b""), "JSON"),
        (compress("[]"), "object"),
        (compress("null"), "object"),
        (compress('{"a":NaN}'), "NaN"),
        (compress('{"a":-Infinity}'), "Infinity"),
        (compress('{"a":1e999}'), "out of range"),
        (compress('{"a":' + "9" * 400 + "}"), "out of range"),
        (compress('{"a":1} '[:-2]), "JSON"),
        (compress('{"a":1}{}'), "JSON"),
        (compress(b'\xef\xbb\xbf{"a":1}'), "JSON"),
        (compress(b'{"a":"\xff"}'), "UTF-8"),
        (compress('{"a":"\\ud800"}'), "JSON"),
        (compress('{"prompt":5}'), "prompt"),
        (compress('{"workflow":"text"}'), "workflow"),
        (compress('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"), "nested"),
        (compress('{"a":"' + " " * (512 << 10) + '"}'), "at most"),
    ],
)
def test_bad_payloads_are_corrupt(payload, message):
    with pytest.raises(codec.SdcMetadataError, match=message):
        metadata.from_bytes(payload)


def test_a_frame_that_inflates_without_end_stops_at_the_limit():
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 << 20))
    with pytest.raises(codec.SdcMetadataError, match="at most 524288"):
        metadata.from_bytes(bomb)


def circular():
    value = {}
    value["a"] = value["b"] = value
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["prompt"], "object"),
        ("prompt", "object"),
        ({"prompt": 1}, "prompt"),
        ({"workflow": "text"}, "workflow"),
        ({"a": float("nan")}, "JSON"),
        ({"a": float("inf")}, "JSON"),
        ({"a": 10**400}, "out of range"),
        ({"a": b"bytes"}, "JSON"),
        ({"a": np.float32(1)}, "JSON"),
        ({"a": "\ud800"}, "JSON"),
        ({1: "a", "b": 2}, "JSON"),
        ({"a": "x" * (512 << 10)}, "at most"),
        (circular(), "JSON"),
        (nested(5000), "nested"),
    ],
)
def test_bad_arguments(value, message):
    with pytest.raises(codec.SdcArgumentError, match=message):
        metadata.to_bytes(value)
