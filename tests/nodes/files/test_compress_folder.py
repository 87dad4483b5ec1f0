"""Compress Folder: names, subfolders and prompts are kept, what is there is not done again, and the total is true."""

import json

import numpy as np
import pytest
import sdc_pack.codec as codec
from comfy.model_management import InterruptProcessingException
from PIL import Image, PngImagePlugin
from sdc_pack.codec.autoencoder import refinement
from sdc_pack.nodes.compress_folder import SDCCompressFolder
from sdc_pack.nodes.folder_work import compress
from sdc_pack.nodes.load_sdc_folder import SDCLoadFolder

GRAPH = {
    "1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    "2": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 30, "cfg": 6.5, "positive": ["3", 0]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "a marble fox"}},
}


@pytest.fixture
def photographs(comfyui_folders):
    """Of several kinds and sizes, two of one name but for the extension, and one that is damaged."""
    folder = comfyui_folders / "output" / "art"
    (folder / "2026" / "may").mkdir(parents=True)
    rows, columns = np.mgrid[0:96, 0:128]
    image = Image.fromarray(np.stack([2 * columns, 2 * rows, columns + rows], 2).astype(np.uint8))
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", json.dumps(GRAPH))
    image.save(folder / "fox.png", pnginfo=info)
    image.resize((60, 50)).save(folder / "2026" / "boat.jpg")
    image.resize((50, 60)).save(folder / "2026" / "Boat.webp")
    image.resize((72, 64)).save(folder / "2026" / "may" / "what? is 100% this.png")
    (folder / "broken.png").write_bytes((folder / "fox.png").read_bytes()[:300])
    return folder


FILES = {
    "2026/Boat.webp.sdc": (50, 60),
    "2026/boat.jpg.sdc": (60, 50),
    "2026/may/what_ is 100_ this.sdc": (72, 64),
    "fox.sdc": (96, 72),
}


def run(**changes):
    settings = {"place": "output", "folder": "art", "pattern": "*", "output_folder": "SDC/art", "preset": "best"}
    settings |= {"bits_per_pixel": 0.5, "megapixels": 96 * 72 / 1024**2, "embed": "prompt and settings"}
    return SDCCompressFolder.execute(**settings | changes)


def written(comfyui_folders) -> dict:
    folder = comfyui_folders / "output" / "SDC" / "art"
    return {path.relative_to(folder).as_posix(): codec.load_file(path) for path in sorted(folder.rglob("*.sdc"))}


def test_a_folder_becomes_files_of_the_same_names_and_the_total_is_named(photographs, comfyui_folders):
    output = run()
    found = written(comfyui_folders)
    assert {name: (image.width, image.height) for name, image in found.items()} == FILES  # only the fox is scaled
    made = found["fox.sdc"].metadata
    assert (made["prompt"], made["seed"], made["steps"]) == ("a marble fox", 7, 30)
    assert found["2026/boat.jpg.sdc"].metadata == {}
    before = sum(path.stat().st_size for path in photographs.rglob("*.*") if path.stem != "broken")
    after = sum(image.num_bytes for image in found.values())
    total, broken = output.ui["text"]
    assert total == f"4 files, {before / 1000:.1f} kB \u2192 {after} bytes, {before / after:.0f}x smaller"
    assert broken.startswith("\u26a0 art/broken.png [output]: ")
    assert output.result == ("SDC/art",)
    names = SDCLoadFolder.execute("output", output.result[0], "*.sdc", "name", 0, 0).result[-1]
    assert len(names) == 4
    assert written(comfyui_folders) == found and run(embed="none", output_folder="SDC/plain")
    assert codec.load_file(comfyui_folders / "output" / "SDC" / "plain" / "fox.sdc").metadata == {}


def test_a_run_that_was_canceled_goes_on_where_it_ended(photographs, comfyui_folders, monkeypatch):
    def cancel(path):
        if path.endswith("fox.png"):
            raise InterruptProcessingException
        return made(path)

    made, first = compress.Image.open, []
    monkeypatch.setattr(compress.Image, "open", cancel)
    with pytest.raises(InterruptProcessingException):
        run()
    monkeypatch.undo()
    first = written(comfyui_folders)
    assert set(first) == FILES.keys() - {"fox.sdc"}
    monkeypatch.setattr(compress.Image, "open", lambda path: opened.append(path) or made(path))
    opened: list[str] = []
    lines = run().ui["text"]
    assert {path.rsplit("/", 1)[-1] for path in opened} == {"broken.png", "fox.png"}
    assert lines[0].startswith("4 files, ") and lines[1] == "3 of them were there already."
    assert lines[0] == run().ui["text"][0] and run().ui["text"][1] == "4 of them were there already."


def test_what_cannot_be_is_refused_before_anything_is_written(photographs, comfyui_folders):
    for changes, message in (
        ({"output_folder": "../elsewhere"}, "leads outside"),
        ({"folder": "../input"}, r"leads out of ComfyUI's folders"),
        ({"pattern": "*.gif"}, "No image in the folder 'art'"),
        ({"preset": "paper", "pattern": "none.png"}, "No image"),
    ):
        with pytest.raises(ValueError, match=message):
            run(**changes)
    assert not list(comfyui_folders.rglob("*.sdc"))


def test_more_effort_makes_other_files_of_the_same_sizes(photographs, comfyui_folders, monkeypatch):
    costs = iter((1, 0))  # of the plain file, and of the refined one
    monkeypatch.setattr(refinement, "STEPS", 2)
    monkeypatch.setattr(refinement, "_cost", lambda *_: next(costs))
    run(pattern="fox*")
    before = written(comfyui_folders)["fox.sdc"]
    (comfyui_folders / "output" / "SDC" / "art" / "fox.sdc").unlink()
    run(pattern="fox*", effort="thorough")
    after = written(comfyui_folders)["fox.sdc"]
    assert after.data != before.data and 0.9 * before.num_bytes < after.num_bytes < 1.1 * before.num_bytes
    assert after.metadata == before.metadata
