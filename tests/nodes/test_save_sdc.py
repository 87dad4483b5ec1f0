"""Save SDC: what it writes, and where."""

import io as io_module
import subprocess
import sys
import time
from pathlib import Path

import comfy.cli_args
import comfy.model_management
import comfy.utils
import pytest
import torch
from PIL import Image
from sdc_pack.nodes.files.listing import find_listed, list_files
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.sockets.sdc import size_words

from .node_steps import quantize, save


def png_of(image) -> bytes:
    """The PNG that Save Image writes, metadata aside."""
    buffer = io_module.BytesIO()
    Image.fromarray((image * 255).numpy().astype("uint8")).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def test_prompt_is_stored_when_typed_and_palette_stays(latent):
    images, decoded, *_ = quantize(latent)
    (written, _), reread = save(images, prompt="a red fox, 狐").result[:2]
    assert written.metadata["prompt"] == "a red fox, 狐"
    assert torch.equal(reread["samples"], decoded["samples"])
    assert SDCLoad.execute("images/test_00001_.sdc [output]").result[2] == "a red fox, 狐"
    assert "prompt" not in save(images, prompt="  \n").result[0][0].metadata


def test_a_loaded_prompt_survives_another_save(latent):
    first = save(quantize(latent)[0][:1], prompt="fox")
    assert save(first.result[0]).result[0][0].metadata == {"prompt": "fox"}
    assert save(first.result[0], prompt="hare").result[0][0].metadata == {"prompt": "hare"}


def test_workflow_is_embedded_only_when_asked(latent, monkeypatch):
    images = quantize(latent)[0][:1]
    info = {"workflow": {"nodes": [{"id": 1}]}}
    assert save(images, extra_pnginfo=info).result[0][0].metadata == {}
    assert save(images, embed="workflow", extra_pnginfo=info).result[0][0].metadata == info
    without = save(images, embed="workflow")
    assert without.result[0][0].metadata == {} and "this run has none" in without.ui["text"][-1]
    monkeypatch.setattr(comfy.cli_args.args, "disable_metadata", True)
    disabled = save(images, embed="workflow", extra_pnginfo=info)
    assert disabled.result[0][0].metadata == {} and "--disable-metadata" in disabled.ui["text"][-1]


def test_never_overwrites(latent, comfyui_folders):
    images = quantize(latent)[0][:1]
    names = {save(images).ui["files"][0]["filename"] for _ in range(3)}
    assert len(names) == 3
    # A file that core's counter does not see (other letter case, say) may still hold the next name.
    taken = comfyui_folders / "output" / "images" / "test_00004_.sdc"
    taken.write_bytes(b"precious")
    save(images)
    assert taken.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("../../escaped", "outside the output folder"),
        ("..\\..\\escaped", "outside the output folder"),
        ("a/../../escaped", "outside the output folder"),
        ("..", "outside the output folder"),
        ("/escaped", "full path"),
        ("C:\\escaped", "full path"),
        ("c:escaped", "full path"),
        ("\\\\server\\share\\escaped", "full path"),
        ("escaped\0.png", r"'\\x00'"),
        ("line\nescaped", r"'\\n'"),
        ("\ud800escaped", r"'\\ud800'"),
        ("stream:escaped", "':'"),
        ("what?escaped", r"'\?'"),
        ("%date:hh:mm%/escaped", "':'"),
        ("%date:../..%/escaped", "outside the output folder"),
        ("%date:/%/escaped", "full path"),
        ("CON/escaped", "device"),
        ("nul", "device"),
        ("escaped/aux.txt", "device"),
        ("com1 .escaped", "device"),
        ("folder./escaped", "'folder.'"),
        ("folder /escaped", "'folder '"),
        (".. /escaped", "'.. '"),
        ("escaped" * 40, "280 bytes"),
        ("狐" * 67, "201 bytes"),
        ("", "empty"),
        ("./", "empty"),
        ("escaped/" * 700 + "x", "filename_prefix"),
    ],
)
def test_prefixes_that_are_no_names_are_refused(latent, comfyui_folders, prefix, message):
    before = sorted(comfyui_folders.rglob("*"))
    with pytest.raises((ValueError, OSError), match=message) as caught:
        save(quantize(latent)[0][:1], prefix=prefix)
    assert "filename_prefix" in str(caught.value)
    assert "escaped/escaped" in prefix or sorted(comfyui_folders.rglob("*")) == before
    assert not list(comfyui_folders.parent.glob("escaped*"))


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("a/b", "a/b_00001_.sdc"),
        ("a\\b", "a/b_00001_.sdc"),
        ("./a//b", "a/b_00001_.sdc"),
        ("Ünïcode 狐 dot. ", "Ünïcode 狐 dot. _00001_.sdc"),
        ("console", "console_00001_.sdc"),
        ("100%", "100%_00001_.sdc"),
        ("%unknown%", "%unknown%_00001_.sdc"),
        ("...", "..._00001_.sdc"),
    ],
)
def test_other_prefixes_are_taken_as_they_are(latent, comfyui_folders, prefix, name):
    save(quantize(latent)[0][:1], prefix=prefix)
    found = [path for path in (comfyui_folders / "output").rglob("*") if path.is_file()]
    assert found == [comfyui_folders / "output" / name]


def test_links_out_of_the_folders_are_not_followed(latent, comfyui_folders, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    data = quantize(latent)[0][0].data
    (outside / "secret.sdc").write_bytes(data)
    try:
        for kind in ("input", "output"):
            (comfyui_folders / kind / "link").symlink_to(outside, target_is_directory=True)
        (comfyui_folders / "input" / "link.sdc").symlink_to(outside / "secret.sdc")
        (comfyui_folders / "input" / "inside.sdc").symlink_to(comfyui_folders / "input" / "real.sdc")
    except OSError:
        pytest.skip("this Windows lets nobody make links")
    (comfyui_folders / "input" / "real.sdc").write_bytes(data)
    with pytest.raises(ValueError, match="filename_prefix leads outside the output folder"):
        save(quantize(latent)[0][:1], prefix="link/escaped")
    assert [path.name for path in outside.iterdir()] == ["secret.sdc"]
    assert list_files() == ["inside.sdc", "real.sdc"]
    for name in ("link.sdc", "link/secret.sdc", "link/secret.sdc [output]", str(outside / "secret.sdc")):
        assert "outside ComfyUI's folders" in SDCLoad.validate_inputs(name)
        with pytest.raises(ValueError, match="outside ComfyUI's folders"):
            SDCLoad.execute(name)
    assert SDCLoad.execute("inside.sdc").result[1][0].data == data


def test_what_the_file_system_refuses_is_explained(latent, comfyui_folders):
    (comfyui_folders / "output" / "taken").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="could not write to .*filename_prefix"):
        save(quantize(latent)[0][:1], prefix="taken/image")


def test_two_savers_at_once_never_overwrite_each_other(latent, comfyui_folders):
    script = (
        "import runpy, sys\n"
        "runpy.run_path(sys.argv[1])\n"
        "import folder_paths\n"
        "from pathlib import Path\n"
        "from sdc_pack.nodes.files.paths import save_under\n"
        "folder_paths.set_output_directory(sys.argv[2])\n"
        "Path(sys.argv[2], sys.argv[3] + '.ready').touch()\n"
        "while len(list(Path(sys.argv[2]).glob('*.ready'))) < 2: pass\n"
        "for _ in range(100): print(save_under('both/image', 8, 8, sys.argv[3].encode() * 5000)[0])\n"
    )
    conftest = Path(__file__).parents[1] / "conftest.py"
    command = [sys.executable, "-c", script, str(conftest), str(comfyui_folders / "output")]
    savers = [subprocess.Popen([*command, mark], stdout=subprocess.PIPE, text=True) for mark in "xy"]
    written = [saver.communicate()[0].split("\n")[:-1] for saver in savers]
    assert [len(paths) for paths in written] == [100, 100] and len({*written[0], *written[1]}) == 200
    for mark, paths in zip("xy", written, strict=True):
        assert all(Path(path).read_bytes() == mark.encode() * 5000 for path in paths)
    assert not list(comfyui_folders.rglob("*.sdc-part"))


def test_a_workflow_that_cannot_be_stored_does_not_lose_the_image(latent):
    images = quantize(latent)[0][:1]
    for workflow in ({"nodes": ["x" * (1 << 20)]}, {"scale": float("nan")}):
        output = save(images, embed="workflow", extra_pnginfo={"workflow": workflow}, prompt="fox")
        assert output.result[0][0].metadata == {"prompt": "fox"}
        assert "No workflow was included: metadata" in output.ui["text"][-1]


def test_prefix_fills_in_size_and_batch_number(latent):
    output = save(quantize(latent)[0], prefix="%width%x%height%_%batch_num%")
    assert [result["filename"] for result in output.ui["files"]] == ["96x64_0_00001_.sdc", "96x64_1_00001_.sdc"]


def test_save_tells_how_many_times_smaller_the_file_is(latent):
    """In one number: than the PNG of the original, else than the raw pixels."""
    images = quantize(latent)[0]
    raw, _ = save(images).ui["text"]
    assert raw.endswith(f" · {3 * 96 * 64 / images[0].num_bytes:.0f}x smaller than the raw pixels")
    image = torch.rand(2, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    compared = save(images, image=image).ui["text"]
    png = len(png_of(image[1]))
    ratio = f"{png / images[1].num_bytes:.0f}x smaller than a PNG of {png / 1000:.1f} kB"
    assert compared[1].endswith(f" · {ratio}") and compared[1].count("x smaller") == 1
    assert save(images, image=image[:1]).ui["text"][0] == compared[0].replace("00003", "00005")
    assert (
        save(images, image=torch.zeros(1, 64, 96, 3))
        .ui["text"][0]
        .endswith(f"x larger than a PNG of {len(png_of(torch.zeros(64, 96, 3)))} bytes")
    )


LOADED = {
    "1": {"class_type": "SDCSave", "inputs": {"sdc": ["2", 0]}},
    "2": {"class_type": "SDCLatentQuantize", "inputs": {"latent": ["3", 0]}},
    "3": {"class_type": "VAEEncode", "inputs": {"pixels": ["4", 0]}},
    "4": {"class_type": "ImageScaleToTotalPixels", "inputs": {"image": ["5", 0]}},
    "5": {"class_type": "LoadImage", "inputs": {"image": "holidays/beach.jpg"}},
}


@pytest.mark.parametrize(
    ("changes", "compared_with"),
    [
        ({}, "31x smaller than beach.jpg (20.0 kB)"),
        # What is no longer that image, or not known to be it.
        ({"4": {"class_type": "ImageUpscaleWithModel", "inputs": {"image": ["5", 0]}}}, "a PNG"),
        ({"3": {"class_type": "KSampler", "inputs": {"latent_image": ["4", 0]}}}, "a PNG"),
        ({"5": {"class_type": "LoadImage", "inputs": {"image": "gone.jpg"}}}, "a PNG"),
        ({"5": {"class_type": "LoadImage", "inputs": {"image": "../../etc/passwd"}}}, "a PNG"),
        ({"5": {"class_type": "ImageScale", "inputs": {"image": ["4", 0]}}}, "a PNG"),  # a circle
    ],
)
def test_the_file_that_was_loaded_is_what_the_size_is_compared_with(latent, comfyui_folders, changes, compared_with):
    beach = comfyui_folders / "input" / "holidays" / "beach.jpg"
    beach.parent.mkdir(parents=True)
    images = quantize(latent)[0][:1]
    beach.write_bytes(bytes(20_000))
    ratio = f"{20_000 / images[0].num_bytes:.0f}x"
    line = save(images, image=torch.rand(1, 64, 96, 3), prompt_graph=LOADED | changes).ui["text"][0]
    assert compared_with.replace("31x", ratio) in line and line.count("x smaller") == 1


@pytest.mark.parametrize(("orientation", "size"), [(1, (300, 200)), (6, (200, 300)), (1, (96, 64))])
def test_the_size_of_an_image_that_was_scaled_is_named(latent, comfyui_folders, orientation, size):
    beach = comfyui_folders / "input" / "holidays" / "beach.jpg"
    beach.parent.mkdir(parents=True)
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", size if orientation == 1 else size[::-1]).save(beach, exif=exif)
    line = save(quantize(latent)[0][:1], prompt_graph=LOADED).ui["text"][0]
    named = "" if size == (96, 64) else f", {size[0]}x{size[1]}"
    assert line.endswith(f" than beach.jpg ({size_words(beach.stat().st_size)}{named})")


def test_saved_files_have_the_documented_shape(latent):
    (file, _) = save(quantize(latent)[0]).ui["files"]
    assert file == {
        "filename": "test_00001_.sdc",
        "subfolder": "images",
        "type": "output",
        "format": "audio/x-sdc",
    }


def test_dates_are_filled_in_without_the_page(latent, comfyui_folders, monkeypatch):
    noon = time.struct_time((2026, 3, 7, 9, 5, 8, 5, 66, 0))
    monkeypatch.setattr(time, "localtime", lambda *_: noon)
    save(quantize(latent)[0][:1], prefix="%date:yyyy-MM-dd%/%date:d.M.yy h.m.s%_%date:hhmmss%")
    assert find_listed("2026-03-07/7.3.26 9.5.8_090508_00001_.sdc [output]")
