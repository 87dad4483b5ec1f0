"""Load SDC Folder and Load Image Folder: which files, in which order; and the sheet of what they give."""

import builtins
import os

import numpy as np
import pytest
import sdc_pack.codec as codec
from PIL import Image
from sdc_pack.nodes.contact_sheet import SDCContactSheet
from sdc_pack.nodes.files.folders import choose_files
from sdc_pack.nodes.files.paths import check_prefix, to_name
from sdc_pack.nodes.load_image_folder import SDCLoadImageFolder
from sdc_pack.nodes.load_sdc_folder import SDCLoadFolder
from sdc_pack.nodes.previews.contact_sheet import BACKGROUND, GAP
from sdc_pack.nodes.save_sdc import SDCSave

SIZES = {"b": (8, 12), "a": (4, 4), "Cat": (6, 3), "sub/d": (5, 5)}


@pytest.fixture
def folder(tmp_path):
    """Images of different sizes in output/SDC, written in the order b, a, Cat, sub/d; and one elsewhere."""
    folder = tmp_path / "output" / "SDC"
    (folder / "sub").mkdir(parents=True)
    for number, (name, size) in enumerate(SIZES.items()):
        latent = np.random.default_rng(number).normal(size=(4, *size)).astype(np.float32)
        path = folder / f"{name}.sdc"
        codec.save_file(codec.encode([latent], "custom", metadata={"prompt": name, "seed": number})[0], path)
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    (tmp_path / "input" / "SDCother.sdc").write_bytes((folder / "a.sdc").read_bytes())
    (tmp_path / "output" / "SDCother.sdc").write_bytes((folder / "a.sdc").read_bytes())
    (folder / "notes.txt").write_text("no image")
    return folder


def names(*arguments, place="output", folder="SDC", pattern="*.sdc", order="name", index=0, limit=0):
    chosen = choose_files(place, folder, pattern, order, index, limit)
    return [name.removeprefix("SDC/").removesuffix(".sdc [output]") for name in chosen]


def test_files_of_the_folder_and_no_other(folder):
    assert names() == names(folder="/SDC/".strip("/")) == names(folder="SDC\\") == ["Cat", "a", "b", "sub/d"]
    assert names(folder="SDC/sub") == ["sub/d"] and names(folder="SD") == []
    assert names(folder="", pattern="*other*") == ["SDCother"]
    assert choose_files("input", "", "*", "name", 0, 0) == ["SDCother.sdc"]


def test_pattern_order_index_and_limit(folder):
    assert names(pattern="cat*") == names(pattern="?at.sdc") == ["Cat"] and names(pattern="") == names()
    assert names(order="oldest first") == list(SIZES) == names(order="newest first")[::-1]
    assert names(order="newest first", limit=1) == ["sub/d"]
    assert names(index=1, limit=2) == ["a", "b"] and names(index=4) == []
    for name in ("[cat] sleeping", "!a]"):
        (folder / f"{name}.sdc").write_bytes((folder / "a.sdc").read_bytes())
    assert names(pattern="[cat]*.sdc") == ["[cat] sleeping"] and names(pattern="[!a]*") == []
    assert names(pattern="?CAT] *") == ["[cat] sleeping"] and names(pattern="!a].*") == ["!a]"]


@pytest.mark.parametrize("bad", ["..", "SDC/../..", "/etc", "C:\\", "\\\\server\\share", "//server/share", "a\0b"])
def test_no_folder_leads_out_of_comfyuis(folder, bad):
    with pytest.raises(ValueError, match="outside|leads out|not a valid"):
        choose_files("output", bad, "*", "name", 0, 0)
    assert isinstance(SDCLoadFolder.validate_inputs(bad, "*"), str)
    assert SDCLoadFolder.validate_inputs("SDC", "*" * 201) != SDCLoadFolder.validate_inputs("SDC", "*") == True  # noqa: E712


def test_links_that_lead_out_are_not_followed(folder, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.sdc").write_bytes((folder / "a.sdc").read_bytes())
    (folder / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    assert names() == ["Cat", "a", "b", "sub/d"]


def test_lists_of_what_the_files_hold(folder):
    output = SDCLoadFolder.execute("output", "SDC", "*.sdc", "oldest first", 0, 0)
    latents, images, prompts, widths, heights, *made, given = output.result
    assert prompts == list(SIZES) and given == ["b", "a", "Cat", "d"]
    assert [tuple(latent["samples"].shape) for latent in latents] == [(1, 4, *size) for size in SIZES.values()]
    assert (widths, heights) == ([96, 32, 24, 40], [64, 32, 48, 40])
    assert [batch[0].metadata["seed"] for batch in images] == made[1] == [0, 1, 2, 3]
    assert output.ui["text"][0].startswith("4 images, ")
    schema = SDCLoadFolder.GET_SCHEMA()
    assert len(schema.outputs) == len(output.result) and all(each.is_output_list for each in schema.outputs)
    # What was loaded is saved again, a file each, by the node that runs once for each.
    for batch in images:
        SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {}}).execute(batch, "again/image", "none")
    assert len(names(folder="again")) == 4


def test_images_come_by_name_and_keep_their_names(tmp_path):
    folder = tmp_path / "input" / "frames"
    (folder / "sub").mkdir(parents=True)
    for number in (7, 12, 1, 3, 10):  # no file system lists them in this order by itself
        Image.new("RGB", (8 + number, 8), (number * 20,) * 3).save(folder / f"frame_{number:02}.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # lies on its side
    Image.new("RGB", (30, 20), "white").save(folder / "sub" / "Zoë 12:30.JPG", exif=turned)
    (folder / "bad.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    output = SDCLoadImageFolder.execute("input", "frames", "*", "name", 0, 0)
    images, names = output.result
    assert names == ["frame_01", "frame_03", "frame_07", "frame_10", "frame_12", "Zoë 12_30"]
    assert [tuple(image.shape) for image in images[:-1]] == [(1, 8, 8 + n, 3) for n in (1, 3, 7, 10, 12)]
    assert [round(float(image[0, 0, 0, 0]) * 255) for image in images[:-1]] == [20, 60, 140, 200, 240]
    assert images[-1].shape == (1, 30, 20, 3) and images[-1].min() == 1
    assert output.ui["text"][0] == "6 images" and "frames/bad.png cannot be read" in output.ui["text"][1]
    assert SDCLoadImageFolder.execute("input", "frames", "frame_1*", "name", 1, 1).result[1] == ["frame_12"]
    with pytest.raises(ValueError, match="None of the images.*\n.*bad.png"):
        SDCLoadImageFolder.execute("input", "", "*bad*", "name", 0, 0)
    with pytest.raises(ValueError, match="No image in the folder 'frames'"):
        SDCLoadImageFolder.execute("input", "frames", "*.gif", "name", 0, 0)
    assert "leads out" in SDCLoadImageFolder.validate_inputs("..", "*")
    before = SDCLoadImageFolder.fingerprint_inputs("input", "frames", "*", "name", 0, 0)
    (folder / "bad.png").unlink()
    assert SDCLoadImageFolder.fingerprint_inputs("input", "frames", "*", "name", 0, 0) != before


@pytest.mark.parametrize("name", ["a:b?*", "con", "", "..", "a/b\\c", "%width%", "é" * 150, "\ud800\n", "plain. x"])
def test_every_name_can_be_the_start_of_a_file_name(name):
    check_prefix(to_name(name))
    assert to_name(to_name(name)) == to_name(name) and to_name("plain. x") == "plain. x"


def test_a_bad_file_costs_itself_alone(folder):
    whole = (folder / "a.sdc").read_bytes()
    (folder / "bad.sdc").write_bytes(whole[:-7])
    before = SDCLoadFolder.fingerprint_inputs("output", "SDC", "*", "name", 0, 0)
    output = SDCLoadFolder.execute("output", "SDC", "*.sdc", "name", 0, 0)
    assert output.result[2] == ["Cat", "a", "b", "sub/d"]
    (warning,) = [line for line in output.ui["text"] if "bad.sdc" in line]
    assert "incomplete" in warning
    with pytest.raises(ValueError, match="None of the files.*\n.*bad.sdc"):
        SDCLoadFolder.execute("output", "SDC", "bad*", "name", 0, 0)
    with pytest.raises(ValueError, match="No file in the folder 'SDC'"):
        SDCLoadFolder.execute("output", "SDC", "*.png", "name", 0, 0)
    (folder / "bad.sdc").write_bytes(whole)
    assert SDCLoadFolder.fingerprint_inputs("output", "SDC", "*", "name", 0, 0) != before


def test_a_file_is_opened_once_however_many_there_are(folder, monkeypatch):
    content = codec.encode([np.zeros((4, 1, 1), np.float32)], "custom")[0].data
    (folder / "many").mkdir()
    for number in range(1000):
        (folder / "many" / f"{number}.sdc").write_bytes(content)
    opened, inner = [], builtins.open

    def counted(file, *arguments, **options):
        opened.append(str(file))
        return inner(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", counted)
    SDCLoadFolder.fingerprint_inputs("output", "SDC/many", "*", "name", 0, 0)
    assert not [name for name in opened if name.endswith(".sdc")]
    assert len(SDCLoadFolder.execute("output", "SDC/many", "*", "name", 0, 0).result[0]) == 1000
    files = [name for name in opened if name.endswith(".sdc")]
    assert len(files) == len(set(files)) == 1000


def test_the_sheet_shows_every_image_in_its_place(folder):
    images = SDCLoadFolder.execute("output", "SDC", "*.sdc", "name", 0, 0).result[1]
    (sheet,) = SDCContactSheet.execute(images, [3], [64], ["one", "two"]).result
    line = 20
    assert sheet.shape == (1, GAP + 2 * (64 + GAP + line), GAP + 3 * (64 + GAP), 3)
    empty = np.array([int(BACKGROUND[n : n + 2], 16) for n in (1, 3, 5)])
    pixels = (sheet[0].numpy() * 255).round()
    cells = [(row, column) for row in range(2) for column in range(3)]
    for number, (row, column) in enumerate(cells):
        top, left = GAP + row * (64 + GAP + line), GAP + column * (64 + GAP)
        drawn = (pixels[top : top + 64, left : left + 64] != empty).any()
        assert drawn == (number < 4)
    assert SDCContactSheet.execute(images, [3], [64]).result[0].shape[1] == GAP + 2 * (64 + GAP)
    assert SDCContactSheet.execute(images[:1], [6], [64]).result[0].shape[2] == GAP + 64 + GAP
