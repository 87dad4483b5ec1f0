"""What `dev/fuzz.py` feeds to the reader: golden files, damaged, and files built to cost as much as they can."""

import random
import struct
import zlib
from pathlib import Path

import zstandard

HEADER_END = 20
DICTIONARIES = Path(__file__).resolve().parents[1] / "weights" / "metadata"
ZSTD = b"\x28\xb5\x2f\xfd"
# Offsets of the one-byte and two-byte fields.
BYTES, WORDS = (7, 8, 9, 18, 19), (10, 12, 14, 16)
SMALL = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 127, 128, 255, 256, 257)
LARGE = (1024, 2047, 2048, 2049, 4096, 16383, 16384, 32767, 32768, 65534, 65535)
HALVES = (0x7C00, 0xFC00, 0x7E00, 0x7C01, 0x7BFF, 0xFBFF, 0x8000, 0x0000, 0x0001, 0x8001, 0x3C00)
JSON_PIECES = (b"[", b"]", b"{", b"}", b'"', b",", b":", b"-", b"null", b"NaN", b"1e999", b"9" * 400, b"[" * 120)
JSON_PIECES += (b"\\ud800", b"\\u0000", b"\xff", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", b'"prompt":1', b'"workflow":[]')
# One case in so many is a costly one: they take a tenth of a second, the others a ten-thousandth. And one in so many is
# of the learned codec, whose networks take a hundredth.
COSTLY, LEARNED = 20_000, 100


class Inputs:
    """Makes case after case from golden files; the same seed and number give the same bytes."""

    def __init__(self, paths: list[Path]):
        self.originals = [path.read_bytes() for path in paths]
        if not self.originals:
            raise FileNotFoundError("there are no golden files in tests/fixtures")
        self.sections = [split(data) for data in self.originals]
        learned = [number for number, sections in enumerate(self.sections) if has_learned(sections)]
        self.kinds = [number for number in range(len(paths)) if number not in learned], learned
        stored = [sections[0][1] for sections in self.sections if sections[0][0] == b"L"]
        self.costly = costly_files() + costly_sequences()
        if stored:
            self.costly += costly_learned(min(stored, key=len))
        self.random = random.Random()

    def make(self, seed: int, case: int) -> bytes:
        rng = self.random
        rng.seed(seed << 64 | case)
        if rng.randrange(COSTLY) == 0:
            data = rng.choice(self.costly)
            if rng.random() < 0.5 or len(data) > 1 << 20:
                return data
            return fix_checksum(flip_bits(data, rng))
        chosen = rng.choice(self.kinds[bool(self.kinds[1]) and rng.randrange(LEARNED) == 0])
        data, sections = self.originals[chosen], self.sections[chosen]
        inside = rng.random() < 0.6
        if inside:
            change = self.change_sequence if sections[0][0] == b"A" and rng.random() < 0.8 else self.change_section
            data = data[:HEADER_END] + join(change(sections, rng)) + data[-4:]
        for _ in range(rng.choice((0, 0, 0, 1, 1) if inside else (1, 1, 1, 2, 3))):
            mutation = rng.choice(ANYWHERE)
            data = splice(data, rng.choice(self.originals), rng) if mutation is splice else mutation(data, rng)
        return fix_checksum(data) if rng.random() < 0.75 else data

    def change_section(self, sections: list, rng) -> list:
        """Damage, borrow, drop, repeat or exchange whole sections, with lengths that stay right."""
        sections = list(sections)
        at = rng.randrange(len(sections))
        tag, payload = sections[at]
        mutation = rng.randrange(9)
        if mutation < 3:
            sections[at] = (tag, (flip_bits, replace, truncate)[mutation](payload, rng))
        elif mutation == 3:
            sections[at] = (tag, change_content(payload, tag, rng))
        elif mutation == 4 and tag == b"P":
            offset = 2 * rng.randrange(8)
            sections[at] = (tag, payload[:offset] + struct.pack("<H", rng.choice(HALVES)) + payload[offset + 2 :])
        elif mutation == 4 and tag == b"L":  # weights, quality, or the state that decoding starts with
            offset = rng.choice((0, 3, 4, 4, 4, 5, 7))
            sections[at] = (tag, payload[:offset] + rng.randbytes(1) + payload[offset + 1 :])
        elif mutation == 5:
            del sections[at]
        elif mutation == 6:
            sections[at] = (tag, rng.choice(rng.choice(self.sections))[1])
        elif mutation == 7:
            sections[at] = (
                rng.choice((b"P", b"I", b"L", b"m", b"d", b"v", b"Q", b"z", b"a", b"\x00", b"\xe9")),
                payload,
            )
        else:
            sections.insert(rng.randrange(len(sections) + 1), rng.choice(rng.choice(self.sections)))
        return sections

    def change_sequence(self, sections: list, rng) -> list:
        """Damage an image of an image sequence, or drop, repeat or borrow one, with lengths that stay right."""
        parts = split_sequence(sections[0][1])
        at = rng.randrange(len(parts))
        coder, own = parts[at]
        mutation = rng.randrange(6)
        if mutation < 3:
            parts[at] = (coder, self.change_section(own, rng) if own else own)
        elif mutation == 3:
            parts[at] = (rng.choice((0, 0, 1, 1, 2, 3, 4)), own)
        elif mutation == 4:
            parts[at : at + 1] = rng.choice(([], [parts[at]] * 2, [parts[at - 1]]))
        else:  # the palette of the one before
            parts[at] = (coder, [(tag, b"" if tag == b"P" else payload) for tag, payload in own])
        return [(b"A", join_sequence(parts)), *sections[1:]]


def split_sections(rest: bytes) -> list[tuple[bytes, bytes]]:
    sections = []
    while rest:
        length = int.from_bytes(rest[1:4], "little")
        sections.append((rest[:1], rest[4 : 4 + length]))
        rest = rest[4 + length :]
    return sections


def split_sequence(payload: bytes) -> list[tuple[int, list]]:
    """(coder, sections) of each image of a sound image sequence."""
    parts = []
    while payload:
        length = int.from_bytes(payload[:3], "little")
        parts.append((payload[3], split_sections(payload[4 : 3 + length])))
        payload = payload[3 + length :]
    return parts


def join_sequence(parts: list) -> bytes:
    spelled = [bytes([coder]) + join(sections) for coder, sections in parts]
    return b"".join(len(part).to_bytes(3, "little") + part for part in spelled)


def has_learned(sections: list) -> bool:
    tag, payload = sections[0]
    return tag == b"L" or (tag == b"A" and any(coder == 2 for coder, _ in split_sequence(payload)))


def split(data: bytes) -> list[tuple[bytes, bytes]]:
    """(tag, payload) of each section of a sound file."""
    return split_sections(data[HEADER_END:-4])


def join(sections: list) -> bytes:
    return b"".join(tag + len(payload).to_bytes(3, "little") + payload for tag, payload in sections)


def fix_checksum(data: bytes) -> bytes:
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def flip_bits(data: bytes, rng) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5)) if data else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def replace(data: bytes, rng) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.randrange(9)) + data[start + rng.randrange(9) :]


def overwrite(data: bytes, rng) -> bytes:
    changed = bytearray(data)
    if data:
        start = rng.randrange(len(data))
        changed[start : start + 8] = rng.randbytes(len(changed[start : start + 8]))
    return bytes(changed)


def truncate(data: bytes, rng) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def splice(data: bytes, other: bytes, rng) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def change_header(data: bytes, rng) -> bytes:
    if len(data) < HEADER_END:
        return data
    changed = bytearray(data)
    if rng.random() < 0.4:
        changed[rng.choice(BYTES)] = rng.choice(SMALL) & 0xFF
    else:
        value = rng.choice(LARGE) if rng.randrange(16) == 0 else rng.choice(SMALL)
        struct.pack_into("<H", changed, rng.choice(WORDS), value)
    return bytes(changed)


def change_length(data: bytes, rng) -> bytes:
    """Change the length of a section, but not the section."""
    position = HEADER_END
    for _ in range(rng.randrange(3)):
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "little")
    length = int.from_bytes(data[position + 1 : position + 4], "little")
    length = rng.choice((0, length + 1, length - 1, length + 4, length - 4, 2 * length, 0xFFFFFF, rng.getrandbits(24)))
    return data[: position + 1] + (length & 0xFFFFFF).to_bytes(3, "little") + data[position + 4 :]


# Those that leave lengths alone come more than once: most files with a wrong length end at the same check.
ANYWHERE = (flip_bits, flip_bits, overwrite, overwrite, change_header, change_header, change_header)
ANYWHERE += (replace, truncate, change_length, splice)


def change_content(payload: bytes, tag: bytes, rng) -> bytes:
    """Damage what is inside a zstd frame, and compress it again."""
    name, options = b"", {}
    if tag == b"d":  # a frame without its first four bytes, behind the name of its dictionary
        name, payload = payload[:4], ZSTD + payload[4:]
        path = DICTIONARIES / f"{name.hex()}.zdict"
        options = {"dict_data": zstandard.ZstdCompressionDict(path.read_bytes())}
    try:
        content = zstandard.ZstdDecompressor(**options).decompress(payload, max_output_size=1 << 16)
    except zstandard.ZstdError:
        return name + replace(payload, rng)[4 if name else 0 :]
    if tag in (b"m", b"d") and rng.random() < 0.5:
        start = rng.randrange(len(content) + 1)
        content = content[:start] + rng.choice(JSON_PIECES) + content[start + rng.randrange(3) :]
    else:
        content = rng.choice((flip_bits, replace, truncate))(content, rng)
    written = {"write_content_size": rng.random() < 0.5, "write_checksum": rng.random() < 0.5}
    return name + compress(content, **written, **options)[4 if name else 0 :]


def compress(content: bytes, **options) -> bytes:
    return zstandard.ZstdCompressor(level=1, **options).compress(content)


def costly_files() -> list[bytes]:
    """Small or allowed files that ask for as much time and memory as they can."""
    palette = {entries: bytes(16) + bytes(4 * entries) for entries in (1, 256, 4096)}
    side, count = 2048, 2048 * 2048  # 16384 x 16384 pixels
    planes = compress(bytes(2 * count), write_content_size=False)
    flood = compress(bytes(256 << 20), write_content_size=False)
    shapes = [
        build(side, side, [(b"P", palette[1]), (b"I", b"")]),
        build(65535, 64, [(b"P", palette[1]), (b"I", b"")]),
        build(64, 65535, [(b"P", bytes(64) + bytes(16)), (b"I", b"")], latent_format=4, channels=16),
        build(side, side, [(b"P", palette[4096]), (b"I", bytes(count * 12 // 8))]),
        build(side, side, [(b"P", palette[256]), (b"I", compress(bytes(count)))], coder=1),
        build(side, side, [(b"P", palette[4096]), (b"I", planes)], coder=1),
        build(side, side, [(b"P", palette[4096]), (b"I", flood)], coder=1),
    ]
    small = [(b"P", palette[1]), (b"I", b"")]
    sections = [
        build(1, 1, [*small, (b"m", flood)]),
        build(1, 1, [*small, *[(b"z", b"")] * (1 << 22)]),
        build(1, 1, [*small, (b"y", bytes((1 << 24) - 1)), (b"z", bytes((1 << 24) - 200))]),
    ]
    most = 512 << 10  # what metadata may have
    texts = [
        fill(b'{"a":[', b"[" * 97 + b"]" * 97 + b",", b'"\\u00e9\xf0\x9f\x98\x80"]}', most),
        fill(b'{"a":[', b'{"":' * 96 + b"0" + b"}" * 96 + b",", b"0]}", most),
        fill(b'{"a":[', b"[],", b"0]}", most),
        fill(b'{"a":[', b'{"":1.5},', b"0]}", most),
        fill(b'{"a":[', b"[1e9],", b"0]}", most),
        fill(b'{"a":[', b'"\\u00e9",', b'"\xf0\x9f\x98\x80"]}', most),
        b"{" + b",".join(b'"%x":[]' % number for number in range(46_000)) + b"}",
        b"[" * most,
        b'{"a":' + b"9" * (most - 10) + b"}",
        b'{"a":0.' + b"3" * (most - 10) + b"}",
    ]
    shapes.append(build(side, side, [(b"P", palette[1]), (b"I", b""), (b"m", compress(texts[0]))]))
    return shapes + sections + [build(1, 1, [*small, (b"m", compress(text))]) for text in texts]


def costly_sequences() -> list[bytes]:
    """The same of many images in one file."""
    most, flux = 255, {"latent_format": 4, "channels": 16}
    whole, tiny = bytes(64 + 16 * 4096), [(b"P", bytes(20)), (b"I", b"")]
    palette, indices = bytes(16 + 4 * 4096), bytes(128 * 128 * 12 // 8)
    compressed = compress(bytes(2 * 128 * 128), write_content_size=False)
    text = compress(fill(b'{"a":[', b"[],", b"0]}", 512 << 10))
    part = compress(fill(b'{"a":[', b"[],", b"0]}", 2000))
    return [
        build_sequence(1, 1, [(0, [(b"P", whole), (b"I", b"\0\0")])] * most, **flux),
        build_sequence(1, 1, [(0, [(b"P", b"" if n else whole), (b"I", b"\0\0")]) for n in range(most)], **flux),
        build_sequence(128, 128, [(0, [(b"P", palette), (b"I", indices)])] * most),
        build_sequence(128, 128, [(1, [(b"P", b"" if n else palette), (b"I", compressed)]) for n in range(most)]),
        build_sequence(1, 1, [(0, tiny)] * most, [(b"z", bytes(100_000))]),
        build_sequence(1, 1, [(0, tiny)] * most, [(b"z", bytes(1 << 20))]),
        build_sequence(1, 1, [(0, tiny)] * most, [(b"m", text)]),
        build_sequence(1, 1, [(0, [*tiny, (b"m", text)])] * most),
        build_sequence(1, 1, [(0, [*tiny, (b"m", part)])] * most),
        build_sequence(1, 1, [(0, [*tiny, *[(b"z", b"")] * (1 << 16)])] * 2),
    ]


def costly_learned(smallest: bytes) -> list[bytes]:
    """The same of the learned codec, by the section of a sound file of one place: a large latent that ends at once, one
    whose symbols, which random bytes give without end, are all read, and as many small ones as go into one file."""
    weights, found = smallest[:4], [build_sequence(1, 1, [(2, [(b"L", smallest)])] * 255)]
    for side, payload in ((2048, b"\1\0\0\0"), (256, b"\1\0" + random.Random(0).randbytes(1 << 20))):
        found += [build(side, side, [(b"L", weights + bytes([quality]) + payload)], coder=2) for quality in (0, 255)]
    return found


def fill(start: bytes, unit: bytes, end: bytes, size: int) -> bytes:
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


def build(height: int, width: int, sections: list, *, latent_format=1, channels=4, images=1, coder=0) -> bytes:
    fields = (1, latent_format, channels, height, width, 8, 8, images, coder)
    return fix_checksum(b"\x93SDC\r\n\x1a" + struct.pack("<BBBHHHHBB", *fields) + join(sections) + bytes(4))


def build_sequence(height: int, width: int, parts: list, sections=(), **options) -> bytes:
    return build(height, width, [(b"A", join_sequence(parts)), *sections], images=len(parts), coder=3, **options)
