"""The package and `plain_decoder`, written from FORMAT.md alone, give the same bytes and refuse the same files."""

import numpy as np
import plain_decoder
import sdc_codec as codec
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def outcome(data):
    """(latent, metadata) of each image on which both decoders agree, or None when both refuse."""
    try:
        images = codec.load_all(data, max_pixels=1 << 23)
        found = [(codec.decode(image).astype("<f4").tobytes(), image.metadata) for image in images]
    except codec.SdcError as error:
        found, reason = None, error
    try:
        expected = plain_decoder.decode_all(data, max_pixels=1 << 23)
    except plain_decoder.Refused as refused:
        assert found is None, f"the second decoder refuses it: {refused}"
        return None
    assert found is not None, f"the package refuses it: {reason}"
    assert found == expected
    return found


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_random_images(data):
    latent_format = data.draw(st.sampled_from((*codec.LATENT_FORMATS, codec.by_name("unknown"))))
    channels = latent_format.channels or data.draw(st.sampled_from([1, 2, 7, 255, 256]))
    shape = data.draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    if data.draw(st.booleans()):
        shape = (1, *shape)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scale = data.draw(st.sampled_from([0, 1e-7, 0.01, 1, 100, 60000]))
    latent = np.clip(rng.normal(size=(channels, *shape)), -1, 1) * scale
    if data.draw(st.booleans()):  # repetition makes zstd the shorter coder
        latent = np.repeat(latent, 6, axis=-1)
    metadata = {key: value for key, value in data.draw(st.dictionaries(st.text(), JSON, max_size=3)).items()
                if key not in ("prompt", "workflow")}  # fmt: skip
    image = codec.encode(
        [latent],
        "custom",
        colors=data.draw(st.integers(2, 700)),
        dither=data.draw(st.sampled_from(codec.DITHERS)),
        latent_format=latent_format.name,
        width=data.draw(st.none() | st.integers(1, 400)),
        metadata=metadata,
    )[0]
    assert image.frames == (1 if len(shape) == 3 else None) and codec.decode(image).shape == latent.shape
    assert outcome(image.data)[0][1] == metadata


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_random_archives(data):
    """Any shape, precision and range: both decoders agree, and no element is off by more than half a step."""
    channels = data.draw(st.sampled_from([1, 2, 3, 4, 5, 16, 33, 64, 256]))
    longest = max(2, min(20, 1500 // channels))
    frames = data.draw(st.sampled_from([None, 1, 2, 3, 6]))
    height = data.draw(st.integers(1, longest))
    shape = (channels, *([frames] if frames else []), height, data.draw(st.integers(1, max(1, longest // height))))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    latent = np.cumsum(rng.normal(size=shape), data.draw(st.integers(0, len(shape) - 1)))
    if data.draw(st.booleans()):
        latent[(0,) * len(shape)] += 1000  # far out: escapes, and low bits stored as they are
    latent *= data.draw(st.sampled_from([0, 1e-7, 1, 50])) * 65504 / 60 / max(1000, np.abs(latent).max())
    precision = data.draw(st.sampled_from([1, 16, 100, 4096]))
    (image,) = codec.encode([latent], "archive", precision=precision, latent_format="unknown")
    decoded = codec.decode(image)
    assert outcome(image.data)[0][0] == decoded.astype("<f4").tobytes()
    assert decoded.shape == latent.shape
    error = np.abs(decoded - latent)
    assert (error <= float(image.stored.step) / 2 * (1 + 1e-9) + np.abs(latent) * 2.0**-23).all()
    # A float32 value has only 24 bits, so there is an end to how finely a step can follow.
    finest = max(latent.std() / precision, np.abs(latent).max() / 2**19)
    assert image.stored.step <= finest * (1 + 1e-6) or not latent.std()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_metadata_by_dictionaries(build_file, data):
    """Whatever stands in section d: the right dictionary, another, none, with an m beside it, damaged, or cut."""
    names = [path.stem for path in plain_decoder.DICTIONARIES.glob("*.zdict")]
    content = (plain_decoder.DICTIONARIES / f"{data.draw(st.sampled_from(names))}.zdict").read_bytes()
    name = data.draw(st.sampled_from([*names, "0badcafe"]))
    text = data.draw(st.sampled_from(['{"prompt":"masterpiece, best quality"}', "{}", "[]", '{"seed":1e400}']))
    options = {option: data.draw(st.booleans()) for option in ("write_content_size", "write_checksum")}
    options["write_dict_id"] = data.draw(st.sampled_from([False, False, True]))
    compressor = zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(content), **options)
    payload = bytearray(bytes.fromhex(name) + compressor.compress(text.encode())[4:])
    for _ in range(data.draw(st.integers(0, 2))):
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    payload = payload[: data.draw(st.sampled_from([None, None, 0, 3, 4, 8]))]
    sections = [(b"P", bytes(20)), (b"I", b""), (b"d", bytes(payload))]
    if data.draw(st.sampled_from([False, False, True])):
        sections.append((b"m", zstandard.ZstdCompressor().compress(b'{"prompt":"plain"}')))
    outcome(build_file(sections))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_random_bytes_in_every_field(build_file, data):
    """Files that no writer of ours makes, sound ones and others."""
    height, width = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    entries = data.draw(st.sampled_from([1, 2, 3, 5, 16, 17, 255, 256, 257, 4096]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    lows = rng.integers(0, 0x7C00, 4, np.uint16).view(np.float16)  # finite, not negative
    ranges = np.stack([-lows, rng.permutation(lows)], axis=1).astype("<f2")
    names = rng.integers(0, entries + (rng.random() < 0.1), height * width)
    coder = data.draw(st.sampled_from([0, 1, 1, 2]))
    if coder == 0:
        bits = (entries - 1).bit_length()
        text = "".join(f"{name:0{bits}b}"[:bits] for name in names)
        text += data.draw(st.sampled_from(["0", "0", "0", "1"])) * (-len(text) % 8)
        payload = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    else:
        planes = (names & 255).astype(np.uint8).tobytes()
        planes += (names >> 8).astype(np.uint8).tobytes() if entries > 256 else b""
        options = {name: data.draw(st.booleans()) for name in ("write_content_size", "write_checksum")}
        payload = zstandard.ZstdCompressor(level=data.draw(st.integers(1, 19)), **options).compress(planes)
    sections = [(b"P", ranges.tobytes() + rng.bytes(4 * entries)), (b"I", payload)]
    for tag in data.draw(st.lists(st.sampled_from([b"a", b"z", b"m", b"Q", b"1"]), max_size=2)):
        text = data.draw(st.sampled_from([b"{}", b'{"a":"\\ud800"}', b'{"a":NaN}', b"[]", b'{"prompt":""}']))
        sections.append((tag, zstandard.ZstdCompressor().compress(text)))
    outcome(build_file(sections, latent_height=height, latent_width=width, coder=coder))


def section(tag, payload):
    return tag + len(payload).to_bytes(3, "little") + payload


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_random_sequences(build_file, data):
    """Images of one or two entries, with what a part may have and may not."""
    small = bytes(16) + bytes(range(8))
    marks = [(b"a", b"1"), (b"z", b""), (b"v", bytes(8)), (b"m", zstandard.ZstdCompressor().compress(b'{"a":1}'))]
    marks.append((b"m", zstandard.ZstdCompressor().compress(b'{"a":"' + b"b" * (300 << 10) + b'"}')))
    seldom = st.sampled_from([False] * 15 + [True])
    parts = b""
    count = data.draw(st.integers(1, 4))
    for number in range(count):
        palette = data.draw(st.sampled_from([small, small[:20], b""] if number else [small, small, b""]))
        sections = [(b"P", palette), (b"I", b"" if palette == small[:20] else b"\x40")]
        sections += data.draw(st.lists(st.sampled_from(marks), max_size=2))
        if data.draw(seldom):
            sections.append(data.draw(st.sampled_from([(b"A", b""), (b"L", b""), (b"Q", b""), (b"1", b"")])))
        coder = data.draw(st.sampled_from([0] * 15 + [1, 2, 3, 4]))
        part = bytes([coder]) + b"".join(section(*each) for each in sections)
        parts += (len(part) + data.draw(seldom)).to_bytes(3, "little") + part
    parts += b"0" * data.draw(seldom)
    shared = data.draw(st.lists(st.sampled_from(marks), max_size=1))
    outcome(build_file([(b"A", parts), *shared], images=count + data.draw(seldom), coder=3))
