"""Several pictures of one size in one file."""

import struct
import zlib

import numpy as np
import pytest
import sdc_codec as codec
import zstandard
from sdc_codec import container

VAE = bytes.fromhex("d55421d1d82732d7")


@pytest.fixture
def make(smooth_latent):
    """Encode a drawn picture: a palette with many entries takes zstd, few take fixed lengths, quality the other one."""

    def make(seed, quality=None, repeat=1, **options):
        latent = np.repeat(smooth_latent(seed=seed, width=24 // repeat), repeat, axis=2)
        if quality is not None:
            return codec.encode_learned(latent, quality=quality, **options)
        return codec.encode(latent, **{"colours": 16, **options})

    return make


def section_a(data):
    return bytes(container.split(data, 1 << 30)[1]["A"])


def spell(tag, payload):
    return tag + len(payload).to_bytes(3, "little") + payload


def album(build_file, parts, sections=(), **fields):
    """A file by hand; a part is its coder and its sections, a list of pairs, or bytes as they are."""
    spelled = [
        part if isinstance(part, bytes) else bytes([part[0]]) + b"".join(spell(*each) for each in part[1])
        for part in parts
    ]
    payload = b"".join(len(part).to_bytes(3, "little") + part for part in spelled)
    return build_file([(b"A", payload), *sections], **{"pictures": len(parts), "coder": 3, **fields})


def test_pictures_come_back_byte_for_byte(make):
    about = {"metadata": {"prompt": "a fox"}, "vae": VAE}
    for pictures in (
        [make(n) for n in range(3)],
        [make(n, repeat=6, colours=200, dither="none") for n in range(3)],
        [make(n, quality=20 + 60 * n) for n in range(3)],
        [make(0), make(1, quality=80), make(0), make(2, repeat=6, colours=200, dither="none"), make(0)],
        [make(n, **about) for n in range(3)],
        [make(0, **about), make(1), make(2, vae=VAE), make(3, metadata={"prompt": "an owl"})],
        [make(0, metadata={"prompt": str(n)}, vae=VAE) for n in range(255)],
    ):
        data = codec.join_pictures(pictures)
        found = codec.load_all(data)
        assert found == pictures and [each.metadata for each in found] == [each.metadata for each in pictures]
        assert [each.vae for each in found] == [each.vae for each in pictures]
        assert len(data) < sum(picture.size for picture in pictures)
        for picture, original in zip(found, pictures, strict=True):
            assert codec.decode(picture).tobytes() == codec.decode(original).tobytes()
        assert codec.join_pictures(found) == data


def test_one_picture_is_an_ordinary_file(make):
    picture = make(0)
    assert codec.join_pictures([picture]) == picture.data
    assert codec.load_all(picture.data) == [picture]


def test_what_pictures_share_is_stored_once(make, smooth_latent):
    about = {"metadata": {"prompt": "one prompt for all of them"}, "vae": VAE}
    latents = [smooth_latent(seed=n) for n in range(4)]
    together = codec.encode_together(latents, colours=16, **about)
    data = codec.join_pictures(together)
    _, sections = container.split(data, 1 << 30)
    assert list(sections) == ["A", "v", "d"]
    palette = bytes(container.split(together[0].data, 1 << 30)[1]["P"])
    assert data.count(palette) == 1 and all(picture.data.count(palette) == 1 for picture in together)
    # 12 bytes a picture, 12 for the VAE, and 28 around them.
    stored = sum(len(container.split(picture.data, 1 << 30)[1]["I"]) for picture in together)
    assert len(data) == 28 + 4 * 12 + len(palette) + stored + 12 + 4 + len(sections["d"])
    own = codec.join_pictures([codec.encode(latent, colours=16, **about) for latent in latents])
    assert len(data) < len(own) - 200


def test_one_palette_is_near_to_all_pictures(smooth_latent):
    latents = [smooth_latent(seed=n) for n in range(4)]
    alone = codec.encode(latents[0], colours=32, dither="none", seed=3)
    assert codec.encode_together(latents[:1], colours=32, dither="none", seed=3) == [alone]
    for dither in codec.DITHERS:
        pictures = codec.encode_together(latents, colours=64, dither=dither)
        assert {picture.colours for picture in pictures} == {64}
        first = [picture.quantised.values.tobytes() for picture in pictures]
        assert len(set(first)) == 1
        errors = [np.sqrt(np.square(codec.decode(p) - z).mean()) for p, z in zip(pictures, latents, strict=True)]
        own = [codec.encode(latent, colours=64, dither=dither) for latent in latents]
        alone = [np.sqrt(np.square(codec.decode(p) - z).mean()) for p, z in zip(own, latents, strict=True)]
        assert max(errors) < 2.5 * min(alone)


def test_latents_that_do_not_go_together_are_refused(smooth_latent):
    with pytest.raises(codec.SdcArgumentError, match="2 shapes"):
        codec.encode_together([smooth_latent(), smooth_latent(height=8)])
    with pytest.raises(codec.SdcArgumentError, match="0 shapes"):
        codec.encode_together([])


def test_load_names_what_reads_albums(make, tmp_path):
    (tmp_path / "a.sdc").write_bytes(codec.join_pictures([make(0), make(1)]))
    with pytest.raises(codec.SdcUnsupportedError, match="holds 2 pictures and one is asked for: load_all"):
        codec.load_file(tmp_path / "a.sdc")


def test_only_pictures_of_one_kind_and_size_go_into_one_file(make, smooth_latent):
    others = {
        "192x120": codec.encode(smooth_latent(), height=120),
        "latent of 24x8": codec.encode(smooth_latent(height=8), height=128),
        "SDXL": make(0, latent_format="SDXL"),
    }
    for words, other in others.items():
        with pytest.raises(codec.SdcArgumentError, match=f"picture 2 is .*{words}.* and picture 1 is SD1.x, 192x128"):
            codec.join_pictures([make(0), other])
    for count in (0, 256):
        with pytest.raises(codec.SdcArgumentError, match=f"there are {count} pictures; one file holds 1 to 255"):
            codec.join_pictures([make(0)] * count)


def test_pictures_too_large_for_one_file_are_refused(build_file, small_sections):
    large = codec.load(build_file([*small_sections, (b"z", bytes((1 << 24) - 100))]))
    also = codec.load(build_file([*small_sections, (b"y", bytes((1 << 24) - 100))]))
    with pytest.raises(codec.SdcArgumentError, match="section 'A' would take .* fewer or smaller pictures"):
        codec.join_pictures([large, also])
    with pytest.raises(codec.SdcArgumentError, match="do not fit into one file: the 3 pictures would take 50"):
        codec.join_pictures([large] * 3)
    full = codec.load(build_file([*small_sections, (b"z", bytes((1 << 24) - 1))]))
    with pytest.raises(codec.SdcArgumentError, match="a picture takes 16777"):
        codec.join_pictures([full, large])


def test_metadata_of_all_pictures_have_one_bound(make):
    long = [make(0, metadata={"prompt": f"{n}" * (300 << 10)}) for n in range(2)]
    with pytest.raises(codec.SdcArgumentError, match="one file: picture 2 of 2: the metadata .* at most 217"):
        codec.join_pictures(long)
    same = codec.load_all(codec.join_pictures(long[:1] * 8))
    assert same == long[:1] * 8 and same[0].metadata is same[7].metadata


def test_a_file_by_hand_reads_as_the_specification_says(build_file, small_sections):
    palette, indices = small_sections
    other = (b"P", palette[1][:16] + b"\x00" * 4)
    parts = [
        (0, [palette, (b"I", b"\x80"), (b"z", b"own")]),
        (0, [(b"P", b""), (b"I", b"\x40")]),
        (0, [other, (b"I", b"")]),
        (1, [(b"P", b""), (b"I", zstandard.ZstdCompressor().compress(b"\0\0"))]),
    ]
    pictures = codec.load_all(album(build_file, parts, [(b"v", VAE), (b"a", b"all")]))
    ends = [(b"v", VAE), (b"a", b"all")]
    assert pictures[0].data == build_file([palette, indices, *ends, (b"z", b"own")])
    assert pictures[1].data == build_file([palette, (b"I", b"\x40"), *ends])
    assert pictures[2].data == build_file([other, (b"I", b""), *ends])
    assert (pictures[3].coder, pictures[3].colours, pictures[3].vae) == ("zstd", 1, VAE)
    assert codec.join_pictures(pictures) == album(build_file, parts, [(b"v", VAE), (b"a", b"all")])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"cut": 1}, codec.SdcSectionError, r"picture 2 of 2: its part goes from byte"),
        ({"extra": b"\0\0"}, codec.SdcSectionError, "2 bytes after the last of 2 pictures"),
        ({"fields": {"pictures": 3}}, codec.SdcSectionError, "picture 3 of 3: its part goes from"),
        ({"fields": {"pictures": 1}}, codec.SdcHeaderError, "1 pictures by coder 3"),
        ({"fields": {"coder": 0}}, codec.SdcSectionError, "must be P, I"),
        ({"parts": {1: b""}}, codec.SdcSectionError, "picture 2 of 2: its part goes"),
        ({"parts": {1: b"\0"}}, codec.SdcSectionError, "picture 2 of 2: the sections are ''"),
        ({"parts": {1: b"\0P\0\0"}}, codec.SdcSectionError, "picture 2 of 2: its section at byte 1 needs 5 bytes"),
        ({"parts": {1: b"\0P\xff\0\0"}}, codec.SdcSectionError, "picture 2 of 2: its section at byte 1 needs 260"),
        ({"parts": {1: b"\3P\0\0\0I\0\0\0"}}, codec.SdcSectionError, "picture 2 of 2: it is an album itself"),
        ({"parts": {1: b"\0A\0\0\0"}}, codec.SdcSectionError, "picture 2 of 2: it is an album itself"),
        ({"parts": {1: b"\4P\0\0\0I\0\0\0"}}, codec.SdcUnsupportedError, "picture 2 of 2: the file uses coder 4"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0Q\0\0\0"}}, codec.SdcUnsupportedError, "2 of 2: .* section 'Q'"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0v\0\0\0"}}, codec.SdcSectionError, "a section 'v', and so has the whole"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0z\0\0\0z\0\0\0"}}, codec.SdcSectionError, "2 of 2: .*at most once"),
        ({"parts": {0: b"\0P\0\0\0I\0\0\0"}}, codec.SdcPaletteError, "picture 1 of 2: its palette is that of a"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0"}}, codec.SdcIndexError, "picture 2 of 2: the indices take 0 bytes"),
        ({"parts": {1: b"\2L\0\0\0"}}, codec.SdcError, "picture 2 of 2: "),
        ({"sections": [(b"m", b"")]}, codec.SdcMetadataError, "^the metadata should be"),
        ({"sections": [(b"Q", b"")]}, codec.SdcUnsupportedError, "section 'Q'"),
    ],
)
def test_damaged_albums_say_which_picture_is_at_fault(build_file, small_sections, change, error, message):
    parts = [(0, small_sections), (0, small_sections)]
    for at, part in change.get("parts", {}).items():
        parts[at] = part
    data = album(build_file, parts, change.get("sections", [(b"v", VAE)]), **change.get("fields", {}))
    if "cut" in change or "extra" in change:
        payload = section_a(data)[: -change.get("cut", 0) or None] + change.get("extra", b"")
        data = build_file([(b"A", payload), (b"v", VAE)], pictures=2, coder=3)
    with pytest.raises(error, match=message):
        codec.load_all(data)


def test_the_area_of_all_pictures_counts(build_file, small_sections):
    data = album(build_file, [(0, small_sections)] * 3)
    assert len(codec.load_all(data, max_pixels=384)) == 3
    with pytest.raises(codec.SdcLimitError, match="3 pictures have 384 pixels and 383 are allowed"):
        codec.load_all(data, max_pixels=383)


def test_the_first_picture_is_read_alone(build_file, small_sections):
    broken = (0, [small_sections[0], (b"I", b"\x81")])
    data = album(build_file, [(0, small_sections), broken])
    assert codec.load_first(data, max_pixels=128).data == build_file(small_sections)
    assert codec.load_first(build_file(small_sections)).data == build_file(small_sections)
    with pytest.raises(codec.SdcLimitError, match="the picture has 128 pixels and 127"):
        codec.load_first(data, max_pixels=127)
    with pytest.raises(codec.SdcIndexError, match="picture 2 of 2"):
        codec.load_all(data)


def test_a_few_bytes_cannot_become_many(build_file):
    small = (0, [(b"P", bytes(20)), (b"I", b"")])
    data = album(build_file, [small] * 255, [(b"z", bytes(1 << 20))])
    with pytest.raises(codec.SdcLimitError, match="255 pictures would take 267"):
        codec.load_all(data)
    text = zstandard.ZstdCompressor().compress(b'{"a":"' + bytes([97]) * (400 << 10) + b'"}')
    with pytest.raises(codec.SdcMetadataError, match="picture 2 of 255"):
        codec.load_all(album(build_file, [(0, [*small[1], (b"m", text)])] * 255))
    assert len(codec.load_all(album(build_file, [small] * 255, [(b"m", text)]))) == 255


def test_every_changed_byte_gives_an_error_or_pictures(make):
    data = codec.join_pictures([make(0, colours=3), make(0, colours=3), make(1, colours=3)])
    for at in range(20, len(data) - 4):
        changed = bytearray(data[:-4])
        changed[at] ^= 0x41
        try:
            pictures = codec.load_all(bytes(changed) + struct.pack("<I", zlib.crc32(bytes(changed))))
        except codec.SdcError:
            continue
        assert len(pictures) == 3 and all(codec.decode(picture).shape == (4, 16, 24) for picture in pictures)
