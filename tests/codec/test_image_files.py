import io
from functools import partial

import numpy as np
import pytest
import sdc_codec as codec
from PIL import Image, ImageCms
from sdc_codec.autoencoder.images import encode_image
from sdc_codec.autoencoder.srgb import WHITE, to_srgb
from sdc_codec.autoencoder.tiny_vae import encode_pixels
from sdc_codec.command_line import image_files

from dev import memory

PAPER = partial(codec.encode, preset="paper")
FINE = partial(codec.encode, preset="custom", colors=4096, dither="none")


@pytest.fixture(scope="module")
def photograph():
    import skimage.data

    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((107, 77)))


def as_file(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(a.astype(float) - b.astype(float)).mean())


def test_a_photograph_goes_there_and_back(photograph):
    image, notes = image_files.encode_file(as_file(photograph), encode_latent=PAPER)
    assert notes == []
    assert (image.latent_format, image.width, image.height) == ("SD1.x", 107, 77)
    restored = np.asarray(Image.open(io.BytesIO(image_files.decode_to_file(codec.load(image.data), ".png"))))
    assert restored.shape == photograph.shape
    covered = slice(2, 74), slice(1, 105)  # by the latent, whose sides are multiples of 8
    whole, _ = image_files.encode_file(as_file(photograph[covered]), encode_latent=PAPER)
    assert codec.decode(whole).tobytes() == codec.decode(image).tobytes()
    assert psnr(restored[covered], photograph[covered]) > 16.9


def test_turned_gray_and_see_through_images_are_read_as_they_look(photograph):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned, _ = image_files.encode_file(as_file(photograph, "JPEG", exif=exif), encode_latent=PAPER)
    assert (turned.width, turned.height) == (77, 107)
    for mode in ("L", "RGBA", "P"):
        converted = np.asarray(Image.fromarray(photograph).convert(mode))
        assert image_files.encode_file(as_file(converted), encode_latent=PAPER)[0].width == 107


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_data_that_is_no_image_is_refused(data):
    with pytest.raises(codec.SdcArgumentError, match="cannot be read as an image"):
        image_files.encode_file(data)


def test_an_image_that_claims_to_be_huge_is_refused(photograph):
    claimed = bytearray(as_file(photograph, "BMP"))
    claimed[18:26] = (60000).to_bytes(4, "little") * 2
    with pytest.raises(codec.SdcArgumentError, match="cannot be read"):
        image_files.encode_file(bytes(claimed))


def test_another_latent_format_is_refused_by_name():
    latent = np.random.default_rng(0).normal(size=(16, 8, 8)).astype(np.float32)
    with pytest.raises(codec.SdcUnsupportedError, match="SD3"):
        image_files.decode_to_file(codec.encode([latent], "custom", latent_format="SD3")[0], ".png")


def test_an_ending_that_pillow_cannot_write_is_refused(photograph):
    image, _ = image_files.encode_file(as_file(photograph), encode_latent=PAPER)
    with pytest.raises(codec.SdcArgumentError, match="xyz"):
        image_files.decode_to_file(image, ".xyz")


def latent_of(data, **options):
    return codec.decode(image_files.encode_file(data, encode_latent=FINE, **options)[0])


def same(a, b, share=0.05):
    return np.linalg.norm(a - b) < share * np.linalg.norm(b)


def test_sixteen_bits_are_scaled(photograph):
    gray = np.asarray(Image.fromarray(photograph).convert("L"))
    assert same(latent_of(as_file(gray.astype(np.uint16) * 257)), latent_of(as_file(gray)))
    dark = latent_of(as_file(gray.astype(np.uint16)))  # 16 bits of which hardly any are used
    assert same(dark, latent_of(as_file(np.zeros_like(gray))), 0.2)


@pytest.mark.parametrize(
    ("low", "high", "full", "note"),
    [
        (0, 1, 1, None),  # as most programs write floats
        (0, 0.5, 1, None),
        (0, 255, 255, "its values, 0 to 255, were read as 0 (black) to 255 (white)"),
        (0, 65535, 65535, "its values, 0 to 65535, were read as 0 (black) to 65535 (white)"),
        (-0.5, 1, 1, "its values, -0.5 to 1, were read as 0 (black) to 1 (white)"),
        (0, 1.5, 255, "its values, 0 to 1.5, were read as 0 (black) to 255 (white)"),
    ],
)
def test_floats_of_a_tiff_are_scaled_and_a_guess_is_told(low, high, full, note):
    values = np.linspace(low, high, 64, dtype=np.float32)[:, None].repeat(64, 1)
    _, notes = image_files.encode_file(as_file(values, "TIFF"), encode_latent=FINE)
    assert notes == ([note] if note else [])
    seen = np.rint(values.clip(0, full) / full * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_srgb(Image.open(io.BytesIO(as_file(values, "TIFF"))))[0][..., 0], seen)
    values[:8] = np.nan
    (note,) = to_srgb(Image.fromarray(values))[1]
    assert f" to {high:g}, were read as" in note


def test_transparent_parts_show_the_background(photograph):
    alpha = np.zeros(photograph.shape[:2], np.uint8)
    alpha[:, :52] = 255
    see_through = as_file(np.dstack([photograph, alpha]))
    for color in (WHITE, (200, 30, 60)):
        expected = np.where(alpha[..., None] > 0, photograph, np.uint8(color))
        assert same(latent_of(see_through, background=color), latent_of(as_file(expected)))
    assert image_files.encode_file(see_through)[1] == ["its transparent parts were laid on #ffffff"]


def test_palette_images_keep_colors_and_transparency(photograph):
    few = Image.fromarray(photograph).quantize(32)
    buffer = io.BytesIO()
    few.save(buffer, "PNG")
    assert same(latent_of(buffer.getvalue()), latent_of(as_file(np.asarray(few.convert("RGB")))))
    buffer = io.BytesIO()
    few.save(buffer, "PNG", transparency=0)
    expected = np.where((np.asarray(few) == 0)[..., None], np.uint8(255), np.asarray(few.convert("RGB")))
    assert same(latent_of(buffer.getvalue()), latent_of(as_file(expected)))


def test_color_profiles_are_respected(photograph):
    """A profile that calls red what sRGB calls blue, and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert same(latent_of(as_file(photograph, icc_profile=profile)), latent_of(as_file(photograph)))
    swapped = profile.replace(b"rXYZ", b"?XYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"?XYZ", b"bXYZ", 1)
    expected = np.ascontiguousarray(photograph[..., ::-1])
    assert same(latent_of(as_file(photograph, icc_profile=swapped)), latent_of(as_file(expected)))
    _, notes = image_files.encode_file(as_file(photograph, icc_profile=b"no profile"))
    assert notes == ["its color profile cannot be used and was left out"]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (67, 70), (71, 63), (5, 9), (1, 1)])
def test_the_image_lies_where_the_format_says(height, width):
    """Trimmed about its center as ComfyUI trims, and in its place again."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 3 % 256, y * 3 % 256, (x + y) % 256], -1).astype(np.uint8)
    image, _ = image_files.encode_file(as_file(pixels), encode_latent=FINE)
    assert (image.latent_height, image.latent_width) == (max(1, height // 8), max(1, width // 8))
    restored = np.asarray(Image.open(io.BytesIO(image_files.decode_to_file(image, ".png"))))
    assert restored.shape == pixels.shape
    if min(height, width) >= 63:
        assert psnr(restored[8:-8, 8:-8], pixels[8:-8, 8:-8]) > 24


def test_a_trimmed_image_is_the_one_that_vae_encode_trims():
    pixels = np.random.default_rng(0).integers(0, 256, (29, 45, 3), np.uint8)
    found = [encode_image(each, FINE) for each in (pixels, pixels[2:26, 2:42])]
    np.testing.assert_array_equal(*map(codec.decode, found))
    assert (found[0].width, found[0].height) == (45, 29)


def test_the_learned_codec_keeps_to_a_size_and_what_is_painted_white(photograph):
    photograph = np.asarray(Image.fromarray(photograph).resize((208, 144)))
    half = np.zeros(photograph.shape[:2], np.uint8)
    half[:, :104] = 255
    errors, coder = {}, partial(codec.encode, max_bytes=300)
    for name, mask in (("masked", as_file(half)), ("plain", None)):
        image, _ = image_files.encode_file(as_file(photograph), mask=mask, encode_latent=coder)
        assert 0.95 * 300 < image.num_bytes <= 300
        latent = codec.decode(image)
        errors[name] = np.square(latent - encode_pixels(photograph))[:, :, :13].mean()
    assert errors["masked"] < 0.8 * errors["plain"]
    constant, notes = image_files.encode_file(as_file(photograph), mask=as_file(half * 0), encode_latent=coder)
    assert constant == image and notes == ["the mask is not used: it is the same everywhere"]


def test_a_tall_image_is_read_part_by_part_as_if_at_once():
    pixels = np.random.default_rng(0).integers(0, 256, (600, 8, 4), np.uint8)
    pixels[:590, :, 3] = 255  # its last part alone is transparent
    image = Image.fromarray(pixels)
    found, notes = to_srgb(image)
    whole = Image.alpha_composite(Image.new("RGBA", image.size, (*WHITE, 255)), image)
    np.testing.assert_array_equal(found, np.asarray(whole.convert("RGB")))
    assert notes == ["its transparent parts were laid on #ffffff"]
    assert np.array_equal(to_srgb(Image.fromarray(pixels[:590]))[0], pixels[:590, :, :3])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("profile", [False, True], ids=["plain", "profile"])
def test_a_large_image_is_not_copied_as_a_whole(mode, profile):
    image = Image.new(mode, (4096, 3072), 90)
    if profile and mode != "CMYK":
        image.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if not memory.reset_high_water():
        pytest.skip("this system does not let a process reset its high-water mark")
    held = memory.high_water()
    pixels, _ = to_srgb(image)
    assert memory.high_water() - held < pixels.nbytes + (24 << 20)  # a copy of Pillow's is 48 MiB
