"""A second decoder of format version 1, written from FORMAT.md alone: slow, strict and, but for the learned codec in
`plain_learned.py`, without numpy. Coder 4 is in `plain_archive.py`.

It shares no code with the package, so where the two agree the text is enough. Keep it that way.
"""

import hashlib
import json
import math
import re
import struct
import sys
import zlib
from pathlib import Path

import plain_archive
import plain_learned
import zstandard

DICTIONARIES = Path(__file__).resolve().parents[2] / "weights" / "metadata"
LATENT_FORMATS = {  # name, channels, pixels per latent element
    1: ("SD1.x", 4, 8), 2: ("SDXL", 4, 8), 3: ("SD3", 16, 8), 4: ("Flux", 16, 8), 5: ("Flux2", 128, 16),
    6: ("Wan21", 16, 8), 7: ("Wan22", 48, 16), 8: ("HunyuanVideo", 16, 8), 9: ("HunyuanVideo15", 32, 16),
    10: ("HunyuanImage21", 64, 32), 11: ("HunyuanImage21Refiner", 32, 16), 12: ("LTXV", 128, 32),
    13: ("LTXAV", 128, 32), 14: ("Mochi", 12, 8), 15: ("Cosmos1CV8x8x8", 16, 8), 16: ("CogVideoX", 16, 8),
    17: ("SeedVR2", 16, 8), 18: ("MiniMaxH3Video", 24, 16), 19: ("SC_Prior", 16, 42), 20: ("SC_B", 4, 4),
    21: ("SD_X4", 4, 4),
}  # fmt: skip


class Refused(Exception):
    pass


def refuse(reason):
    raise Refused(reason)


def require(condition, reason):
    if not condition:
        refuse(reason)


def decode(data, max_pixels=16384**2):
    """Return (latent as little-endian binary32, metadata) of a file of one image, or raise Refused."""
    (found,) = decode_all(data, max_pixels)
    return found


def decode_all(data, max_pixels=16384**2):
    """Return that of each image, in a list, or raise Refused."""
    require(data[:8] == b"\x93SDC\r\n\x1a\x01", "signature and version")
    require(32 <= len(data) <= 32 << 20, "size of the file")
    body, checksum = data[:-4], struct.unpack("<I", data[-4:])[0]
    kind, channels, height, width, image_width, image_height, images, coder = struct.unpack("<2B4H2B", data[8:20])
    tags, payloads = sections_of(body[20:])
    require(zlib.crc32(body) == checksum, "checksum")
    require(kind == 0 or kind in LATENT_FORMATS, "latent format")
    name, wanted, factor = LATENT_FORMATS.get(kind, ("unknown", channels, 8))
    require(images > 0 and channels == wanted, "header")
    channels, frames = channels or 256, 1
    if tags[:1] == "T":
        require(len(payloads["T"]) == 2 and payloads["T"] != b"\0\0" and "T" not in tags[1:], "frames")
        frames, tags = int.from_bytes(payloads.pop("T"), "little"), tags[1:]
    require(min(height, width, image_width, image_height) > 0, "empty size")
    area = max(factor * factor * height * width, image_width * image_height, 2 * channels * height * width)
    require(images * frames * area <= max_pixels, "pixels")
    require((coder == 3) == (images > 1), "image count")
    shape, extra = (name, channels, frames, height, width), 6 if len(body) > 20 and body[20:21] == b"T" else 0
    if coder != 3:
        check_sections(coder, tags)
        described, _ = metadata_of(payloads, 512 << 10)
        return [(latent_of(coder, payloads, shape), described)]
    require(re.fullmatch("A[a-z]*", tags) and len(set(tags)) == len(tags), "sections")
    parts = parts_of(payloads.pop("A"), images, payloads, 24 + extra)
    for_all, room = metadata_of(payloads, 512 << 10)
    found = []
    for own_coder, own in parts:
        marks = {tag: payload for tag, payload in own.items() if tag.islower()}
        described = for_all
        if "m" in marks or ("d" in marks and "m" not in payloads):
            described, room = metadata_of(marks, room)
        found.append((latent_of(own_coder, own, shape), described))
    return found


def sections_of(rest):
    """Tags in their order as one text, and payloads by tag."""
    tags, payloads = "", {}
    while rest:
        require(len(rest) >= 4 and len(tags) < 52, "section header")
        length = rest[1] | rest[2] << 8 | rest[3] << 16
        require(len(rest) >= 4 + length, "section length")
        tags += chr(rest[0])
        payloads[chr(rest[0])] = rest[4 : 4 + length]
        rest = rest[4 + length :]
    return tags, payloads


def check_sections(coder, tags):
    require(coder in (0, 1, 2, 4), "coder")
    needed = {2: "L", 4: "N"}.get(coder, "PI")
    require(re.fullmatch(f"{needed}[a-z]*", tags) and len(set(tags)) == len(tags), "sections")


def parts_of(sequence, count, common, framing):
    """(coder, payloads by tag) of each image in section A, with its palette; `common` are the sections after it."""
    parts, palette, total = [], None, 0
    for _ in range(count):
        length = int.from_bytes(sequence[:3], "little")
        require(1 <= length <= len(sequence) - 3, "length of a part")
        coder = sequence[3]
        tags, payloads = sections_of(sequence[4 : 3 + length])
        check_sections(coder, tags)
        require(not set(tags) & set(common), "section in both places")
        if coder < 2:
            palette = payloads["P"] or palette
            require(palette, "palette before")
            payloads["P"] = palette
        total += framing + sum(4 + len(payload) for payload in [*payloads.values(), *common.values()])
        parts.append((coder, payloads))
        sequence = sequence[3 + length :]
    require(not sequence, "end of the sequence")
    require(total <= 32 << 20, "size of the images")
    return parts


def latent_of(coder, payloads, shape):
    name, channels, frames, height, width = shape
    if coder == 4:
        try:
            return plain_archive.decode(payloads["N"], channels, frames, height, width)
        except plain_archive.Damaged as damage:
            raise Refused(str(damage)) from damage
    require(frames == 1, "frames of this coder")
    if coder == 2:
        try:
            latent = plain_learned.decode(payloads["L"], height, width, name, channels)
        except plain_learned.Damaged as damage:
            raise Refused(str(damage)) from damage
        return latent.astype("<f4").tobytes()
    entries = palette(payloads["P"], channels)
    names = indices(payloads["I"], coder, height * width, len(entries))
    latent = [entries[index][channel] for channel in range(channels) for index in names]
    return struct.pack(f"<{len(latent)}f", *latent)


def metadata_of(payloads, room):
    """The metadata in these sections, and what is left of the bytes that metadata may have."""
    if "m" in payloads:
        text = inflate(payloads["m"])
    elif "d" in payloads and (dictionary := dictionary_of(payloads["d"][:4])):
        text = inflate(b"\x28\xb5\x2f\xfd" + payloads["d"][4:], dictionary)
    else:
        return {}, room
    require(len(text) <= room, "size of the metadata")
    return describe(text), room - len(text)


def palette(payload, channels):
    count, odd = divmod(len(payload) - 4 * channels, channels)
    require(1 <= count <= 4096 and not odd, "palette length")
    ends = struct.unpack(f"<{2 * channels}e", payload[: 4 * channels])
    ranges = list(zip(ends[::2], ends[1::2], strict=True))
    require(all(map(math.isfinite, ends)) and all(low <= high for low, high in ranges), "palette ranges")
    entries = []
    for start in range(4 * channels, len(payload), channels):
        components = payload[start : start + channels]
        entries.append([low + q * (high - low) / 255 for q, (low, high) in zip(components, ranges, strict=True)])
    return entries


def indices(payload, coder, count, entries):
    if coder == 0:
        bits = 0
        while 1 << bits < entries:
            bits += 1
        require(len(payload) == (count * bits + 7) // 8, "length of the indices")
        number, unused = int.from_bytes(payload, "big"), 8 * len(payload) - count * bits
        require(number % (1 << unused) == 0, "unused bits")
        digits = f"{number >> unused:0{count * bits}b}" if bits else ""
        names = [int(digits[i * bits : (i + 1) * bits] or "0", 2) for i in range(count)]
    else:
        planes = inflate(payload)
        require(len(planes) == (count if entries <= 256 else 2 * count), "inflated indices")
        names = [low + 256 * high for low, high in zip(planes[:count], planes[count:] or bytes(count), strict=True)]
    require(max(names) < entries, "index beyond the palette")
    return names


def dictionary_of(name):
    """The dictionary that is called so, or None."""
    path = DICTIONARIES / f"{name.hex()}.zdict"
    if len(name) < 4 or not path.exists():
        return None
    content = path.read_bytes()
    require(hashlib.sha256(content).digest()[:4] == name, "damaged dictionary")
    return zstandard.ZstdCompressionDict(content)


def inflate(frame, dictionary=None):
    require(len(frame) >= 6 and frame[:4] == b"\x28\xb5\x2f\xfd", "zstd magic number")
    descriptor = frame[4]
    dictionary_size = (0, 1, 2, 4)[descriptor & 3]
    single_segment = descriptor >> 5 & 1
    size_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    position = 5 if single_segment else 6
    require(not any(frame[position : position + dictionary_size]), "zstd dictionary")
    position += dictionary_size
    if single_segment:
        window = int.from_bytes(frame[position : position + size_size], "little") + (256 if size_size == 2 else 0)
    else:
        window = (1 << 10 + (frame[5] >> 3)) // 8 * (8 + (frame[5] & 7))
    require(window <= 8 << 20, "zstd window")
    decompressor = zstandard.ZstdDecompressor(dict_data=dictionary).decompressobj()
    try:
        content = decompressor.decompress(frame)
    except zstandard.ZstdError as error:
        raise Refused(f"zstd: {error}") from error
    require(decompressor.eof and not decompressor.unused_data, "zstd frame that fills its section")
    return content


def describe(text):
    try:
        # Of a key that appears twice the last value counts, but the text has both.
        value = json.loads(text.decode("utf-8"), parse_constant=refuse, parse_float=number, parse_int=number)
    except (ValueError, RecursionError) as error:
        raise Refused(f"JSON: {error}") from error
    require(isinstance(value, dict), "JSON object")
    check(value, 1)
    require(isinstance(value.get("prompt", ""), str) and isinstance(value.get("workflow", {}), dict), "known keys")
    return value


def number(text):
    value = int(text) if text.lstrip("-").isdigit() else float(text)
    require(abs(value) <= sys.float_info.max, "number beyond binary64")
    return value


def check(value, depth):
    if isinstance(value, dict | list):
        require(depth <= 100, "nesting")
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            check(inner, depth + 1)
    elif isinstance(value, str):
        require(not re.search("[\ud800-\udfff]", value), "surrogate")
