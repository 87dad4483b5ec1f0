"""What is found in the graph of a run; and that no graph, whatever it holds, does harm."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdc_pack.nodes.metadata.prompt_graph import find_generation

WORKFLOWS = Path(__file__).parents[3] / "workflows" / "api"
KSAMPLER = {
    "save": {"class_type": "SDCSave", "inputs": {"sdc": ["quantize", 0]}},
    "quantize": {"class_type": "SDCLatentQuantize", "inputs": {"latent": ["sampler", 0], "seed": 0}},
    "sampler": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 572636856966402, "steps": 20, "cfg": 8.0, "sampler_name": "uni_pc_bh2", "scheduler": "normal",
            "denoise": 1.0, "model": ["lora", 0], "positive": ["words", 0], "negative": ["not", 0],
            "latent_image": ["encode", 0],
        },
    },
    "encode": {"class_type": "VAEEncode", "inputs": {"pixels": ["image", 0], "vae": ["load", 2]}},
    "image": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
    "lora": {
        "class_type": "LoraLoader", "inputs": {"lora_name": "fox.pt", "model": ["load", 0], "clip": ["load", 1]},
    },
    "load": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15\\v1-5.ckpt"}},
    "words": {"class_type": "CLIPTextEncode", "inputs": {"text": " a marble fox ", "clip": ["lora", 1]}},
    "not": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["lora", 1]}},
}  # fmt: skip
FOUND = {
    "prompt": "a marble fox", "negative": "blurry", "seed": 572636856966402, "steps": 20, "cfg": 8.0,
    "sampler": "uni_pc_bh2", "scheduler": "normal", "denoise": 1.0, "model": "v1-5.ckpt", "vae": "v1-5.ckpt",
}  # fmt: skip


def node(class_type="Unknown", **inputs):
    return {"class_type": class_type, "inputs": inputs}


def changed(sampler=None, **nodes):
    graph = json.loads(json.dumps(KSAMPLER)) | nodes
    graph["sampler"]["inputs"] |= sampler or {}
    return graph


def test_ksampler_and_what_is_wired_to_it():
    assert find_generation(KSAMPLER, "save") == FOUND


def test_a_vae_of_its_own_is_named():
    graph = changed(
        decode=node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]), vae=node("VAELoader", vae_name="mse.pt"),
        again=node("VAEEncode", pixels=["decode", 0], vae=["vae", 0]), quantize=node(latent=["again", 0]),
    )  # fmt: skip
    assert find_generation(graph, "save") == FOUND | {"vae": "mse.pt"}


def test_with_two_samplers_the_last_one_counts():
    again = changed()["sampler"]["inputs"] | {"latent_image": ["sampler", 0], "denoise": 0.5, "positive": ["other", 0]}
    graph = changed(again=node("KSampler", **again), other=node("CLIPTextEncode", text="a brass fox"))
    graph["quantize"]["inputs"]["latent"] = ["again", 0]
    assert find_generation(graph, "save") == FOUND | {"denoise": 0.5, "prompt": "a brass fox"}


def test_values_on_nodes_of_their_own_and_reroutes():
    graph = changed(
        sampler={"seed": ["seed", 0], "steps": ["made", 0], "positive": ["reroute", 0]},
        seed=node("PrimitiveInt", value=7), reroute=node("Reroute", **{"": ["words", 0]}),
        words=node("CLIPTextEncode", text=["text", 0], clip=["lora", 1]),
        text=node("PrimitiveStringMultiline", value="a fox"), made=node("MathExpression", a=1, b=2),
    )  # fmt: skip
    expected = FOUND | {"seed": 7, "prompt": "a fox"}
    del expected["steps"]  # what a node makes of its inputs is not known before it runs
    assert find_generation(graph, "save") == expected


def test_conditioning_is_followed_to_its_texts():
    graph = changed(
        sampler={"positive": ["control", 0], "negative": ["control", 1]},
        control=node("ControlNetApplyAdvanced", positive=["both", 0], negative=["zero", 0], strength=1.0),
        both=node("ConditioningCombine", conditioning_1=["area", 0], conditioning_2=["pair", 0]),
        area=node("ConditioningSetArea", conditioning=["words", 0], width=64),
        pair=node("CLIPTextEncodeSDXL", text_g="a hill", text_l="a hill", width=1024, clip=["load", 1]),
        zero=node("ConditioningZeroOut", conditioning=["words", 0]),
    )
    expected = FOUND | {"prompt": "a marble fox\na hill"}
    del expected["negative"]
    assert find_generation(graph, "save") == expected


def test_the_parts_of_sampler_custom_advanced():
    graph = {
        "save": node("SDCSave", sdc=["quantize", 0]), "quantize": node("SDCLatentQuantize", latent=["sampler", 0]),
        "sampler": node("SamplerCustomAdvanced", noise=["n", 0], guider=["g", 0], sampler=["s", 0], sigmas=["z", 0],
                        latent_image=["e", 0]),
        "n": node("RandomNoise", noise_seed=112298569477003), "e": node("EmptyLatentImage", width=64),
        "g": node("BasicGuider", model=["m", 0], conditioning=["f", 0]),
        "f": node("FluxGuidance", guidance=3.5, conditioning=["t", 0]),
        "t": node("CLIPTextEncodeFlux", clip_l="a bottle", t5xxl="a bottle on a table", guidance=3.5, clip=["c", 0]),
        "s": node("KSamplerSelect", sampler_name="euler"), "c": node("DualCLIPLoader", clip_name1="t5xxl"),
        "z": node("BasicScheduler", scheduler="simple", steps=4, denoise=1, model=["m", 0]),
        "m": node("UNETLoader", unet_name="flux1-schnell.safetensors", weight_dtype="default"),
    }  # fmt: skip
    assert find_generation(graph, "save") == {
        "prompt": "a bottle on a table\na bottle", "seed": 112298569477003, "steps": 4, "sampler": "euler",
        "scheduler": "simple", "denoise": 1.0, "model": "flux1-schnell.safetensors",
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_graph_can_be_walked_from_every_node(path):
    graph = json.loads(path.read_text("utf-8"))
    for start in graph:
        find_generation(graph, start)


def test_nothing_is_found_where_there_is_no_sampler():
    assert find_generation(KSAMPLER, "words") == find_generation(KSAMPLER, "nowhere") == find_generation({}, "") == {}
    for graph in (None, [], "graph", {str(number): {} for number in range(10_001)}):
        assert find_generation(graph, "1") == {}


def test_circles_end():
    graph = changed(
        words=node("Reroute", conditioning=["words", 0]), lora=node(model=["lora", 0]), encode=node(vae=["encode", 0])
    )
    graph["sampler"]["inputs"]["seed"] = ["sampler", 0]
    expected = {key: FOUND[key] for key in ("negative", "steps", "cfg", "sampler", "scheduler", "denoise")}
    assert find_generation(graph, "save") == expected


def test_a_long_chain_and_a_wide_graph_take_no_time():
    graph = {str(number): node(conditioning=[str(number + 1), 0]) for number in range(9000)}
    graph["0"] = node("KSampler", positive=["1", 0], seed=1)
    assert find_generation(graph, "0") == {"seed": 1}
    wide = {str(number): node(**{f"cond{n}": [str(n), 0] for n in range(200)}) for number in range(200)}
    wide["0"] = node("KSampler", positive=["1", 0], seed=1)
    assert find_generation(wide, "0") == {"seed": 1}


NAMES = st.sampled_from(
    ["positive", "negative", "seed", "noise_seed", "text", "model", "vae", "ckpt_name", "conditioning", "guider",
     "noise", "sampler", "sigmas", "cfg", "value", "sampler_name"]
)  # fmt: skip
LINKS = st.tuples(st.sampled_from(["0", "1", "2", "3"]), st.integers(0, 2)).map(list)
STRANGE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(LINKS, max_size=3)
NODES = st.fixed_dictionaries({"class_type": st.sampled_from(["KSampler", "ConditioningZeroOut"]), "inputs":
                               st.dictionaries(NAMES, LINKS | STRANGE, max_size=8)})  # fmt: skip


@given(st.dictionaries(st.sampled_from(["0", "1", "2", "3"]), NODES | NODES | NODES | STRANGE))
@settings(max_examples=400, deadline=None)
def test_whatever_a_graph_holds(graph):
    found = find_generation(graph, "0")
    json.dumps(found, allow_nan=False)  # what is found can be stored
