"""Quantise, save and load through the nodes, with real files."""

import hashlib
import io as io_module
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import comfy.cli_args
import comfy.model_management
import comfy.utils
import folder_paths
import nodes as comfy_nodes
import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from comfy_api.v0_0_2 import io
from PIL import Image
from sdc_pack.nodes.comparison import metrics
from sdc_pack.nodes.files.listing import find_listed, list_files, load_listed
from sdc_pack.nodes.files.previews import thumbnail
from sdc_pack.nodes.files.samples import list_samples
from sdc_pack.nodes.latent_quantize import SDCLatentQuantize
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.save_sdc import SDCSave


def quantise(latent, **changes):
    settings = {
        "preset": "paper",
        "colours": 16,
        "dither": "none",
        "dither_strength": 1.0,
        "seed": 0,
        "latent_format": "SD1.x",
    }
    return SDCLatentQuantize.execute(latent, **{**settings, **changes})


def save(sdc, prefix="pictures/test", embed="none", extra_pnginfo=None, **optional):
    """Run Save SDC as ComfyUI does: on a clone of the class that holds the hidden inputs."""
    clone = SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.extra_pnginfo: extra_pnginfo}})
    return clone.execute(sdc, prefix, embed, **optional)


def saved_path(output, index=0):
    result = output.ui["files"][index]
    return f"{folder_paths.get_output_directory()}/{result['subfolder']}/{result['filename']}"


def test_paper_preset_of_a_picture(vae):
    """A 512x512 picture through VAE Encode: within 3400 bytes, and what is previewed is what the bytes hold."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 512), torch.linspace(0, 9, 512), indexing="ij")
    image = torch.stack([x.sin(), y.cos(), (x * y).sin()], -1)[None] * 0.5 + 0.5
    latent = comfy_nodes.VAEEncode().encode(vae, image)[0]
    (picture,), decoded, size, bits_per_pixel = quantise(latent, image=image)
    assert size == len(picture.data) <= 3400
    assert bits_per_pixel == pytest.approx(8 * size / 512**2)
    assert torch.equal(decoded["samples"][0], torch.from_numpy(codec.decode(codec.load(picture.data))))
    assert ((decoded["samples"] - latent["samples"]).norm() / latent["samples"].norm()) < 0.5


def test_node_shows_size_and_colours(latent):
    output = quantise(latent, preset="custom")
    assert output.ui["text"] == [f"{picture.size} bytes, {picture.colours} colours" for picture in output.result[0]]


def test_custom_preset_uses_its_settings(latent):
    (picture, _), *_ = quantise(latent, preset="custom", colours=8)
    assert picture.colours == 8
    assert picture.data == codec.encode(latent["samples"][0].numpy(), colours=8, dither="none").data
    (paper, _), *_ = quantise(latent, colours=8)
    assert paper.data == codec.encode(latent["samples"][0].numpy(), **codec.PAPER_PRESET).data


def test_batch_gives_one_file_and_palette_a_picture(latent):
    three = {"samples": torch.cat([latent["samples"], latent["samples"][:1]]), "batch_index": [2, 5, 7]}
    pictures, decoded, size, bits_per_pixel = quantise(three)
    assert len(pictures) == 3 and size == sum(len(picture.data) for picture in pictures)
    assert bits_per_pixel == pytest.approx(8 * size / (3 * 96 * 64))
    assert pictures[0] == pictures[2] != pictures[1]
    assert decoded["batch_index"] == [2, 5, 7]
    output = save(pictures)
    assert [result["filename"] for result in output.ui["files"]] == [f"test_0000{i}_.sdc" for i in (1, 2, 3)]
    assert torch.equal(output.result[1]["samples"], decoded["samples"])


@pytest.mark.parametrize(("width", "height"), [(513, 300), (64, 2048), (8, 15)])
def test_odd_sizes_keep_their_true_size(vae, width, height):
    image = torch.rand(1, height, width, 3)
    latent = comfy_nodes.VAEEncode().encode(vae, image)[0]
    (picture,), *_ = quantise(latent, image=image)
    assert (picture.width, picture.height) == (width, height)
    (trimmed,), *_ = quantise(latent)
    assert (trimmed.width, trimmed.height) == (width // 8 * 8, height // 8 * 8)


def test_image_of_another_picture_is_refused(latent):
    with pytest.raises(ValueError, match="image is 512x512.*96x64"):
        quantise(latent, image=torch.zeros(1, 512, 512, 3))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (torch.zeros(1, 4, 2, 8, 8), "video"),
        (torch.zeros(1, 16, 8, 8), "16"),
        (torch.full((1, 4, 8, 8), float("nan")), "(?i)nan|finite"),
    ],
)
def test_latents_that_are_no_picture_are_refused(samples, message):
    with pytest.raises(ValueError, match=message):
        quantise({"samples": samples})


def test_save_and_load_are_bit_exact(latent):
    pictures, decoded, *_ = quantise(latent)
    output = save(pictures[:1])
    with open(saved_path(output), "rb") as file:
        assert file.read() == pictures[0].data
    loaded, sdc, prompt, width, height = SDCLoad.execute("pictures/test_00001_.sdc [output]").result[:5]
    assert torch.equal(loaded["samples"], decoded["samples"][:1])
    assert torch.equal(output.result[1]["samples"], decoded["samples"][:1])
    assert sdc == pictures[:1] and (prompt, width, height) == ("", 96, 64)


def test_prompt_is_stored_when_typed_and_palette_stays(latent):
    pictures, decoded, *_ = quantise(latent)
    (written, _), reread = save(pictures, prompt="a red fox, 狐").result
    assert written.metadata["prompt"] == "a red fox, 狐"
    assert torch.equal(reread["samples"], decoded["samples"])
    assert SDCLoad.execute("pictures/test_00001_.sdc [output]").result[2] == "a red fox, 狐"
    assert "prompt" not in save(pictures, prompt="  \n").result[0][0].metadata


def test_a_loaded_prompt_survives_another_save(latent):
    first = save(quantise(latent)[0][:1], prompt="fox")
    assert save(first.result[0]).result[0][0].metadata == {"prompt": "fox"}
    assert save(first.result[0], prompt="hare").result[0][0].metadata == {"prompt": "hare"}


def test_workflow_is_embedded_only_when_asked(latent, monkeypatch):
    pictures = quantise(latent)[0][:1]
    info = {"workflow": {"nodes": [{"id": 1}]}}
    assert save(pictures, extra_pnginfo=info).result[0][0].metadata == {}
    assert save(pictures, embed="workflow", extra_pnginfo=info).result[0][0].metadata == info
    without = save(pictures, embed="workflow")
    assert without.result[0][0].metadata == {} and "came without one" in without.ui["text"][-1]
    monkeypatch.setattr(comfy.cli_args.args, "disable_metadata", True)
    disabled = save(pictures, embed="workflow", extra_pnginfo=info)
    assert disabled.result[0][0].metadata == {} and "--disable-metadata" in disabled.ui["text"][-1]


def test_never_overwrites(latent, comfyui_folders):
    pictures = quantise(latent)[0][:1]
    names = {save(pictures).ui["files"][0]["filename"] for _ in range(3)}
    assert len(names) == 3
    # A file that core's counter does not see (other letter case, say) may still hold the next name.
    taken = comfyui_folders / "output" / "pictures" / "test_00004_.sdc"
    taken.write_bytes(b"precious")
    save(pictures)
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
        save(quantise(latent)[0][:1], prefix=prefix)
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
    save(quantise(latent)[0][:1], prefix=prefix)
    found = [path for path in (comfyui_folders / "output").rglob("*") if path.is_file()]
    assert found == [comfyui_folders / "output" / name]


def test_links_out_of_the_folders_are_not_followed(latent, comfyui_folders, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    data = quantise(latent)[0][0].data
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
        save(quantise(latent)[0][:1], prefix="link/escaped")
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
        save(quantise(latent)[0][:1], prefix="taken/picture")


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
        "for _ in range(100): print(save_under('both/picture', 8, 8, sys.argv[3].encode() * 5000)[0])\n"
    )
    conftest = Path(__file__).parents[1] / "conftest.py"
    command = [sys.executable, "-c", script, str(conftest), str(comfyui_folders / "output")]
    savers = [subprocess.Popen([*command, mark], stdout=subprocess.PIPE, text=True) for mark in "xy"]
    written = [saver.communicate(timeout=300)[0].split("\n")[:-1] for saver in savers]
    assert [len(paths) for paths in written] == [100, 100] and len({*written[0], *written[1]}) == 200
    for mark, paths in zip("xy", written, strict=True):
        assert all(Path(path).read_bytes() == mark.encode() * 5000 for path in paths)
    assert not list(comfyui_folders.rglob("*.part"))


def test_a_workflow_that_cannot_be_stored_does_not_lose_the_picture(latent):
    pictures = quantise(latent)[0][:1]
    for workflow in ({"nodes": ["x" * (1 << 20)]}, {"scale": float("nan")}):
        output = save(pictures, embed="workflow", extra_pnginfo={"workflow": workflow}, prompt="fox")
        assert output.result[0][0].metadata == {"prompt": "fox"}
        assert "No workflow was embedded: metadata" in output.ui["text"][-1]


def test_prefix_fills_in_size_and_batch_number(latent):
    output = save(quantise(latent)[0], prefix="%width%x%height%_%batch_num%")
    assert [result["filename"] for result in output.ui["files"]] == ["96x64_0_00001_.sdc", "96x64_1_00001_.sdc"]


def test_save_tells_how_many_times_smaller_the_file_is(latent):
    pictures = quantise(latent)[0]
    raw, _ = save(pictures).ui["text"]
    assert raw.endswith(f", {3 * 96 * 64 / pictures[0].size:.0f}x smaller than the bare pixels")
    image = torch.rand(2, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    compared = save(pictures, image=image).ui["text"]
    png = len(png_of(image[1]))
    assert compared[1].endswith(f", {png / pictures[1].size:.0f}x smaller than the PNG")
    assert "smaller than the bare pixels" in compared[1]
    assert save(pictures, image=image[:1]).ui["text"][0] == compared[0].replace("00003", "00005")


def png_of(image) -> bytes:
    """The PNG that Save Image writes, metadata aside."""
    buffer = io_module.BytesIO()
    Image.fromarray((image * 255).numpy().astype("uint8")).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def test_saved_files_have_the_documented_shape(latent):
    (file, _) = save(quantise(latent)[0]).ui["files"]
    assert file == {
        "filename": "test_00001_.sdc",
        "subfolder": "pictures",
        "type": "output",
        "format": "audio/x-sdc",
    }


def test_list_holds_input_subfolders_and_output(latent, comfyui_folders):
    assert list_files() == []
    data = quantise(latent)[0][0].data
    for name in ("input/b.sdc", "input/deep/er/a.SDC", "input/not.png", "output/saved.sdc"):
        path = comfyui_folders / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert list_files() == ["b.sdc", "deep/er/a.SDC", "saved.sdc [output]"]
    assert all(SDCLoad.validate_inputs(name) is True for name in list_files())
    assert SDCLoad.execute("deep/er/a.SDC").result[1][0].data == data


def test_the_sample_is_offered_after_the_users_own_files(comfyui_folders):
    """And it opens at once, with a thumbnail of its own; nothing else of the pack's folder can be reached."""
    (sample,) = list_samples()
    assert sample.startswith("sample: ") and SDCLoad.define_schema().inputs[0].options == [sample]
    (comfyui_folders / "input" / "own.sdc").write_bytes(codec.encode(torch.zeros(4, 1, 1).numpy()).data)
    assert SDCLoad.define_schema().inputs[0].options == ["own.sdc", sample]
    assert SDCLoad.validate_inputs(sample) is True
    latent, (picture,), prompt, width, height = SDCLoad.execute(sample).result[:5]
    assert (width, height) == (600, 400) and latent["samples"].shape == (1, 4, 50, 75)
    assert "espresso" in prompt and picture.size < 3200
    assert SDCLoad.fingerprint_inputs(sample) == hashlib.sha256(picture.data).hexdigest()
    for name in ("sample: ../listing.py", "sample: README.md", "sample: gone.sdc"):
        assert "is not in ComfyUI's" in SDCLoad.validate_inputs(name) or "outside" in SDCLoad.validate_inputs(name)


def test_the_sample_shows_its_photograph():
    """As scikit-image has it: coffee, by Rachel Michetti, CC0."""
    import skimage.data

    shown = np.asarray(thumbnail(load_listed(list_samples()[0]).pictures[0]))
    true = Image.fromarray(skimage.data.coffee()).resize(shown.shape[1::-1], Image.Resampling.LANCZOS)
    assert metrics.psnr(np.asarray(true), shown) > 20


def test_nothing_chosen_invites_and_missing_files_explain_themselves():
    for nothing in ("", "no .sdc file yet: save one with Save SDC, or put one into ComfyUI's input folder"):
        assert "Drop one on Load SDC" in SDCLoad.validate_inputs(nothing)
    for name in ("gone.sdc", "gone.sdc [output]", "../../etc/passwd"):
        assert name in SDCLoad.validate_inputs(name)
        with pytest.raises((ValueError, OSError), match=re.escape(name)):
            SDCLoad.execute(name)
    for name in ("gone.sdc", "../../etc/passwd", "nul\0.sdc", ""):
        assert isinstance(SDCLoad.validate_inputs(name), str)
        assert math.isnan(SDCLoad.fingerprint_inputs(name))  # never equal, so the node runs and tells


def test_folders_are_refused(comfyui_folders):
    (comfyui_folders / "input" / "folder.sdc").mkdir()
    assert "is a folder" in SDCLoad.validate_inputs("folder.sdc")
    with pytest.raises(ValueError, match="folder.sdc"):
        SDCLoad.execute("folder.sdc")


def test_a_file_too_large_to_be_one_is_not_read(comfyui_folders):
    with open(comfyui_folders / "input" / "film.sdc", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="film.sdc: there are more than 33554432 bytes"):
        SDCLoad.execute("film.sdc")
    assert math.isnan(SDCLoad.fingerprint_inputs("film.sdc"))


def test_changed_file_runs_again(latent, comfyui_folders):
    pictures = quantise(latent)[0]
    path = comfyui_folders / "input" / "a.sdc"
    path.write_bytes(pictures[0].data)
    before = SDCLoad.fingerprint_inputs("a.sdc")
    assert before == hashlib.sha256(pictures[0].data).hexdigest() == SDCLoad.fingerprint_inputs("a.sdc")
    path.write_bytes(pictures[1].data)
    assert SDCLoad.fingerprint_inputs("a.sdc") != before


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda data: data[:-1], "cut short"),
        (lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:], "damaged"),
        (lambda data: b"StarCalc" + data, "not an SDC file"),
        (lambda data: b"", "0 bytes"),
    ],
)
def test_damaged_file_is_named(latent, comfyui_folders, damage, error):
    (comfyui_folders / "input" / "bad.sdc").write_bytes(damage(quantise(latent)[0][0].data))
    with pytest.raises(ValueError, match=f"bad.sdc: .*{error}") as raised:
        SDCLoad.execute("bad.sdc")
    assert raised.type is ValueError  # ComfyUI shows the name of a class that is not Python's own, with all its modules


def test_dates_are_filled_in_without_the_page(latent, comfyui_folders, monkeypatch):
    noon = time.struct_time((2026, 3, 7, 9, 5, 8, 5, 66, 0))
    monkeypatch.setattr(time, "localtime", lambda *_: noon)
    save(quantise(latent)[0][:1], prefix="%date:yyyy-MM-dd%/%date:d.M.yy h.m.s%_%date:hhmmss%")
    assert find_listed("2026-03-07/7.3.26 9.5.8_090508_00001_.sdc [output]")


def test_a_batch_shows_progress_and_can_be_cancelled(latent, monkeypatch):
    told = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, node_id=None: told.append((value, total))
    )
    three = {"samples": latent["samples"].repeat(2, 1, 1, 1)[:3]}
    quantise(three)
    assert told[0] == (1, 3) and told[-1] == (3, 3)  # ComfyUI leaves some out when they come fast
    told.clear()

    def cancel_after_one(*_, **__):
        if told:
            comfy.model_management.interrupt_current_processing()

    encode = codec.encode
    monkeypatch.setattr(codec, "encode", lambda *args, **options: (cancel_after_one(), encode(*args, **options))[1])
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        quantise(three)
    assert told and told[-1] != (3, 3)


def test_a_noise_mask_is_not_stored_and_told(latent):
    output = quantise({**latent, "noise_mask": torch.ones(2, 64, 96)})
    assert "mask" in output.ui["text"][-1] and "noise_mask" not in output.result[1]
    assert not [line for line in quantise(latent).ui["text"] if "mask" in line]


def test_a_small_file_that_claims_a_huge_picture_is_refused_before_it_is_decoded(comfyui_folders, monkeypatch):
    """52 bytes for 16384x16384: VAE Decode would pay for them."""
    claims = codec.encode(torch.zeros(4, 1, 1).numpy(), width=16384, height=16384)
    (comfyui_folders / "input" / "bomb.sdc").write_bytes(claims.data)
    assert claims.size == 52
    with pytest.raises(ValueError, match="bomb.sdc.*268435456 pixels.*max_megapixels"):
        SDCLoad.execute("bomb.sdc")
    assert SDCLoad.execute("bomb.sdc", max_megapixels=269).result[3] == 16384
    (comfyui_folders / "input" / "large.sdc").write_bytes(
        codec.encode(torch.zeros(4, 1, 1).numpy(), width=7000, height=5000).data
    )
    assert SDCLoad.execute("large.sdc").result[3:5] == (7000, 5000)


@pytest.mark.parametrize(
    ("preset", "settings"),
    [("paper", codec.PAPER_PRESET), ("clean", {"dither": "none"}), ("fine", {"colours": 256, "dither": "none"})],
)
def test_presets_of_a_palette(latent, preset, settings):
    (picture, _), *_ = quantise(latent, preset=preset, colours=64, dither="floyd-steinberg")
    assert picture.data == codec.encode(latent["samples"][0].numpy(), **settings).data


def test_what_a_preset_does_not_go_by_is_told(latent):
    def notes(**changes):
        given = {"colours": 64, "dither": "floyd-steinberg", **changes}
        return quantise(latent, **given).ui["text"][2:]

    assert notes() == notes(preset="custom", colours=8, dither="none", dither_strength=0.5) == []
    (note,) = notes(preset="paper", colours=16)
    assert note == "\u26a0 Not used by the preset paper: colours. Choose custom to use it."
    (note,) = notes(preset="clean", max_bytes=900, mask=torch.ones(1, 64, 96))
    assert "max_bytes, mask. Choose best" in note
    (note,) = notes(preset="custom", quality=9, dither_strength=0.5)
    assert note == "\u26a0 Not used by the preset custom: quality. Choose best to use it."
    (note,) = notes(preset="fine", max_bytes=900, latent_format="SDXL")
    assert note == "\u26a0 Not used by the preset fine: max_bytes. Choose best to use it."
    (note,) = notes(preset="best", quality=50, max_bytes=900)
    assert "beside quality: max_bytes" in note


def test_the_schema_says_which_settings_belong_to_which_preset():
    """The page greys the others by it."""
    inputs = SDCLatentQuantize.GET_NODE_INFO_V1()["input"]
    known = {name: options for section in inputs.values() for name, options in section.items()}
    preset = known["preset"][1]
    served = preset["sdc_settings"]
    assert list(served) == preset["options"] and preset["default"] == "best"
    names = {name for settings in served.values() for name in settings}
    assert names <= known.keys()
    assert known.keys() - names == {"latent", "preset", "latent_format", "image", "vae"}  # all presets go by these


def test_what_vae_encode_cuts_off_and_large_pictures_are_told(vae, latent):
    image = torch.rand(1, 70, 99, 3)
    kept = comfy_nodes.VAEEncode().encode(vae, image)[0]
    assert "VAE Encode kept 96x64 of 99x70." in quantise(kept, image=image, preset="custom").ui["text"][1]
    large = {"samples": torch.zeros(1, 4, 200, 160) + torch.arange(160)}
    assert "2 megapixels" in quantise(large, preset="custom").ui["text"][1]
