"""What is stored beside the image, and that no image is lost for its sake."""

import comfy.cli_args
import numpy as np
import pytest
import sdc_pack.codec as codec
import torch
from comfy_api.v0_0_2 import io
from sdc_pack.nodes.load_sdc import SDCLoad
from sdc_pack.nodes.metadata.embedding import embed_metadata
from sdc_pack.nodes.save_sdc import SDCSave

WORKFLOW = {"nodes": [{"id": 1, "type": "SaveImage"}]}
LARGE = {"nodes": ["n" * 400_000]}


def image(**metadata):
    latent = np.random.default_rng(0).normal(size=(4, 8, 12)).astype(np.float32)
    return codec.encode([latent], "custom", metadata=metadata or None)[0]


def save(images, embed="none", workflow=None, **inputs):
    info = {"workflow": workflow} if workflow else None
    clone = SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": {io.Hidden.extra_pnginfo: info}})
    return clone.execute(images, inputs.pop("prefix", "test"), embed, **inputs)


def test_the_workflow_of_a_loaded_file_is_not_written_on():
    loaded = image(prompt="a fox", workflow=WORKFLOW, rating=5)
    (written, *_), _ = save([loaded]).result[:2]
    assert written.metadata == {"prompt": "a fox", "rating": 5}
    other = {"nodes": [{"id": 2}]}
    assert save([loaded], "workflow", other).result[0][0].metadata["workflow"] == other
    assert "workflow" not in save([loaded], "workflow").result[0][0].metadata


def test_nothing_is_embedded_where_comfyui_was_told_so(monkeypatch):
    monkeypatch.setattr(comfy.cli_args.args, "disable_metadata", True)
    for images in ([image()], [image(prompt="a fox", workflow=WORKFLOW)]):
        output = save(images, "workflow", WORKFLOW, prompt="a hare")
        assert output.result[0][0].metadata == {}
        assert [line for line in output.ui["text"] if "--disable-metadata" in line]
    assert not [line for line in save([image()]).ui["text"] if "--disable-metadata" in line]


@pytest.mark.parametrize(
    ("prompt", "workflow", "kept", "dropped"),
    [
        ("p" * 300_000, LARGE, {"prompt"}, "workflow"),  # together above the cap
        ("p" * 600_000, WORKFLOW, {"workflow"}, "prompt"),
        ("half a letter \ud800", WORKFLOW, {"workflow"}, "prompt"),
        ("a fox", {"nodes": [float("nan")]}, {"prompt"}, "workflow"),
    ],
)
def test_what_cannot_be_embedded_costs_only_itself(prompt, workflow, kept, dropped):
    output = save([image()], "workflow", workflow, prompt=prompt)
    assert output.result[0][0].metadata.keys() == kept
    (note,) = (line for line in output.ui["text"] if "included" in line)
    assert f"No {dropped} was included" in note


def test_a_image_that_gains_nothing_keeps_its_bytes():
    loaded = image(prompt="a fox")
    assert embed_metadata(loaded, "a fox", False, None, False) == (loaded, [])


def test_a_batch_is_written_whole_or_not_at_all(comfyui_folders):
    """The second name cannot be one, so the first image is not written either."""
    with pytest.raises(ValueError, match="device"):
        save([image(), image()], prefix="lpt%batch_num%/x")  # lpt0, which Windows keeps, and lpt1
    with pytest.raises(ValueError, match="device"):
        save([image()] * 2, prefix="com%batch_num%")
    assert not list((comfyui_folders / "output").iterdir())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_original_may_be_gray_or_have_alpha(channels):
    output = save([image()], image=torch.rand(1, 64, 96, channels))
    assert "smaller than a PNG of" in output.ui["text"][0]


GRAPH = {
    "1": {"class_type": "SDCSave", "inputs": {"sdc": ["2", 0]}},
    "2": {"class_type": "SDCLatentQuantize", "inputs": {"latent": ["3", 0]}},
    "3": {"class_type": "KSampler", "inputs": {"seed": 7, "steps": 30, "cfg": 6.5, "positive": ["4", 0]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "a marble fox"}},
}
MADE = {"prompt": "a marble fox", "seed": 7, "steps": 30, "cfg": 6.5}


def save_within(graph, images, embed, **inputs):
    hidden = {io.Hidden.extra_pnginfo: {"workflow": WORKFLOW}, io.Hidden.prompt: graph, io.Hidden.unique_id: "1"}
    return SDCSave.PREPARE_CLASS_CLONE({"hidden_inputs": hidden}).execute(images, "test", embed, **inputs)


def test_prompt_and_settings_of_the_sampler_are_stored_when_asked_for():
    written = save_within(GRAPH, [image(rating=5, negative="old")], "prompt and settings").result[0][0]
    assert written.metadata == {"rating": 5} | MADE  # what the image said before is gone with its negative prompt
    written = save_within(GRAPH, [image()], "everything", prompt="a brass fox").result[0][0]
    assert written.metadata == MADE | {"workflow": WORKFLOW, "prompt": "a brass fox"}  # what is typed in wins
    for embed in ("none", "workflow"):
        assert "seed" not in save_within(GRAPH, [image()], embed).result[0][0].metadata


def test_without_a_sampler_what_the_image_says_is_kept_and_the_node_says_so():
    graph = {"1": GRAPH["1"], "2": {"class_type": "SDCLoad", "inputs": {"file": "a.sdc"}}}
    output = save_within(graph, [image(**MADE)], "prompt and settings")
    assert output.result[0][0].metadata == MADE
    assert any("no sampler" in line for line in output.ui["text"])


def test_what_cannot_be_read_from_the_graph_is_named_and_nothing_else_takes_its_place():
    changed = {"class_type": "StringReplace", "inputs": {"string": "a COLOR fox", "find": "COLOR", "replace": "red"}}
    graph = GRAPH | {"4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 0]}}, "5": changed}
    output = save_within(graph, [image(prompt="old", negative="old")], "prompt and settings")
    assert output.result[0][0].metadata == {key: MADE[key] for key in ("seed", "steps", "cfg")}
    (note,) = (line for line in output.ui["text"] if "\u26a0" in line)
    assert "prompt (from StringReplace #5)" in note and "connect its text" in note
    output = save_within(graph, [image()], "prompt and settings", prompt="a red fox")
    assert output.result[0][0].metadata == MADE | {"prompt": "a red fox"}
    (note,) = (line for line in output.ui["text"] if "\u26a0" in line)
    assert "StringReplace" not in note and "sampler (from KSampler #3)" in note


def test_what_load_sdc_outputs_is_stored_again(tmp_path):
    stored = MADE | {"negative": "blurry", "sampler": "dpmpp_2m", "scheduler": "karras", "denoise": 0.5}
    codec.save_file(image(**stored), tmp_path / "input" / "made.sdc")
    slots = zip(("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"), range(6, 12), strict=True)
    inputs = {name: ["5", slot] for name, slot in slots} | {"positive": ["4", 0], "negative": ["6", 0]}
    graph = GRAPH | {
        "3": {"class_type": "KSampler", "inputs": inputs},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 2]}},
        "5": {"class_type": "SDCLoad", "inputs": {"file": "made.sdc"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 5]}},
    }
    assert save_within(graph, [image()], "prompt and settings").result[0][0].metadata == stored
    (tmp_path / "input" / "made.sdc").unlink()
    output = save_within(graph, [image()], "prompt and settings")
    assert output.result[0][0].metadata == {}
    assert any("prompt (from SDCLoad #5)" in line for line in output.ui["text"])


def test_a_prompt_too_long_is_left_out_and_the_image_saved():
    graph = {**GRAPH, "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "x" * (600 << 10)}}}
    output = save_within(graph, [image()], "prompt and settings")
    assert output.result[0][0].metadata == {}
    assert any("No prompt with settings was included" in line for line in output.ui["text"])


def test_load_sdc_gives_back_how_a_image_was_made(tmp_path):
    everything = MADE | {"negative": "blurry", "sampler": "dpmpp_2m", "scheduler": "karras", "denoise": 0.5}
    everything |= {"model": "m.safetensors", "vae": "v.safetensors", "guidance": 2.5}
    codec.save_file(image(**everything), tmp_path / "input" / "all.sdc")
    codec.save_file(image(seed="7", sampler="of another pack"), tmp_path / "input" / "little.sdc")
    _, _, prompt, width, height, *made = SDCLoad.execute("all.sdc").result
    assert (prompt, width, height) == ("a marble fox", 96, 64)
    assert made == ["blurry", 7, 30, 6.5, "dpmpp_2m", "karras", 0.5, "m.safetensors", "v.safetensors", 2.5]
    assert SDCLoad.execute("little.sdc").result[5:] == ("", 0, 20, 8.0, "euler", "normal", 1.0, "", "", 3.5)
    outputs = SDCLoad.GET_SCHEMA().outputs
    assert [output.id for output in outputs[:5]] == ["latent", "sdc", "prompt", "width", "height"]
    kinds = ["STRING", "INT", "INT", "FLOAT", "*", "*", "FLOAT", "STRING", "STRING", "FLOAT"]
    assert [output.io_type for output in outputs[5:]] == kinds
