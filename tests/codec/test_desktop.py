"""Thumbnails, and what makes file managers show them, by the tools that they ask."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sdc_codec as codec
from PIL import Image
from sdc_codec.autoencoder import plain
from sdc_codec.command_line import desktop

from dev import packages

ROOT = Path(desktop.CODEC).parent
PHOTOGRAPH = ROOT / "tests" / "fixtures" / "v1_learned_photograph.sdc"
NO_TORCH = "raise SystemExit('torch was imported')"
PROGRAMS = {
    "update-mime-database": "shared-mime-info",
    "xdg-mime": "xdg-utils",
    "gio": "libglib2.0-bin",
    "gdbus": "libglib2.0-bin",
    "dbus-run-session": "dbus",
    "/usr/share/dbus-1/services/org.xfce.Tumbler.Thumbnailer1.service": "tumbler",
}
# Asks the service that Thunar asks, which the bus starts.
QUEUE = """gdbus call --session --dest org.freedesktop.thumbnails.Thumbnailer1 \\
    --object-path /org/freedesktop/thumbnails/Thumbnailer1 --method org.freedesktop.thumbnails.Thumbnailer1.Queue \\
    "['$1']" "['image/x-sdc']" normal foreground "uint32 0" || exit 1
until tail -c 8 "$2" 2> /dev/null | grep -qa IEND; do sleep 0.1; done
"""
# As the header of StarOffice's spreadsheets, and of other OLE files.
SPREADSHEET = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(4088)


@pytest.fixture
def no_torch(tmp_path):
    """A folder for PYTHONPATH where importing torch ends the process."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "torch.py").write_text(NO_TORCH)
    return folder


def test_a_thumbnail_is_the_image_made_small_and_needs_no_torch(run, no_torch, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(no_torch))
    small = tmp_path / "small.png"
    assert run("thumbnail", PHOTOGRAPH, "-o", small, "--size", "128").returncode == 0
    assert Image.open(small).size == (128, 102)
    whole = Image.fromarray(plain.decode_latent(codec.decode(codec.load_file(PHOTOGRAPH))))
    wanted = whole.resize((128, 102), Image.Resampling.LANCZOS)
    error = np.asarray(Image.open(small), float) - np.asarray(wanted, float)
    assert np.sqrt(np.square(error).mean()) < 255 * 10 ** (-25 / 20)


def test_files_of_other_models_have_a_thumbnail_too(run, tmp_path, smooth_latent):
    (image,) = codec.encode([smooth_latent(16)], "clean", latent_format="Flux", width=200, height=128)
    (tmp_path / "flux.sdc").write_bytes(image.data)
    assert run("thumbnail", tmp_path / "flux.sdc").returncode == 0
    small = Image.open(tmp_path / "flux.thumbnail.png")
    assert small.size == (200, 128) and np.std(small) > 20


def test_a_service_gets_its_image_in_the_file_that_it_has_opened(run, tmp_path):
    """Whatever that is called: Cinnamon gives it a random ending, and Xfce reads the file that it made."""
    path = tmp_path / "thumbnail.A82BZ3"
    with open(path, "w+b") as file:
        assert run("thumbnail", PHOTOGRAPH, "-o", path, "--force", "--size", "64").returncode == 0
        assert Image.open(file).format == "PNG"


def test_what_a_thumbnail_may_cost_is_bounded(run, tmp_path, smooth_latent):
    """By the size that the header says, and by what the decoder takes; the message is one line."""
    (image,) = codec.encode([smooth_latent()], quality=50, width=8192, height=4096)
    (tmp_path / "large.sdc").write_bytes(image.data)
    told = run("thumbnail", tmp_path / "large.sdc")
    assert told.returncode == 1 and "33554432 pixels" in told.stderr and told.stderr.count("\n") == 1
    script = (
        "import sys, codec.command_line.commands as commands; commands.MAX_SECONDS = 0;"
        "from codec.command_line import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "thumbnail", PHOTOGRAPH, "-o", tmp_path / "none.png"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "takes more than 0 seconds" in done.stderr and not (tmp_path / "none.png").exists()
    assert run("thumbnail", PHOTOGRAPH, "--size", "1025").returncode == 2


def test_other_systems_are_refused(monkeypatch):
    with pytest.raises(codec.SdcUnsupportedError, match=r"Windows takes thumbnails from signed .* codec page"):
        desktop._check_system("win32")
    with pytest.raises(codec.SdcUnsupportedError, match="macOS"):
        desktop._check_system("darwin")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(codec.SdcUnsupportedError, match="install the package shared-mime-info"):
        desktop._check_system("linux")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no freedesktop")
def test_a_desktop_knows_the_files_and_draws_them(no_torch, tmp_path):
    """From a copy whose path has all that may go wrong, by the type databases of desktops and Thunar's service."""
    packages.need(PROGRAMS)
    pack = tmp_path / "50% of a \"pack\" $HOME 'é'"
    for name in ("codec", "weights"):
        shutil.copytree(ROOT / name, pack / name, ignore=shutil.ignore_patterns("__pycache__", "*unet*"))
    home = tmp_path / "home"
    (home / "data" / "thumbnailers").mkdir(parents=True)
    (home / "data" / "thumbnailers" / "other.thumbnailer").write_text("[Thumbnailer Entry]\n")
    before = sorted(home.rglob("*"))
    variables = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("DATA", "CACHE", "CONFIG")}
    variables |= {"HOME": str(home), "PYTHONPATH": str(no_torch), "XDG_CURRENT_DESKTOP": "XFCE"}

    def run(*command):
        done = subprocess.run(
            command, env={**os.environ, **variables}, cwd=tmp_path, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = run(sys.executable, pack / "codec", "desktop", "install")
    assert "comfyui-sdc.thumbnailer" in said and "Nautilus" in said
    shutil.copy(PHOTOGRAPH, tmp_path / "a fox.sdc")
    (tmp_path / "sheet.sdc").write_bytes(SPREADSHEET)
    shutil.copy(PHOTOGRAPH, tmp_path / "unnamed")
    for name, kind in (
        ("a fox.sdc", "image/x-sdc"),
        ("unnamed", "image/x-sdc"),
        ("sheet.sdc", "application/vnd.stardivision.calc"),
    ):
        assert run("xdg-mime", "query", "filetype", name).strip() == kind
        assert f"standard::content-type: {kind}\n" in run("gio", "info", "-a", "standard::content-type", name)

    uri = (tmp_path / "a fox.sdc").as_uri()
    drawn = home / "cache" / "thumbnails" / "normal" / f"{hashlib.md5(uri.encode()).hexdigest()}.png"
    run("dbus-run-session", "--", "sh", "-c", QUEUE, "sh", uri, drawn)
    image = Image.open(drawn)
    assert image.size == (128, 102) and image.text["Thumb::URI"] == uri
    run(sys.executable, pack / "codec", "thumbnail", "a fox.sdc", "--size", "128")
    np.testing.assert_array_equal(image.convert("RGB"), Image.open(tmp_path / "a fox.thumbnail.png"))

    run(sys.executable, pack / "codec", "desktop", "uninstall")
    shutil.rmtree(home / "cache")
    shutil.rmtree(home / "config", ignore_errors=True)
    assert sorted(home.rglob("*")) == before
    assert "stardivision" in run("gio", "info", "-a", "standard::content-type", "a fox.sdc")
