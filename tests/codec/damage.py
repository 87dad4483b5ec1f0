"""Hypothesis strategies for files that a reader must survive, and files that cost it as much as they can.

Damage lies behind lengths and a checksum that are mostly right, so that the first check does not end it all.
"""

import random
import re
import struct
import zlib
from pathlib import Path

import zstandard
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
HEADER_END = 20
ZSTD = b"\x28\xb5\x2f\xfd"
DICTIONARIES = {
    path.stem: zstandard.ZstdCompressionDict(path.read_bytes()) for path in (ROOT / "weights/metadata").glob("*.zdict")
}


def compress(content, **options):
    return zstandard.ZstdCompressor(level=1, **options).compress(content)


# Offsets in the header, how they are packed, and what is put there.
FIELDS = [(at, "B") for at in (7, 8, 9, 18, 19)] + [(at, "<H") for at in (10, 12, 14, 16)]
EDGES = [edge + near for edge in (1, 4, 8, 16, 64, 128, 256) for near in (-1, 0, 1)]
LARGE = [edge + near for edge in (2048, 16384, 32768) for near in (-1, 0, 1)] + [1024, 4096, 65534, 65535]
HALVES = [0x7C00, 0xFC00, 0x7E00, 0x7C01, 0x7BFF, 0xFBFF, 0x8000, 0x0000, 0x0001, 0x8001, 0x3C00]
OPTIONAL = [
    (b"T", b"\1\0"),
    (b"a", b"1"),
    (b"z", b""),
    (b"v", bytes(8)),
    (b"v", bytes(7)),
    (b"m", compress(b'{"a":1}')),
]
TAGS = [b"P", b"I", b"L", b"A", b"N", b"T", b"m", b"d", b"v", b"Q", b"z", b"\x00", b"\xe9"]
JSON = [b"[", b"]", b"{", b"}", b'"', b",", b"-", b"null", b"NaN", b"1e999", b"9" * 400, b"[" * 120, b"\\ud800"]
JSON += [b"\\u0000", b"\xff", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", *[b'"prompt":1', b'"workflow":[]'] * 3]


def split_sections(data):
    """(tag, payload) of each section."""
    found = []
    while data:
        end = 4 + int.from_bytes(data[1:4], "little")
        found.append((data[:1], data[4:end]))
        data = data[end:]
    return found


def join_sections(sections):
    return b"".join(tag + len(payload).to_bytes(3, "little") + payload for tag, payload in sections)


def split_sequence(payload):
    """(coder byte, sections) of each image of an image sequence."""
    found = []
    while payload:
        end = 3 + int.from_bytes(payload[:3], "little")
        found.append((payload[3:4], split_sections(payload[4:end])))
        payload = payload[end:]
    return found


def join_sequence(parts):
    packed = [coder + join_sections(sections) for coder, sections in parts]
    return b"".join(len(part).to_bytes(3, "little") + part for part in packed)


def tags_of(data):
    """Of all sections of a file, those of the images of an image sequence too."""
    sections = split_sections(data[HEADER_END:-4])
    inner = [own for tag, payload in sections if tag == b"A" for _, part in split_sequence(payload) for own in part]
    return {tag for tag, _ in [*sections, *inner]}


def with_checksum(data):
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


GOLDEN = [path.read_bytes() for path in sorted((ROOT / "tests/fixtures").glob("*.sdc"))]
SECTIONS = [split_sections(data[HEADER_END:-4]) for data in GOLDEN]
# A learned latent takes a hundredth of a second, whatever is wrong with it, and the others a thousandth.
LEARNED = [data for data in GOLDEN if data[19] == 2]
ARCHIVE = [data for data in GOLDEN if b"N" in tags_of(data)]
OTHERS = [data for data in GOLDEN if data not in LEARNED + ARCHIVE]


# Of damage hypothesis draws the seed alone: which choices there are depends on the file, for which it would need a
# hundred times as long, and of a long range it draws small numbers nearly always.
SEEDS = st.binary(min_size=8, max_size=8)


def damaged_files(originals):
    return SEEDS.map(lambda seed: damaged(random.Random(seed), originals))


def damaged(rng, originals):
    data = rng.choice(originals)
    for _ in range(rng.choice((1, 1, 2))):
        data = rng.choice(DAMAGES)(rng, data)
    return with_checksum(data) if rng.random() < 0.95 else data


def damage_bytes(rng, data, kinds=("flip", "flip", "overwrite", "replace", "cut")):
    """Flip a bit, put other bytes in the place of some, or cut the end off."""
    at, kind = rng.randrange(len(data) + 1), rng.choice(kinds)
    if kind == "cut":
        return data[:at]
    if kind == "flip":
        return data[:at] + bytes([byte ^ 1 << rng.randrange(8) for byte in data[at : at + 1]]) + data[at + 1 :]
    new = rng.randbytes(rng.randint(1, 8))
    return data[:at] + new + data[at + (len(new) if kind == "overwrite" else rng.randrange(9)) :]


def damage_file(rng, data):
    """Damage bytes anywhere, but not always before the sections."""
    start = rng.choice((HEADER_END, HEADER_END, HEADER_END, 0))
    return data[:start] + damage_bytes(rng, data[start:], ("flip", "overwrite") * 4 + ("replace", "cut"))


def damage_header(rng, data):
    at, packed = rng.choice(FIELDS)
    value = rng.choice(EDGES * 16 + LARGE) & (0xFF if packed == "B" else 0xFFFF)
    return data[:at] + struct.pack(packed, value) + data[at + struct.calcsize(packed) :]


def damage_length(rng, data):
    """Change the length of a section, but not the section."""
    at = HEADER_END
    for _ in range(rng.randrange(3)):
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "little")
    length = int.from_bytes(data[at + 1 : at + 4], "little")
    changed = rng.choice((0, length + 1, length - 1, length + 4, length - 4, 2 * length, 0xFFFFFF))
    return data[: at + 1] + (changed & 0xFFFFFF).to_bytes(3, "little") + data[at + 4 :]


def splice(rng, data):
    other = rng.choice(GOLDEN)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def damage_structure(rng, data):
    """Change a section of the file, or of an image of its image sequence, with lengths that stay right."""
    sections = split_sections(data[HEADER_END:-4])
    if not sections:
        return data
    if sections[0][0] == b"A" and rng.random() < 0.8:
        parts = split_sequence(sections[0][1])
        if parts and rng.random() < 0.2:  # one section in two places
            sections.append(OPTIONAL[0])
            parts[0][1].append(OPTIONAL[0])
        else:
            parts = damage_sequence(rng, parts)
        sections[0] = (b"A", join_sequence(parts))
    else:
        sections = damage_sections(rng, sections)
    return data[:HEADER_END] + join_sections(sections) + data[-4:]


def damage_sections(rng, sections):
    described = [at for at, (tag, _) in enumerate(sections) if tag in (b"m", b"d")]  # few files have metadata
    at = rng.choice([*range(len(sections)), *described * 4])
    tag, payload = sections[at]
    kind = rng.choice(("inside",) * 6 + ("drop", "rename", "borrow", "insert", "append"))
    if kind == "drop":
        return sections[:at] + sections[at + 1 :]
    if kind == "rename":
        return [*sections[:at], (rng.choice(TAGS), payload), *sections[at + 1 :]]
    other = rng.choice(rng.choice(SECTIONS))
    if kind == "insert":
        return [*sections[:at], other, *sections[at:]]
    if kind == "append":  # once or twice
        return sections + [rng.choice(OPTIONAL)] * rng.choice((1, 2))
    changed = other[1] if kind == "borrow" else damage_payload(rng, tag, payload)
    return [*sections[:at], (tag, changed), *sections[at + 1 :]]


def damage_payload(rng, tag, payload):
    if rng.choice(("bytes", "meaning")) == "bytes" or tag not in (b"P", b"L", b"I", b"N", b"m", b"d"):
        return damage_bytes(rng, payload)
    if tag == b"P":
        at, half = 2 * rng.randrange(8), struct.pack("<H", rng.choice(HALVES))
        return payload[:at] + half + payload[at + 2 :]
    if tag == b"L" and rng.random() < 0.2:
        return payload[: rng.randrange(6)]
    if tag == b"N":  # step, fold, largest integer, states, number of words
        at = rng.choice((0, 3, 4, 5, 6, 7, 9, 12, 13))
        return payload[:at] + rng.choice((b"\0", b"\1", b"\2", b"\xff", rng.randbytes(1))) + payload[at + 1 :]
    if tag == b"L":  # weights, quality, or the state that decoding starts with
        at = rng.choice((0, 3, 4, 4, 4, 5, 7))
        return payload[:at] + rng.randbytes(1) + payload[at + 1 :]
    return damage_content(rng, tag, payload)


def damage_content(rng, tag, payload):
    """Damage what is inside a zstd frame, and compress it again."""
    name, options = b"", {}
    if tag == b"d":  # a frame without its first four bytes, behind the name of its dictionary
        name, payload = payload[:4], ZSTD + payload[4:]
        options = {"dict_data": DICTIONARIES.get(name.hex())}
    try:
        content = zstandard.ZstdDecompressor(**options).decompress(payload, max_output_size=1 << 16)
    except zstandard.ZstdError:
        return name + damage_bytes(rng, payload[len(name) :])
    kind = rng.choice(("content", "content", "frame") if tag == b"I" else ("content", "json", "json", "frame"))
    if kind == "content":
        content = damage_bytes(rng, content)
    elif kind == "json":
        content = damage_json(rng, content)
    elif rng.random() < 0.5:  # a window wider than a reader has to offer
        wide = zstandard.ZstdCompressionParameters(window_log=24, write_content_size=False)
        stream = zstandard.ZstdCompressor(compression_params=wide, **options).compressobj()  # unaware of the size
        return name + (stream.compress(content) + stream.flush())[len(name) :]
    declared = {option: rng.random() < 0.5 for option in ("write_content_size", "write_checksum")}
    after = rng.choice((b"\0", compress(b""))) if kind == "frame" else b""
    return name + compress(content, **declared, **options)[len(name) :] + after


def damage_json(rng, content):
    """Put what a reader may stumble over in the place of a value, at the head of the object, or anywhere."""
    piece, values = rng.choice(JSON), list(re.finditer(rb'(?<=:)("[^"]*"|[\w.+-]+)', content))
    if b":" in piece:
        return b"{" + piece + (b"," + content[1:] if len(content) > 2 else b"}")
    if values and rng.random() < 0.7:
        start, end = rng.choice(values).span()
    else:
        start = end = rng.randrange(len(content) + 1)
    return content[:start] + piece + content[end:]


def damage_sequence(rng, parts):
    """Damage an image of an image sequence, or drop, repeat or exchange one."""
    if not parts:
        return parts
    at = rng.randrange(len(parts))
    coder, sections = parts[at]
    kind = rng.choice(("inside", "inside", "inside", "coder", "drop", "repeat", "palette"))
    if kind == "inside" and sections:
        sections = damage_sections(rng, sections)
    elif kind == "coder":
        coder = bytes([rng.choice((0, 0, 1, 1, 2, 3, 4, 5))])
    elif kind == "palette":  # that of the one before
        sections = [(tag, b"" if tag == b"P" else payload) for tag, payload in sections]
    part = {"drop": [], "repeat": [parts[at], parts[at]]}.get(kind, [(coder, sections)])
    return [*parts[:at], *part, *parts[at + 1 :]]


# Those that leave lengths alone come more than once: most files with a wrong length end at the same check.
DAMAGES = [damage_structure] * 10 + [damage_file] * 2 + [damage_header] * 2 + [damage_length, splice]


def build_file(
    sections, *, signature=b"\x93SDC\r\n\x1a", version=1, latent_format=1, channels=4, latent_height=1, latent_width=2,
    width=16, height=8, images=1, coder=0, crc=None,
):  # fmt: skip
    """Write a file by hand from FORMAT.md, without the package's own writer; `sections` is a list of pairs."""
    fields = (version, latent_format, channels, latent_height, latent_width, width, height, images, coder)
    body = signature + struct.pack("<BBBHHHHBB", *fields) + join_sections(sections)
    return body + struct.pack("<I", zlib.crc32(body) if crc is None else crc)


def build(height, width, sections, **options):
    return build_file(sections, latent_height=height, latent_width=width, **options)


def build_sequence(height, width, parts, sections=(), **options):
    parts = [(bytes([coder]), own) for coder, own in parts]
    return build(height, width, [(b"A", join_sequence(parts)), *sections], images=len(parts), coder=3, **options)


SIDE = 2048  # of a latent of 16384 x 16384 pixels
SMALL = [(b"P", bytes(20)), (b"I", b"")]  # one entry, whose indices take no bits
MAX_SOUND_FILE = build(SIDE, SIDE, [(b"P", bytes(16 + 4 * 4096)), (b"I", bytes(SIDE * SIDE * 12 // 8))])
MAX_LATENT_BYTES = 4 * SIDE * SIDE * 4  # bytes of its latent


def costly_palettes():
    """Small or allowed files that take as much time and memory as they can."""
    palette = {entries: bytes(16 + 4 * entries) for entries in (256, 4096)}
    flood = compress(bytes(256 << 20), write_content_size=False)
    planes = compress(bytes(2 * SIDE * SIDE), write_content_size=False)
    yield MAX_SOUND_FILE
    yield build(SIDE, SIDE, SMALL)
    yield build(65535, 64, SMALL)
    yield build(64, 65535, [(b"P", bytes(64 + 16)), (b"I", b"")], latent_format=4, channels=16)
    yield build(SIDE, SIDE, [(b"P", palette[256]), (b"I", compress(bytes(SIDE * SIDE)))], coder=1)
    yield build(SIDE, SIDE, [(b"P", palette[4096]), (b"I", planes)], coder=1)
    yield build(SIDE, SIDE, [(b"P", palette[4096]), (b"I", flood)], coder=1)
    yield build(SIDE, SIDE, [*SMALL, (b"m", compress(next(costly_texts())))])
    yield build(1, 1, [*SMALL, (b"m", flood)])
    yield build(1, 1, SMALL + [(b"z", b"")] * (1 << 22))
    yield build(1, 1, [*SMALL, (b"y", bytes((1 << 24) - 1)), (b"z", bytes((1 << 24) - 200))])
    for text in costly_texts():
        yield build(1, 1, [*SMALL, (b"m", compress(text))])


def costly_texts(size=512 << 10):
    """Metadata, 512 KiB at most."""
    yield fill(b'{"a":[', b"[" * 97 + b"]" * 97 + b",", b'"\\u00e9\xf0\x9f\x98\x80"]}', size)
    yield fill(b'{"a":[', b'{"":' * 96 + b"0" + b"}" * 96 + b",", b"0]}", size)
    for unit in (b"[],", b'{"":1.5},', b"[1e9],"):
        yield fill(b'{"a":[', unit, b"0]}", size)
    yield fill(b'{"a":[', b'"\\u00e9",', b'"\xf0\x9f\x98\x80"]}', size)
    yield b"{" + b",".join(b'"%x":[]' % number for number in range(46_000)) + b"}"
    yield b"[" * size
    yield b'{"a":' + b"9" * (size - 10) + b"}"
    yield b'{"a":0.' + b"3" * (size - 10) + b"}"


def fill(start, unit, end, size):
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


def costly_sequences(count=255):
    """The same of many images in one file."""
    flux = {"latent_format": 4, "channels": 16}
    whole, palette, indices = bytes(64 + 16 * 4096), bytes(16 + 4 * 4096), bytes(128 * 128 * 12 // 8)
    compressed = compress(bytes(2 * 128 * 128), write_content_size=False)
    yield build_sequence(1, 1, [(0, [(b"P", whole), (b"I", b"\0\0")])] * count, **flux)
    yield build_sequence(1, 1, [(0, [(b"P", b"" if n else whole), (b"I", b"\0\0")]) for n in range(count)], **flux)
    yield build_sequence(128, 128, [(0, [(b"P", palette), (b"I", indices)])] * count)
    yield build_sequence(128, 128, [(1, [(b"P", b"" if n else palette), (b"I", compressed)]) for n in range(count)])
    for size in (100_000, 1 << 20):
        yield build_sequence(1, 1, [(0, SMALL)] * count, [(b"z", bytes(size))])
    text, part = (compress(fill(b'{"a":[', b"[],", b"0]}", size)) for size in (512 << 10, 2000))
    yield build_sequence(1, 1, [(0, SMALL)] * count, [(b"m", text)])
    yield build_sequence(1, 1, [(0, [*SMALL, (b"m", text)])] * count)
    yield build_sequence(1, 1, [(0, [*SMALL, (b"m", part)])] * count)
    yield build_sequence(1, 1, [(0, SMALL + [(b"z", b"")] * (1 << 16))] * 2)


def costly_learned(largest=512):
    """A large latent that ends at once, one whose symbols, which random bytes give without end, are all read, and as
    many small ones as go into one file."""
    section = split_sections(min(LEARNED, key=len)[HEADER_END:-4])[0][1]
    yield build_sequence(1, 1, [(2, [(b"L", section)])] * 255)
    for side, payload in ((largest, b"\1\0\0\0"), (256, b"\1\0" + random.Random(0).randbytes(1 << 20))):
        yield build(side, side, [(b"L", section[:4] + b"\xff" + payload)], coder=2)
