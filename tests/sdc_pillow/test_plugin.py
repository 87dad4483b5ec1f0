"""The package for Pillow, built and installed as README says, opened and saved through Pillow alone."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import skimage.data
from PIL import Image

from dev.environment import REPO

WITHOUT_TORCH = """
import sys
for name in ("torch", "safetensors", "cv2"):
    sys.modules[name] = None  # importing it raises ImportError
sys.path.insert(0, sys.argv[1])
from PIL import Image
import sdc_pillow
image = Image.open(sys.argv[2])
image.convert("RGB").save(sys.argv[3])
Image.open(sys.argv[3]).save(sys.argv[4], quality=30)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder to import from, with what the wheel holds."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist"]
    done = subprocess.run(build, cwd=REPO / "sdc_pillow", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "unet" in name or "command_line/__pycache__" in name]
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def plugin(site):
    sys.path.insert(0, str(site))
    try:
        import sdc_pillow
    finally:
        sys.path.remove(str(site))
    return sdc_pillow


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(skimage.data.astronaut()[:203, 120:330])


def saved(image, **settings) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "SDC", **settings)
    file.seek(0)
    return file


def psnr(one, other) -> float:
    return -10 * np.log10(np.square(np.asarray(one, float) / 255 - np.asarray(other, float) / 255).mean())


@pytest.mark.usefixtures("plugin")
def test_an_image_and_its_metadata_come_back(photograph, tmp_path):
    path = tmp_path / "face.sdc"
    photograph.save(path, quality=90, metadata={"prompt": "an astronaut", "seed": 7})
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("SDC", "RGB", photograph.size)
        assert (image.n_frames, image.is_animated, image.get_format_mimetype()) == (1, False, "image/x-sdc")
        assert image.info["prompt"] == "an astronaut" and image.info["seed"] == 7
        assert image.info["latent_format"] == "SD1.x" and "quality 90" in image.info["coding"]
        assert psnr(image, photograph) > 22
    assert saved(photograph, bits_per_pixel=0.3).getbuffer().nbytes <= 0.3 / 8 * 203 * 210 < path.stat().st_size * 2


@pytest.mark.usefixtures("plugin")
def test_a_thumbnail_is_decoded_small(photograph):
    file = saved(photograph, quality=90)
    whole = Image.open(file)
    whole.load()
    small = Image.open(file)
    small.thumbnail((60, 60), reducing_gap=1.0)
    wanted = whole.resize(small.size, Image.Resampling.LANCZOS)
    assert small.size == (60, 58) and psnr(small, wanted) > 25


@pytest.mark.usefixtures("plugin")
def test_frames(photograph):
    mirrored = photograph.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = Image.open(saved(photograph, save_all=True, append_images=[mirrored], quality=60))
    assert image.n_frames == 2 and image.is_animated
    image.seek(1)
    assert image.tell() == 1 and psnr(image, mirrored) > 18 > psnr(image, photograph)
    image.seek(0)
    assert psnr(image, photograph) > 18
    with pytest.raises(EOFError):
        image.seek(2)


def test_files_that_are_none_and_files_that_need_another_vae(plugin, photograph):
    file = saved(photograph, quality=30)
    damaged = bytearray(file.getvalue())
    damaged[40] ^= 1
    with pytest.raises(OSError, match="cannot identify image file"):
        Image.open(io.BytesIO(damaged))
    latent = np.random.default_rng(0).normal(size=(16, 4, 6)).astype(np.float32)
    (other,) = plugin.codec.encode([latent], "clean", latent_format="Flux", metadata={"prompt": "boats"})
    image = Image.open(io.BytesIO(other.data))
    assert image.info["prompt"] == "boats" and image.size == (48, 32)
    with pytest.raises(OSError, match="the file holds a latent of Flux"):
        image.load()
    with pytest.raises(ValueError, match="preset"):
        saved(photograph, preset="finest")


def test_a_bomb_is_refused_before_anything_is_decoded(plugin, photograph, monkeypatch):
    file = saved(photograph, quality=30)
    monkeypatch.setattr(plugin, "MAX_PIXELS", 1000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(file)


def test_numpy_pillow_and_zstandard_are_enough(site, photograph, tmp_path):
    paths = [tmp_path / name for name in ("in.sdc", "out.png", "again.sdc")]
    paths[0].write_bytes(saved(photograph, quality=60).getvalue())
    command = [sys.executable, "-c", WITHOUT_TORCH, site, *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert psnr(Image.open(paths[1]), photograph) > 18 and paths[2].stat().st_size < paths[0].stat().st_size
