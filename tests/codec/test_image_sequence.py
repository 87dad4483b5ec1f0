"""Several images of one size in one file."""

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
    """Encode a drawn image: a palette with many entries takes zstd, few take fixed lengths, quality the other one."""

    def make(seed, quality=None, repeat=1, **options):
        latent = np.repeat(smooth_latent(seed=seed, width=24 // repeat), repeat, axis=2)
        if quality is not None:
            return codec.encode([latent], quality=quality, **options)[0]
        return codec.encode([latent], "custom", **{"colors": 16, **options})[0]

    return make


def section_a(data):
    return bytes(container.parse(data, 1 << 30)[1]["A"])


def spell(tag, payload):
    return tag + len(payload).to_bytes(3, "little") + payload


def sequence(build_file, parts, sections=(), **fields):
    """A file by hand; a part is its coder and its sections, a list of pairs, or bytes as they are."""
    spelled = [
        part if isinstance(part, bytes) else bytes([part[0]]) + b"".join(spell(*each) for each in part[1])
        for part in parts
    ]
    payload = b"".join(len(part).to_bytes(3, "little") + part for part in spelled)
    return build_file([(b"A", payload), *sections], **{"images": len(parts), "coder": 3, **fields})


def test_images_come_back_byte_for_byte(make):
    about = {"metadata": {"prompt": "a fox"}, "vae": VAE}
    for images in (
        [make(n) for n in range(3)],
        [make(n, repeat=6, colors=200, dither="none") for n in range(3)],
        [make(n, quality=20 + 40 * n) for n in range(3)],
        [make(0), make(1, quality=80), make(0), make(2, repeat=6, colors=200, dither="none"), make(0)],
        [make(n, **about) for n in range(3)],
        [make(0, **about), make(1), make(2, vae=VAE), make(3, metadata={"prompt": "an owl"})],
        [make(0, metadata={"prompt": str(n)}, vae=VAE) for n in range(255)],
    ):
        data = codec.join_images(images)
        found = codec.load_all(data)
        assert found == images and [each.metadata for each in found] == [each.metadata for each in images]
        assert [each.vae for each in found] == [each.vae for each in images]
        assert len(data) < sum(image.num_bytes for image in images)
        for image, original in zip(found, images, strict=True):
            assert codec.decode(image).tobytes() == codec.decode(original).tobytes()
        assert codec.join_images(found) == data


def test_one_image_is_an_ordinary_file(make):
    image = make(0)
    assert codec.join_images([image]) == image.data
    assert codec.load_all(image.data) == [image]


def test_what_images_share_is_stored_once(make, smooth_latent):
    about = {"metadata": {"prompt": "one prompt for all of them"}, "vae": VAE}
    latents = [smooth_latent(seed=n) for n in range(4)]
    together = codec.encode(latents, "custom", colors=16, **about, shared_palette=True)
    data = codec.join_images(together)
    _, sections = container.parse(data, 1 << 30)
    assert list(sections) == ["A", "v", "d"]
    palette = bytes(container.parse(together[0].data, 1 << 30)[1]["P"])
    assert data.count(palette) == 1 and all(image.data.count(palette) == 1 for image in together)
    # 12 bytes an image, 12 for the VAE, and 28 around them.
    stored = sum(len(container.parse(image.data, 1 << 30)[1]["I"]) for image in together)
    assert len(data) == 28 + 4 * 12 + len(palette) + stored + 12 + 4 + len(sections["d"])
    own = codec.join_images([codec.encode([latent], "custom", colors=16, **about)[0] for latent in latents])
    assert len(data) < len(own) - 200


def test_shared_palette_is_near_to_all_images(smooth_latent):
    latents = [smooth_latent(seed=n) for n in range(4)]
    alone = codec.encode([latents[0]], "custom", colors=32, dither="none", seed=3)[0]
    assert codec.encode(latents[:1], "custom", colors=32, dither="none", seed=3, shared_palette=True) == [alone]
    for dither in codec.DITHERS:
        images = codec.encode(latents, "custom", colors=64, dither=dither, shared_palette=True)
        assert {image.colors for image in images} == {64}
        first = [image.stored.values.tobytes() for image in images]
        assert len(set(first)) == 1
        errors = [np.sqrt(np.square(codec.decode(p) - z).mean()) for p, z in zip(images, latents, strict=True)]
        own = [codec.encode([latent], "custom", colors=64, dither=dither)[0] for latent in latents]
        alone = [np.sqrt(np.square(codec.decode(p) - z).mean()) for p, z in zip(own, latents, strict=True)]
        assert max(errors) < 2.5 * min(alone)


def test_latents_that_do_not_go_together_are_refused(smooth_latent):
    with pytest.raises(codec.SdcArgumentError, match="2 shapes"):
        codec.encode([smooth_latent(), smooth_latent(height=8)], "custom", shared_palette=True)
    with pytest.raises(codec.SdcArgumentError, match="0 shapes"):
        codec.encode([], "custom", shared_palette=True)


def test_load_names_what_reads_sequences(make, tmp_path):
    (tmp_path / "a.sdc").write_bytes(codec.join_images([make(0), make(1)]))
    with pytest.raises(codec.SdcUnsupportedError, match="holds 2 images and one is requested: load_all"):
        codec.load_file(tmp_path / "a.sdc")


def test_only_images_of_one_kind_and_size_go_into_one_file(make, smooth_latent):
    others = {
        "192x120": codec.encode([smooth_latent()], "custom", height=120)[0],
        "latent of 24x8": codec.encode([smooth_latent(height=8)], "custom", height=128)[0],
        "SDXL": make(0, latent_format="SDXL"),
    }
    for words, other in others.items():
        with pytest.raises(codec.SdcArgumentError, match=f"image 2 is .*{words}.* and image 1 is SD1.x, 192x128"):
            codec.join_images([make(0), other])
    for count in (0, 256):
        with pytest.raises(codec.SdcArgumentError, match=f"there are {count} images; one file holds 1 to 255"):
            codec.join_images([make(0)] * count)


def test_images_too_large_for_one_file_are_refused(build_file, small_sections):
    large = codec.load(build_file([*small_sections, (b"z", bytes((1 << 24) - 100))]))
    also = codec.load(build_file([*small_sections, (b"y", bytes((1 << 24) - 100))]))
    with pytest.raises(codec.SdcArgumentError, match="section 'A' would take .* fewer or smaller images"):
        codec.join_images([large, also])
    with pytest.raises(codec.SdcArgumentError, match="do not fit into one file: the 3 images would take 50"):
        codec.join_images([large] * 3)
    full = codec.load(build_file([*small_sections, (b"z", bytes((1 << 24) - 1))]))
    with pytest.raises(codec.SdcArgumentError, match="an image takes 16777"):
        codec.join_images([full, large])


def test_metadata_of_all_images_have_one_bound(make):
    long = [make(0, metadata={"prompt": f"{n}" * (300 << 10)}) for n in range(2)]
    with pytest.raises(codec.SdcArgumentError, match="one file: image 2 of 2: the metadata .* at most 217"):
        codec.join_images(long)
    same = codec.load_all(codec.join_images(long[:1] * 8))
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
    images = codec.load_all(sequence(build_file, parts, [(b"v", VAE), (b"a", b"all")]))
    ends = [(b"v", VAE), (b"a", b"all")]
    assert images[0].data == build_file([palette, indices, *ends, (b"z", b"own")])
    assert images[1].data == build_file([palette, (b"I", b"\x40"), *ends])
    assert images[2].data == build_file([other, (b"I", b""), *ends])
    assert (images[3].coder, images[3].colors, images[3].vae) == ("zstd", 1, VAE)
    assert codec.join_images(images) == sequence(build_file, parts, [(b"v", VAE), (b"a", b"all")])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"cut": 1}, codec.SdcFormatError, r"image 2 of 2: its part goes from byte"),
        ({"extra": b"\0\0"}, codec.SdcFormatError, "2 bytes after the last of 2 images"),
        ({"fields": {"images": 3}}, codec.SdcFormatError, "image 3 of 3: its part goes from"),
        ({"fields": {"images": 1}}, codec.SdcFormatError, "1 images by coder 3"),
        ({"fields": {"coder": 0}}, codec.SdcFormatError, "must be P, I"),
        ({"parts": {1: b""}}, codec.SdcFormatError, "image 2 of 2: its part goes"),
        ({"parts": {1: b"\0"}}, codec.SdcFormatError, "image 2 of 2: the sections are ''"),
        ({"parts": {1: b"\0P\0\0"}}, codec.SdcFormatError, "image 2 of 2: its section at byte 1 needs 5 bytes"),
        ({"parts": {1: b"\0P\xff\0\0"}}, codec.SdcFormatError, "image 2 of 2: its section at byte 1 needs 260"),
        ({"parts": {1: b"\3P\0\0\0I\0\0\0"}}, codec.SdcFormatError, "image 2 of 2: it is an image sequence itself"),
        ({"parts": {1: b"\0A\0\0\0"}}, codec.SdcFormatError, "image 2 of 2: it is an image sequence itself"),
        ({"parts": {1: b"\5P\0\0\0I\0\0\0"}}, codec.SdcUnsupportedError, "image 2 of 2: the file uses coder 5"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0Q\0\0\0"}}, codec.SdcUnsupportedError, "2 of 2: .* section 'Q'"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0v\0\0\0"}}, codec.SdcFormatError, "a section 'v', and so has the whole"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0z\0\0\0z\0\0\0"}}, codec.SdcFormatError, "2 of 2: .*at most once"),
        ({"parts": {0: b"\0P\0\0\0I\0\0\0"}}, codec.SdcFormatError, "image 1 of 2: its palette is that of a"),
        ({"parts": {1: b"\0P\0\0\0I\0\0\0"}}, codec.SdcFormatError, "image 2 of 2: the indices take 0 bytes"),
        ({"parts": {1: b"\2L\0\0\0"}}, codec.SdcError, "image 2 of 2: "),
        ({"sections": [(b"m", b"")]}, codec.SdcFormatError, "^the metadata should be"),
        ({"sections": [(b"Q", b"")]}, codec.SdcUnsupportedError, "section 'Q'"),
    ],
)
def test_damaged_sequences_say_which_image_is_at_fault(build_file, small_sections, change, error, message):
    parts = [(0, small_sections), (0, small_sections)]
    for at, part in change.get("parts", {}).items():
        parts[at] = part
    data = sequence(build_file, parts, change.get("sections", [(b"v", VAE)]), **change.get("fields", {}))
    if "cut" in change or "extra" in change:
        payload = section_a(data)[: -change.get("cut", 0) or None] + change.get("extra", b"")
        data = build_file([(b"A", payload), (b"v", VAE)], images=2, coder=3)
    with pytest.raises(error, match=message):
        codec.load_all(data)


def test_the_area_of_all_images_counts(build_file, small_sections):
    data = sequence(build_file, [(0, small_sections)] * 3)
    assert len(codec.load_all(data, max_pixels=384)) == 3
    with pytest.raises(codec.SdcLimitError, match="3 images have 384 pixels and 383 are allowed"):
        codec.load_all(data, max_pixels=383)


def test_the_first_image_is_read_alone(build_file, small_sections):
    broken = (0, [small_sections[0], (b"I", b"\x81")])
    data = sequence(build_file, [(0, small_sections), broken])
    assert codec.load_first(data, max_pixels=128).data == build_file(small_sections)
    assert codec.load_first(build_file(small_sections)).data == build_file(small_sections)
    with pytest.raises(codec.SdcLimitError, match="the image has 128 pixels and 127"):
        codec.load_first(data, max_pixels=127)
    with pytest.raises(codec.SdcFormatError, match="image 2 of 2"):
        codec.load_all(data)


def test_a_few_bytes_cannot_become_many(build_file):
    small = (0, [(b"P", bytes(20)), (b"I", b"")])
    data = sequence(build_file, [small] * 255, [(b"z", bytes(1 << 20))])
    with pytest.raises(codec.SdcLimitError, match="255 images would take 267"):
        codec.load_all(data)
    text = zstandard.ZstdCompressor().compress(b'{"a":"' + bytes([97]) * (400 << 10) + b'"}')
    with pytest.raises(codec.SdcFormatError, match="image 2 of 255"):
        codec.load_all(sequence(build_file, [(0, [*small[1], (b"m", text)])] * 255))
    assert len(codec.load_all(sequence(build_file, [small] * 255, [(b"m", text)]))) == 255


def test_every_changed_byte_gives_an_error_or_images(make):
    data = codec.join_images([make(0, colors=3), make(0, colors=3), make(1, colors=3)])
    for at in range(20, len(data) - 4):
        changed = bytearray(data[:-4])
        changed[at] ^= 0x41
        try:
            images = codec.load_all(bytes(changed) + struct.pack("<I", zlib.crc32(bytes(changed))))
        except codec.SdcError:
            continue
        assert len(images) == 3 and all(codec.decode(image).shape == (4, 16, 24) for image in images)
