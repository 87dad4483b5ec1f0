import hashlib
import json

import numpy as np
import pytest
import sdc_codec as codec
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from sdc_codec import dictionaries, metadata

FOLDER = dictionaries.FOLDER

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def compress(text, **options):
    return zstandard.ZstdCompressor(**options).compress(text.encode() if isinstance(text, str) else text)


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def by_dictionary_id(text):
    """A frame that names its dictionary itself, as zstd writes it by default."""
    dictionary = dictionaries.load_dictionary(dictionaries.FOR_WORKFLOWS)
    return zstandard.ZstdCompressor(dict_data=dictionary).compress(text.encode())[4:]


def by_dictionary(text):
    dictionary = dictionaries.load_dictionary(dictionaries.FOR_WORKFLOWS)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, write_dict_id=False)
    return dictionaries.FOR_WORKFLOWS + compressor.compress(text.encode())[4:]


@given(st.dictionaries(TEXT.filter(lambda key: key not in metadata.KNOWN_TYPES), VALUES, max_size=5))
@settings(max_examples=50, deadline=None)
def test_round_trip(value):
    assert metadata.from_sections(metadata.to_sections(value)) == value


@pytest.mark.parametrize("shipped", [True, False])
def test_text_is_compact_sorted_utf8(shipped, monkeypatch):
    if not shipped:
        monkeypatch.setattr(dictionaries, "FOR_WORKFLOWS", b"none")
    value = {"workflow": {"b": 1, "a": [1.5, None]}, "prompt": "Zürich"}
    ((tag, payload),) = metadata.to_sections(value).items()
    dictionary = None
    if shipped:
        content = (FOLDER / f"{payload[:4].hex()}.zdict").read_bytes()
        assert payload[:4] == hashlib.sha256(content).digest()[:4]
        dictionary, payload = zstandard.ZstdCompressionDict(content), b"\x28\xb5\x2f\xfd" + payload[4:]
    assert tag == ("d" if shipped else "m")
    text = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(payload, max_output_size=1000)
    assert text == '{"prompt":"Zürich","workflow":{"a":[1.5,null],"b":1}}'.encode()


def test_the_shorter_of_both_sections_is_written():
    assert list(metadata.to_sections({"a": "\u0416" * 9999})) == ["m"]  # a dictionary and its name would cost more
    prompt = {"prompt": "a lighthouse at dusk", "negative": "blurry", "seed": 5, "steps": 20, "sampler": "euler"}
    ((tag, payload),) = metadata.to_sections(prompt).items()
    assert tag == "d" and payload[:4] == dictionaries.FOR_PROMPTS and len(payload) < 60
    assert metadata.to_sections({}) == metadata.to_sections(None) == {}


def test_a_dictionary_that_came_later_is_skipped_as_any_optional_section_is():
    for payload in (b"", b"abc", b"\0\0\0\0" + compress('{"prompt":"a"}')):
        assert metadata.from_sections({"d": payload}) == {}


def test_plain_metadata_win_over_those_by_a_dictionary():
    described = metadata.to_sections({"prompt": "a lighthouse at dusk, oil painting"})
    assert set(described) == {"d"}
    assert metadata.from_sections(described | {"m": compress('{"prompt":"b"}')}) == {"prompt": "b"}
    assert metadata.from_sections(described | {"m": compress("{}")}) == {}


def test_a_dictionary_that_has_changed_is_named(tmp_path, monkeypatch):
    name = dictionaries.FOR_PROMPTS
    changed = bytearray((FOLDER / f"{name.hex()}.zdict").read_bytes())
    changed[-1] ^= 1
    (tmp_path / f"{name.hex()}.zdict").write_bytes(changed)
    described = metadata.to_sections({"prompt": "a lighthouse at dusk"})
    monkeypatch.setattr(dictionaries, "FOLDER", tmp_path)
    dictionaries.load_dictionary.cache_clear()
    try:
        with pytest.raises(codec.SdcUnsupportedError, match=f"{name.hex()}.zdict .* damaged"):
            metadata.from_sections(described)
    finally:
        dictionaries.load_dictionary.cache_clear()


def test_every_dictionary_is_named_by_what_it_holds():
    paths = sorted(FOLDER.glob("*.zdict"))
    assert {dictionaries.FOR_PROMPTS.hex(), dictionaries.FOR_WORKFLOWS.hex()} <= {path.stem for path in paths}
    assert [path.stem for path in paths] == [dictionaries.name_of(path.read_bytes()).hex() for path in paths]


def test_depth_limit_counts_the_object_itself():
    assert metadata.from_sections(metadata.to_sections(nested(100))) == nested(100)
    with pytest.raises(codec.SdcArgumentError, match="nested"):
        metadata.to_sections(nested(101))
    with pytest.raises(codec.SdcFormatError, match="nested"):
        metadata.from_sections({"m": compress(json.dumps(nested(101)))})


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
        (compress('{"a":1e999,"a":1}'), "out of range"),
        (compress('{"a":' + "9" * 400 + "}"), "out of range"),
        (compress('{"a":1} '[:-2]), "JSON"),
        (compress('{"a":1}{}'), "JSON"),
        (compress('{"a":1}') + b"\0", "zstd"),
        (compress('{"a":1}', write_content_size=False) + b"\0", "zstd"),
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
    with pytest.raises(codec.SdcFormatError, match=message):
        metadata.from_sections({"m": payload})


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (dictionaries.FOR_WORKFLOWS, "zstd"),
        (by_dictionary("[]"), "object"),
        (by_dictionary('{"a":"' + " " * (512 << 10) + '"}'), "at most"),
        (by_dictionary("{}")[:-1], "zstd"),
        (by_dictionary("{}") + b"\0", "zstd"),
        (dictionaries.FOR_WORKFLOWS + by_dictionary_id("{}"), "dictionary 32768"),
    ],
)
def test_bad_payloads_by_a_dictionary_are_corrupt(payload, message):
    with pytest.raises(codec.SdcFormatError, match=message):
        metadata.from_sections({"d": payload})


def test_a_frame_that_inflates_without_end_stops_at_the_limit():
    bomb = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 << 20))
    with pytest.raises(codec.SdcFormatError, match="at most 524288"):
        metadata.from_sections({"m": bomb})


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
        metadata.to_sections(value)
