import io

import numpy as np
import pytest
import sdc_codec as codec
from PIL import Image
from sdc_codec.command_line import picture_files


@pytest.fixture(scope="module")
def photograph():
    import skimage.data

    return np.asarray(Image.fromarray(skimage.data.astronaut()).resize((203, 149)))


def as_file(pixels, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(a.astype(float) - b.astype(float)).mean())


def test_a_photograph_goes_there_and_back(photograph):
    picture = picture_files.encode_file(as_file(photograph), **codec.PAPER_PRESET)
    assert (picture.latent_format, picture.width, picture.height) == ("SD1.x", 203, 149)
    restored = np.asarray(Image.open(io.BytesIO(picture_files.decode_to_file(codec.load(picture.data), ".png"))))
    assert restored.shape == photograph.shape
    assert psnr(restored, photograph) > 18


def test_turned_grey_and_see_through_pictures_are_read_as_they_look(photograph):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned = picture_files.encode_file(as_file(photograph, "JPEG", exif=exif))
    assert (turned.width, turned.height) == (149, 203)
    for mode in ("L", "RGBA", "P"):
        converted = np.asarray(Image.fromarray(photograph).convert(mode))
        assert picture_files.encode_file(as_file(converted)).width == 203


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_what_is_no_picture_is_told(data):
    with pytest.raises(codec.SdcArgumentError, match="cannot be read as a picture"):
        picture_files.encode_file(data)


def test_a_picture_that_claims_to_be_huge_is_refused(photograph):
    claimed = bytearray(as_file(photograph, "BMP"))
    claimed[18:26] = (60000).to_bytes(4, "little") * 2
    with pytest.raises(codec.SdcArgumentError, match="cannot be read"):
        picture_files.encode_file(bytes(claimed))


def test_another_family_is_refused_by_name():
    latent = np.random.default_rng(0).normal(size=(16, 8, 8)).astype(np.float32)
    with pytest.raises(codec.SdcUnsupportedError, match="SD3"):
        picture_files.decode_to_file(codec.encode(latent, latent_format="SD3"), ".png")


def test_an_ending_that_pillow_cannot_write_is_refused(photograph):
    picture = picture_files.encode_file(as_file(photograph))
    with pytest.raises(codec.SdcArgumentError, match="xyz"):
        picture_files.decode_to_file(picture, ".xyz")
