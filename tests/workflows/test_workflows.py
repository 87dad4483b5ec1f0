"""Every shipped workflow on a real server, through its HTTP interface, to an image."""

import csv
import io
import json
import re
import runpy
import time
from urllib.parse import quote

import numpy as np
import pytest
import sdc_pack.codec as codec
import skimage.data
from PIL import Image

from dev.client import ComfyError

from .conftest import ROOT, WORKFLOWS, find, load, shown

NODES = {
    "SDCLatentQuantize", "SDCSave", "SDCLoad", "SDCDDIMInvert", "SDCRegenerateCanny", "SDCCompare",
    "SDCInversionSampler", "SDCInversionSigmas", "SDCInvertedNoise", "SDCExactSampler", "SDCDecode", "SDCRegenerate",
    "SDCLoadTinyModels", "SDCLoadFolder", "SDCCompressFolder", "SDCLoadImageFolder", "SDCContactSheet",
    "SDCScaleDown", "SDCFileSize",
}  # fmt: skip


# Of the models that a loader lists.
DIRECTORIES = {
    "CheckpointLoaderSimple": "checkpoints", "ControlNetLoader": "controlnet", "UNETLoader": "diffusion_models",
    "CLIPLoader": "text_encoders", "VAELoader": "vae",
}  # fmt: skip


def written(server, file: dict) -> codec.EncodedImage:
    return codec.load(server.client.view(file))


def difference(images: dict[str, np.ndarray], one: str, other: str, part=...) -> float:
    return np.abs(images[one][part].astype(float) - images[other][part]).mean()


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory):
    path = tmp_path_factory.mktemp("photograph") / "photograph.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


def test_pack_loads_without_a_warning(server):
    log = server.log.read_text(encoding="utf-8", errors="replace").partition("To see the GUI go to")[0]
    (line,) = (line for line in log.splitlines() if "comfyui-sdc" in line)  # how long the import took
    assert "seconds: " in line and "FAILED" not in line
    assert {name for name in server.client.object_info() if name.startswith("SDC")} == NODES


def test_every_input_and_output_has_a_tooltip(server):
    info = server.client.object_info()
    for node in NODES:
        assert info[node]["description"]
        for section in ("required", "optional"):
            for name, (_, *options) in info[node]["input"].get(section, {}).items():
                assert options and options[0].get("tooltip"), f"{node}.{name}"
        assert len(info[node]["output_tooltips"]) == len(info[node]["output"])
        assert all(info[node]["output_tooltips"]), node


def test_comfyui_lists_the_workflows_as_templates_with_thumbnails(server):
    listed = json.loads(server.client.request("/api/workflow_templates"))
    assert sorted(listed["comfyui-sdc"]) == WORKFLOWS and "workflows" not in listed
    assert sorted(path.stem for path in (ROOT / "workflows" / "api").glob("*.json")) == WORKFLOWS
    for name in WORKFLOWS:
        assert re.fullmatch(r"SDC [A-Za-z0-9 -]+", name)  # it is the template's title, and a file's on any system
        address = f"/api/workflow_templates/comfyui-sdc/{quote(name)}"
        assert json.loads(server.client.request(f"{address}.json"))["version"] == 0.4
        thumbnail = Image.open(io.BytesIO(server.client.request(f"{address}.jpg")))
        assert thumbnail.format == "JPEG" and min(thumbnail.size) >= 256


def test_the_scripts_are_served_and_write_text_but_never_markup(server):
    """A prompt or file name from a stranger must stay inert, so nothing here may parse HTML or run strings."""
    assert "/extensions/comfyui-sdc/status.js" in json.loads(server.client.request("/extensions"))
    assert b"registerExtension" in server.client.request("/extensions/comfyui-sdc/status.js")
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
    for script in (ROOT / "web").rglob("*.js"):
        assert not re.findall(sinks, script.read_text(encoding="utf-8")), script.name


def test_markup_in_a_file_comes_back_as_plain_text(server, make_prompt):
    markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
    latent = np.random.default_rng(1).normal(size=(4, 8, 8)).astype(np.float32)
    metadata = {"prompt": markup, "workflow": {"nodes": [], "<script>": markup}}
    (server.base / "input" / "markup.sdc").write_bytes(codec.encode([latent], "custom", metadata=metadata)[0].data)
    prompt = make_prompt("SDC Open and Regenerate", steps=1)
    load_node, node = find(prompt, "SDCLoad")
    node["inputs"]["file"] = "markup.sdc"
    prompt["text"] = {"class_type": "PreviewAny", "inputs": {"source": [load_node, 2]}, "_meta": {"title": "text"}}
    outputs = server.client.run(prompt)
    assert outputs["text"]["text"] == [markup]
    assert "<" not in "".join(outputs[load_node]["text"])  # what the node itself shows holds nothing of it


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_agrees_with_its_api_format_and_names_real_models(name):
    """What the page submits is compared with the API format in tests/browser."""
    graph, prompt = load(name), load(f"api/{name}")
    # Other nulls the front end's schema calls errors.
    nulls = set(re.findall(r'"(\w+)": null', (ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8")))
    assert nulls <= {"link", "links"}
    links = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
    nodes = {str(node["id"]): node for node in graph["nodes"] if node["type"] != "MarkdownNote"}
    assert {key: node["class_type"] for key, node in prompt.items()} == {key: n["type"] for key, n in nodes.items()}
    for key, node in nodes.items():
        wired = {slot["name"]: links[slot["link"]] for slot in node["inputs"] if slot.get("link") is not None}
        assert wired == {name: v for name, v in prompt[key]["inputs"].items() if isinstance(v, list)}, key
        if node["type"].startswith("SDC"):
            assert node["properties"]["cnr_id"] == "comfyui-sdc" and node["properties"]["ver"]
        directory = DIRECTORIES.get(node["type"])
        if directory:
            (model,) = node["properties"]["models"]
            assert model["name"] == node["widgets_values"][0] == model["url"].rsplit("/")[-1]
            assert model["directory"] == directory


def test_full_pipeline(server, make_prompt):
    """File, decoded, edges and regenerated image, all of the trimmed size; fewer steps than it ships with."""
    assert find(load("api/SDC Full Pipeline"), "SDCDDIMInvert")[1]["inputs"]["steps"] == 50
    prompt = make_prompt("SDC Full Pipeline", steps=4)
    outputs = server.client.run(prompt)
    (file,) = outputs[find(prompt, "SDCSave")[0]]["files"]
    assert (file["subfolder"], file["type"]) == ("SDC", "output")
    image = written(server, file)
    assert (image.width, image.height, image.metadata) == (120, 88, {})
    assert outputs[find(prompt, "SDCLatentQuantize")[0]]["text"] == [f"{image.num_bytes} bytes · {image.colors} colors"]
    original, decoded, edges, regenerated = (
        pixels for _, pixels in sorted(shown(server, prompt, outputs).items())
    )  # the titles are numbered
    assert original.shape == decoded.shape == edges.shape == regenerated.shape == (88, 120, 3)
    assert set(np.unique(edges)) == {0, 255}
    assert (decoded != regenerated).any()


def figures(text: str) -> dict[str, tuple[float, float]]:
    """PSNR and SSIM of each image, out of the first line of SDC Compare."""
    return {
        name: (float(psnr), float(ssim))
        for name, psnr, ssim in re.findall(r"(\w+): PSNR ([\d.]+), SSIM ([\d.]+)", text.splitlines()[0])
    }


def test_demo_needs_no_model_and_beats_a_jpeg_of_as_many_bytes(server, make_prompt, astronaut, tmp_path):
    # A part: made smaller instead, the photograph would be harder to store.
    part = tmp_path / "part.png"
    Image.open(astronaut).crop((128, 0, 384, 256)).save(part)
    prompt = make_prompt("SDC Demo", image=part, megapixels=0.0625)
    find(prompt, "SDCFileSize")[1]["inputs"]["kilobytes"] = 0.78
    assert not [node for node in prompt.values() if "LoaderSimple" in node["class_type"]]
    outputs = server.client.run(prompt)
    (file,) = outputs[find(prompt, "SDCSave")[0]]["files"]
    assert 600 < written(server, file).num_bytes <= 780
    saved = outputs[find(prompt, "SDCSave")[0]]["text"][0]
    times = part.stat().st_size / written(server, file).num_bytes
    assert f"{times:.0f}x smaller than {part.name}" in saved
    found = figures(outputs[find(prompt, "SDCCompare")[0]]["text"][0])
    assert found["SDC"] > found["JPEG"] and found["SDC"][1] > found["JPEG"][1] > 0.3
    assert shown(server, prompt, outputs)["Original, SDC, and JPEG of the same size"].shape[1] == 12 + 3 * (384 + 12)


def test_the_app_of_the_demo_has_an_image_a_size_and_the_result():
    workflow = load("SDC Demo")
    kinds = {str(node["id"]): node["type"] for node in workflow["nodes"]}
    app = workflow["extra"]["linearData"]
    inputs = [(kinds[str(node)], widget) for node, widget, *_ in app["inputs"]]
    assert inputs == [("LoadImage", "image"), ("SDCFileSize", "kilobytes")]
    assert [kinds[str(node)] for node in app["outputs"]] == ["PreviewImage"]


def test_regeneration_changes_what_the_papers_preset_disturbs_and_harms_nothing(server, make_prompt, astronaut):
    prompt = make_prompt("SDC Remove Artifacts", image=astronaut, megapixels=0.07)
    found = figures(server.client.run(prompt)[find(prompt, "SDCCompare")[0]]["text"][0])
    (psnr, ssim), (psnr_after, ssim_after) = found["decoded"], found["regenerated"]
    assert psnr_after != psnr and psnr_after > psnr - 0.3 and ssim_after > ssim - 0.005, found


def test_table1_shows_measures_and_writes_every_image(server, make_prompt):
    """The drawing is so small that WebP and the others cannot match its file: each says so, none is left out."""
    prompt = make_prompt("SDC Compare with JPEG and AVIF", steps=2)
    outputs = server.client.run(prompt)
    (file,) = outputs[find(prompt, "SDCCompare")[0]]["files"]
    rows = list(csv.DictReader(io.StringIO(server.client.view(file).decode("utf-8-sig"))))
    assert [row["name"] for row in rows] == ["without inversion", "with inversion", "JPEG", "WebP", "AVIF"]
    (sdc,) = outputs[find(prompt, "SDCSave")[0]]["files"]
    assert {row["bytes"] for row in rows[:2]} == {str(written(server, sdc).num_bytes)}
    told = outputs[find(prompt, "SDCCompare")[0]]["text"][0]
    assert all(f"{row['name']}: PSNR " in told for row in rows)
    assert shown(server, prompt, outputs)["Table 1"].shape[1] == 12 + 6 * (384 + 12)


def test_experiment_fills_every_cell_of_its_grid_and_states_its_cost(server, make_prompt):
    prompt = make_prompt("SDC Compare Settings")
    cells, calls = {}, 0
    for node in prompt.values():
        if node["class_type"] == "PreviewImage":
            back = prompt[node["inputs"]["images"][0]]["inputs"]
            cells[node["_meta"]["title"]] = f"strength {back['strength']:g} · canny {back['canny_strength']:g}"
            calls += 2 * round(back["steps"] * back["strength"])
            assert not back["auto_strength"]
    assert len(cells) == 6 and all(title == value for title, value in cells.items())
    note = next(
        node["widgets_values"][0] for node in load("SDC Compare Settings")["nodes"] if node["type"] == "MarkdownNote"
    )
    assert f"about {calls} model calls" in " ".join(note.split())
    prompt = make_prompt("SDC Compare Settings", steps=2)
    assert {image.shape for image in shown(server, prompt, server.client.run(prompt)).values()} == {(88, 120, 3)}


def test_the_exact_pair_gives_the_image_back_for_the_same_words(server, make_prompt):
    """Without edges to hold it, as the note says; another prompt changes it."""
    results = []
    for words in ("a photograph of a tabby cat", "a photograph of a fox"):
        prompt = make_prompt("SDC Change the Prompt", steps=4)
        find(prompt, "SDCRegenerateCanny")[1]["inputs"]["canny_strength"] = 0
        find(prompt, "CLIPTextEncode", "2 · As it should be")[1]["inputs"]["text"] = words
        results.append(shown(server, prompt, server.client.run(prompt)))
    same, other = results
    assert np.abs(same["Changed"].astype(int) - same["What the file holds"]).max() <= 1
    assert (other["Changed"] != same["Changed"]).any()  # by little: it is a model of random weights


def test_a_part_under_the_mask_is_kept_finer_at_the_same_size(server, make_prompt, tmp_path):
    alpha = Image.new("L", (512, 512), 255)
    alpha.paste(0, (128, 0, 320, 256))  # Load Image makes a mask of what is transparent
    photograph = Image.fromarray(skimage.data.astronaut())
    photograph.putalpha(alpha)
    photograph.save(tmp_path / "masked.png")
    prompt = make_prompt("SDC Keep a Part Finer", image=tmp_path / "masked.png", megapixels=0.06)
    images = shown(server, prompt, server.client.run(prompt))
    height, width, _ = images["Original"].shape
    part = np.s_[: height // 2, width // 4 : 5 * width // 8]
    with_mask, without = (
        difference(images, title, "Original", part) for title in ("With the mask", "Without the mask")
    )
    assert with_mask < without


def test_a_folder_goes_through_one_by_one(server, make_prompt):
    folder = server.output / "SDC"
    folder.mkdir(exist_ok=True)
    for number in range(2):
        latent = np.random.default_rng(number).normal(size=(4, 8, 8)).astype(np.float32)
        (folder / f"folder{number}.sdc").write_bytes(codec.encode([latent], "custom")[0].data)
    prompt = make_prompt("SDC Regenerate a Folder", steps=1)
    find(prompt, "SDCLoadFolder")[1]["inputs"]["pattern"] = "folder*.sdc"
    images = server.client.run(prompt)[find(prompt, "SaveImage")[0]]["images"]
    assert [(image["subfolder"], image["filename"]) for image in images] == [
        ("SDC/regenerated", f"folder{number}_00001_.png") for number in range(2)
    ]


def test_images_of_a_folder_become_files_of_their_own_with_their_names(server, make_prompt, image):
    folder = server.base / "input" / "api_images"
    (folder / "sub").mkdir(parents=True)
    Image.open(image).resize((96, 128)).save(folder / "sub" / "boat.jpg")
    Image.open(image).save(folder / "a ball.png")
    prompt = make_prompt("SDC Compress a Folder")
    compress, node = find(prompt, "SDCCompressFolder")
    node["inputs"] |= {"folder": folder.name, "bits_per_pixel": 0.5, "output_folder": "SDC/api_images"}
    outputs = server.client.run(prompt)
    output = server.output / "SDC" / "api_images"
    files = {path.relative_to(output).as_posix(): codec.load_file(path) for path in output.rglob("*.sdc")}
    sizes = {name: (file.width, file.height) for name, file in files.items()}
    assert sizes == {"a ball.sdc": (120, 88), "sub/boat.sdc": (88, 120)}
    assert outputs[compress]["text"][0].startswith("2 files, ")
    assert outputs[find(prompt, "SDCContactSheet")[0]]["text"] == ["2 of 2 images"]
    # Nothing of the graph has changed, and still the node looks for what is new in the folder, or gone.
    Image.open(image).save(folder / "another.png")
    (output / "a ball.sdc").unlink()
    assert server.client.run(prompt)[compress]["text"][0].startswith("3 files, ")
    assert (output / "another.sdc").is_file() and (output / "a ball.sdc").is_file()


@pytest.mark.parametrize(
    ("name", "loader", "slot"),
    [(name, "CheckpointLoaderSimple", 2) for name in ("SDC with SDXL", "SDC with SD3", "SDC with Flux")]
    + [(name, "VAELoader", 0) for name in ("SDC with Z-Image", "SDC with Qwen-Image")],
)
def test_the_vae_is_asked_for_the_latent_format(name, loader, slot):
    prompt = load(f"api/{name}")
    _, quantize = find(prompt, "SDCLatentQuantize")
    assert quantize["inputs"]["latent_format"] == "auto"
    assert quantize["inputs"]["vae"] == [find(prompt, loader)[0], slot]


def test_opening_a_file_runs_as_it_is(server):
    """With the sample and the models that come with the pack."""
    prompt = load("api/SDC Open and Regenerate")
    images = shown(server, prompt, server.client.run(prompt))
    assert len(images) == 2 and difference(images, *images) > 0


def test_compress_then_decompress(server, make_prompt):
    compress = make_prompt("SDC Compress an Image")
    save, node = find(compress, "SDCSave")
    node["inputs"] |= {"prompt": "a ball and a box", "embed": "workflow"}
    outputs = server.client.run(compress, workflow=load("SDC Compress an Image"))
    (file,) = outputs[save]["files"]
    assert written(server, file).metadata == {"prompt": "a ball and a box", "workflow": load("SDC Compress an Image")}
    decoded = shown(server, compress, outputs)["What the file holds"]

    decompress = make_prompt("SDC Open and Regenerate", steps=2)
    load_node, node = find(decompress, "SDCLoad")
    node["inputs"]["file"] = f"{file['subfolder']}/{file['filename']} [output]"
    info = server.client.object_info()["SDCLoad"]["input"]["required"]["file"]
    assert node["inputs"]["file"] in info[1]["options"]
    outputs = server.client.run(decompress)
    images = shown(server, decompress, outputs)
    assert np.array_equal(images["What the file holds"], decoded)
    assert "120x88" in outputs[load_node]["text"][0]
    assert images["Regenerated"].shape == (88, 120, 3)


def test_stock_nodes_give_the_same_image(server, make_prompt):
    prompt = make_prompt("SDC Regenerate with Stock Nodes", steps=4)
    images = shown(server, prompt, server.client.run(prompt))
    assert np.array_equal(images["Regenerate with Canny"], images["Stock nodes"])


def test_second_run_is_cached_and_a_changed_file_runs_again(server, make_prompt):
    source = server.base / "input" / "changing.sdc"
    latents = np.random.default_rng(0).normal(size=(2, 4, 8, 8)).astype(np.float32)
    prompt = make_prompt("SDC Open and Regenerate", steps=1)
    find(prompt, "SDCLoad")[1]["inputs"]["file"] = "changing.sdc"
    saver, _ = find(prompt, "SaveImage")
    for latent in latents:
        source.write_bytes(codec.encode([latent], "custom")[0].data)
        assert "images" in server.client.run(prompt)[saver]
        before = sorted(server.output.rglob("regenerated*"))
        server.client.run(prompt)
        assert sorted(server.output.rglob("regenerated*")) == before
    assert len(before) >= 2


def test_damaged_and_missing_files_are_named(server, make_prompt):
    prompt = make_prompt("SDC Open and Regenerate", steps=1)
    _, node = find(prompt, "SDCLoad")
    data = codec.encode([np.zeros((4, 8, 8), np.float32)], "custom")[0].data
    (server.base / "input" / "cut.sdc").write_bytes(data[:-3])
    for name, message in (("cut.sdc", "SDCLoad.*cut.sdc"), ("nowhere.sdc", "nowhere.sdc")):
        node["inputs"]["file"] = name
        with pytest.raises(ComfyError, match=message):
            server.client.run(prompt)


def test_cancel_ends_a_long_run(server, make_prompt):
    """Two thousand UNet calls are queued and interrupted once the file is written; the server can go on."""
    prompt = make_prompt("SDC Full Pipeline", steps=1000)
    find(prompt, "SDCLatentQuantize")[1]["inputs"]["seed"] = 12345  # nothing of an earlier run is reused
    before = set(server.output.rglob("*.sdc"))
    prompt_id = server.client.queue(prompt)
    while set(server.output.rglob("*.sdc")) == before:
        assert server.client.history(prompt_id) is None, "ended before it wrote its file"
        time.sleep(0.05)
    server.client.interrupt()
    with pytest.raises(ComfyError, match="interrupted in node"):
        server.client.wait(prompt_id)
    assert server.client.run(make_prompt("SDC Compress an Image"))


def test_the_example_of_the_documents_runs(server, make_prompt, image, tmp_path, monkeypatch, capsys):
    """As docs/api.md has it, but for the address and the name of the image; the workflow has smaller images."""
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    example = example.replace("http://127.0.0.1:8188", server.url).replace("photo.png", image.as_posix())
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    (tmp_path / "workflows" / "api").mkdir(parents=True)
    small = json.dumps(make_prompt("SDC Demo", megapixels=0.03))
    (tmp_path / "workflows" / "api" / "SDC Demo.json").write_text(small, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "example.py"))
    printed = capsys.readouterr().out
    assert "SDCSave" in printed and "PreviewImage" in printed
