"""What is found in the graph of a run, or named where it cannot be; and that no graph does harm."""

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


PARTS = {"noise": ["n", 0], "guider": ["g", 0], "sampler": ["s", 0], "sigmas": ["z", 0], "latent_image": ["e", 0]}


def flux(**nodes):
    """SamplerCustomAdvanced, whose settings are on nodes of their own."""
    return {
        "save": node("SDCSave", sdc=["quantize", 0]), "quantize": node("SDCLatentQuantize", latent=["sampler", 0]),
        "sampler": node("SamplerCustomAdvanced", **PARTS), "n": node("RandomNoise", noise_seed=112298569477003),
        "e": node("EmptyLatentImage", width=64),
        "g": node("BasicGuider", model=["m", 0], conditioning=["f", 0]),
        "f": node("FluxGuidance", guidance=2.5, conditioning=["t", 0]),
        "t": node("CLIPTextEncodeFlux", clip_l="a bottle", t5xxl="a bottle on a table", guidance=3.5, clip=["c", 0]),
        "s": node("KSamplerSelect", sampler_name="euler"), "c": node("DualCLIPLoader", clip_name1="t5xxl"),
        "z": node("BasicScheduler", scheduler="simple", steps=4, denoise=1, model=["m", 0]),
        "m": node("UNETLoader", unet_name="flux1-schnell.safetensors", weight_dtype="default"),
    } | nodes  # fmt: skip


FLUX = {
    "prompt": "a bottle on a table\na bottle", "seed": 112298569477003, "steps": 4, "cfg": 1.0, "sampler": "euler",
    "scheduler": "simple", "denoise": 1.0, "guidance": 2.5, "model": "flux1-schnell.safetensors",
}  # fmt: skip
TWO = {
    "again": node("KSampler", **KSAMPLER["sampler"]["inputs"] | {"latent_image": ["sampler", 0], "seed": 7}),
    "quantize": node("SDCLatentQuantize", latent=["x", 0]),
}
HELD = ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise")


def with_text(kind, output=0, **inputs):
    """The text of the prompt comes from this node."""
    return changed(words=node("CLIPTextEncode", text=["t", output], clip=["load", 1]), t=node(kind, **inputs))


def with_settings(slots, kind="Parameters", **inputs):
    return changed(sampler={name: ["p", slot] for name, slot in slots.items()}, p=node(kind, **inputs))


def refined(**nodes):
    """A sampler without noise, which finishes what another one has begun."""
    base = KSAMPLER["sampler"]["inputs"] | {"noise_seed": 5, "add_noise": "enable", "model": ["lora", 0]}
    del base["seed"], base["denoise"]
    rest = base | {"add_noise": "disable", "noise_seed": 0, "start_at_step": 15, "latent_image": ["base", 0]}
    rest |= {"model": ["refiner", 0]}
    refiner = node("CheckpointLoaderSimple", ckpt_name="refiner.safetensors")
    return changed() | {"base": node("KSamplerAdvanced", **base), "sampler": node("KSamplerAdvanced", **rest),
                        "refiner": refiner} | nodes  # fmt: skip


FOLLOWED = {  # graph: what of it is not as in FOUND, or FLUX
    "as it is": (changed(), {}),
    "vae of its own": (
        changed(decode=node("VAEDecode", samples=["sampler", 0], vae=["vae", 0]), vae=node(vae_name="mse.pt"),
                again=node("VAEEncode", pixels=["decode", 0], vae=["vae", 0]), quantize=node(latent=["again", 0])),
        {"vae": "mse.pt"},
    ),
    "last of two samplers": (changed(**TWO | {"x": node("LatentUpscale", samples=["again", 0])}), {"seed": 7}),
    "primitives and reroutes": (
        changed(sampler={"seed": ["seed", 0], "positive": ["reroute", 0]}, seed=node("PrimitiveInt", value=7),
                reroute=node("Reroute", **{"": ["words", 0]}),
                words=node("CLIPTextEncode", text=["text", 0], clip=["lora", 1]),
                text=node("PrimitiveStringMultiline", value="a fox")),
        {"seed": 7, "prompt": "a fox"},
    ),
    "conditioning, texts joined": (
        changed(sampler={"positive": ["control", 0], "negative": ["control", 1]},
                control=node("ControlNetApplyAdvanced", positive=["both", 0], negative=["zero", 0], strength=1.0),
                both=node("ConditioningCombine", conditioning_1=["area", 0], conditioning_2=["pair", 0]),
                area=node("ConditioningSetArea", conditioning=["words", 0], width=64),
                pair=node("CLIPTextEncodeSDXL", text_g="a hill", text_l="a hill", width=1024, clip=["load", 1]),
                zero=node("ConditioningZeroOut", conditioning=["words", 0])),
        {"prompt": "a marble fox\na hill", "negative": None},
    ),
    "pairs of prompts": (
        changed(sampler={"positive": ["pair", 0], "negative": ["pair", 1], "model": ["reroute", 0]},
                pair=node("PairConditioningCombine", positive_A=["words", 0], negative_A=["not", 0],
                          positive_B=["more", 0], negative_B=["not", 0]),
                more=node("CLIPTextEncode", text="a hill"), reroute=node("Reroute", **{"": ["lora", 0]})),
        {"prompt": "a marble fox\na hill"},
    ),
    "model before both prompts": (
        changed(sampler={"positive": ["face", 1], "negative": ["face", 2]},
                face=node("ApplyInstantID", model=["lora", 0], positive=["words", 0], negative=["not", 0])),
        {},
    ),
    "strings joined": (
        with_text("StringConcatenate", string_a="a red boat", string_b=["more", 0], delimiter=", ")
        | {"more": node("StringConcatenate", string_a="at", string_b="dusk", delimiter=" ")},
        {"prompt": "a red boat, at dusk"},
    ),
    "wildcards": (
        changed(sampler={"positive": ["w", 2], "model": ["w", 0]},
                w=node("ImpactWildcardEncode", wildcard_text="a {red|blue} boat", populated_text="a blue boat",
                       model=["lora", 0], seed=11)),
        {"prompt": "a blue boat"},
    ),
    "wildcards as text": (
        with_text("ImpactWildcardProcessor", wildcard_text="a {red|blue} boat", populated_text="a blue boat", seed=3),
        {"prompt": "a blue boat"},
    ),
    "switch of texts": (
        with_text("ComfySwitchNode", switch=["b", 0], on_true="a red boat", on_false="a blue boat")
        | {"b": node("PrimitiveBoolean", value=False)},
        {"prompt": "a blue boat"},
    ),
    "switch of samplers": (
        changed(**TWO | {"x": node("ComfySwitchNode", switch=True, on_true=["again", 0], on_false=["sampler", 0])}),
        {"seed": 7},
    ),
    "foreign switch, one sampler": (
        changed(**TWO | {"x": node("ImpactSwitch", select=1, input1=["again", 0], input2=["up", 0]),
                         "up": node("LatentUpscale", samples=["again", 0])}),
        {"seed": 7},
    ),
    "six settings of one node": (
        with_settings(dict(zip(HELD, range(6), strict=True)), seed=30, steps=4, cfg=6.0, sampler="dpmpp_2m",
                      scheduler="karras", denoise=0.5),
        {"seed": 30, "steps": 4, "cfg": 6.0, "sampler": "dpmpp_2m", "scheduler": "karras", "denoise": 0.5},
    ),
    "two settings of one node": (
        with_settings({"seed": 0, "cfg": 2}, seed=1, steps=2, cfg=3.0), {"seed": 1, "cfg": 3.0},
    ),
    "seed of a pack": (with_settings({"seed": 0}, "Seed (rgthree)", seed=9), {"seed": 9}),
    "refiner": (refined(), {"seed": 5, "denoise": None}),
    "images that only help": (
        changed(quantize=node("SDCLatentQuantize", latent=["match", 0]), other=KSAMPLER["sampler"],
                match=node("ColorMatch", image_ref=["other", 0], image_target=["sampler", 0])),
        {},
    ),
    "parts": (flux(), {}),
    "guidance of the encoder": (flux(g=node("BasicGuider", model=["m", 0], conditioning=["t", 0])), {"guidance": 3.5}),
    "schedule cut in two": (
        flux(sampler=node("SamplerCustomAdvanced", **PARTS | {"sigmas": ["cut", 0]}),
             cut=node("SplitSigmas", sigmas=["z", 0], step=2)),
        {},
    ),
    "DisableNoise": (
        flux(quantize=node("SDCLatentQuantize", latent=["end", 0]), none=node("DisableNoise"),
             end=node("SamplerCustomAdvanced", **PARTS | {"noise": ["none", 0], "latent_image": ["sampler", 0]})),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLLOWED)
def test_what_is_surely_known_is_found(case):
    graph, different = FOLLOWED[case]
    expected = (FLUX if "g" in graph else FOUND) | different
    found = find_generation(graph, "save")
    assert found == ({key: value for key, value in expected.items() if value is not None}, {}, "")


UNKNOWN = {  # graph: which settings are left out, and the node that is named for it
    "text changed by a node": (with_text("StringReplace", string="a", find="a"), "prompt", "StringReplace #t"),
    "text of a file": (with_text("LoadText", file_path="/a.txt"), "prompt", "LoadText #t"),
    "text of an enhancer": (with_text("Enhance", text="a fox"), "prompt", "Enhance #t"),
    "text of a caption": (with_text("Caption", image=["image", 0]), "prompt", "Caption #t"),
    "one text of two": (
        with_text("StringConcatenate", string_a="a", string_b=["u", 0]) | {"u": node("Caption", image=["image", 0])},
        "prompt", "Caption #u",
    ),
    "one conditioning of two": (
        changed(sampler={"positive": ["two", 0]}, u=node("EncodeOfAPack", text="a", clip=["load", 1]),
                two=node("ConditioningCombine", conditioning_1=["words", 0], conditioning_2=["u", 0])),
        "prompt", "EncodeOfAPack #u",
    ),
    "prompts of a loader": (
        changed(sampler={"positive": ["l", 1]}, l=node("Efficient Loader", positive="a", negative="b")),
        "prompt", "Efficient Loader #l",
    ),
    "several prompts to choose from": (
        changed(sampler={"positive": ["p", 0]}, p=node("Presets", positive_1=["words", 0], positive_2=["not", 0])),
        "prompt", "Presets #p",
    ),
    "foreign switch of prompts": (
        changed(sampler={"positive": ["sw", 0]},
                sw=node("CR Conditioning Input Switch", Input=2, conditioning1=["words", 0], conditioning2=["not", 0])),
        "prompt", "CR Conditioning Input Switch #sw",
    ),
    "ComfySwitchNode by an unknown boolean": (
        with_text("ComfySwitchNode", switch=["b", 0], on_true="a", on_false="b") | {"b": node("RandomBoolean", seed=1)},
        "prompt", "RandomBoolean #b",
    ),
    "both numbers of another node": (with_settings({"seed": 0, "steps": 1}, a=1, b=2), "seed steps", "Parameters #p"),
    "numbers in another order": (
        with_settings({"seed": 1, "steps": 0}, seed=1, steps=2), "seed steps", "Parameters #p",
    ),
    "seed with an offset": (with_settings({"seed": 0}, seed=1, offset=2), "seed", "Parameters #p"),
    "seed that is none": (changed(sampler={"seed": -1}), "seed", "-1 is no seed"),
    "merged models": (
        changed(sampler={"model": ["m", 0]}, m=node("ModelMergeSimple", model1=["lora", 0], model2=["load", 0])),
        "model", "ModelMergeSimple #m",
    ),
    "begun late": (changed(sampler={"start_at_step": 5}), "denoise", "KSampler #sampler"),
    "noise of nobody": (refined(base=node("LoadLatent", latent="a")), "seed denoise", "KSamplerAdvanced #sampler"),
    "guider with two prompts": (
        flux(g=node("DualCFGGuider", cond1=["f", 0], cond2=["t", 0], negative=["t", 0], model=["m", 0], cfg_conds=3.0)),
        "prompt cfg", "DualCFGGuider #g",
    ),
    "schedule of sigmas": (flux(z=node("ManualSigmas", sigmas="1, 0")), "steps scheduler denoise", "ManualSigmas #z"),
    "second part of a schedule": (
        flux(sampler=node("SamplerCustomAdvanced", **PARTS | {"sigmas": ["cut", 1]}),
             cut=node("SplitSigmasDenoise", sigmas=["z", 0], denoise=0.5)),
        "denoise", "BasicScheduler #z",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_not_known_is_left_out_and_named(case):
    graph, names, source = UNKNOWN[case]
    found = find_generation(graph, "save")
    assert found.missing.keys() == set(names.split())
    assert all(source in reason for reason in found.missing.values())
    expected = FLUX if "g" in graph else FOUND
    left = {key: value for key, value in found.values.items() if key not in ("negative", "guidance", "vae")}
    assert left.keys() == expected.keys() - found.missing.keys() - {"negative", "guidance", "vae"}
    if case not in ("begun late", "noise of nobody", "second part of a schedule"):
        assert left == {key: expected[key] for key in left}


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (node("ImpactSwitch", select=["s", 0], input1=["again", 0], input2=["sampler", 0]), "which of its inputs Imp"),
        (node("CR Image Input Switch", Input=1, image1=["again", 0], image2=["image", 0]), "Switch #x has passed on"),
        (node("LatentBlend", samples1=["again", 0], samples2=["sampler", 0]), "LatentBlend #x has passed on"),
        (node("LatentComposite", samples_to=["again", 0], samples_from=["sampler", 0]), "#again and KSampler #sampler"),
        (node("LoadLatent", latent="a"), "no sampler"),
    ],
)  # fmt: skip
def test_where_the_sampler_is_not_known_nothing_is(x, reason):
    found = find_generation(changed(**TWO, x=x), "save")
    assert found.values == found.missing == {} and reason in found.reason


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_graph_can_be_walked_from_every_node(path):
    graph = json.loads(path.read_text("utf-8"))
    for start in graph:
        find_generation(graph, start)


def test_nothing_is_found_where_there_is_no_sampler():
    assert find_generation(KSAMPLER, "words").values == find_generation(KSAMPLER, "nowhere").values == {}
    for graph in (None, [], "graph", {}, {str(number): {} for number in range(10_001)}):
        assert find_generation(graph, "1").values == {}


def test_circles_end():
    graph = changed(
        words=node("Reroute", conditioning=["words", 0]), lora=node(model=["lora", 0]), encode=node(vae=["encode", 0])
    )
    graph["sampler"]["inputs"]["seed"] = ["sampler", 0]
    expected = {key: FOUND[key] for key in ("negative", "steps", "cfg", "sampler", "scheduler", "denoise")}
    assert find_generation(graph, "save").values == expected


def test_a_long_chain_and_a_wide_graph_take_no_time():
    graph = {str(number): node(conditioning=[str(number + 1), 0]) for number in range(9000)}
    graph["0"] = node("KSampler", positive=["1", 0], seed=1)
    assert find_generation(graph, "0").values == {"seed": 1}
    wide = {str(number): node(**{f"cond{n}": [str(n), 0] for n in range(200)}) for number in range(200)}
    wide["0"] = node("KSampler", positive=["1", 0], seed=1)
    assert find_generation(wide, "0").values == {"seed": 1}
    doubled = {
        str(n): node("StringConcatenate", string_a=[str(n + 1), 0], string_b=[str(n + 1), 0]) for n in range(2, 90)
    }
    doubled |= {"0": node(positive=["1", 0], seed=1), "1": node("CLIPTextEncode", text=["2", 0])}
    for text in ("", "a"):  # nothing, and more than there are atoms
        doubled["90"] = node("PrimitiveString", value=text)
        assert find_generation(doubled, "0").values == {"seed": 1}
    samplers = {str(n): node(image=[str(n + 1), 0], samples=[str(n + 2), 0]) for n in range(90)}
    assert find_generation(samplers, "0").values == {}


NAMES = st.sampled_from(
    ["positive", "negative", "seed", "noise_seed", "text", "model", "vae", "ckpt_name", "conditioning", "guider",
     "noise", "sampler", "sigmas", "cfg", "value", "sampler_name", "samples", "on_true", "on_false", "switch",
     "string_a", "string_b", "delimiter", "guidance", "add_noise", "start_at_step", "latent_image"]
)  # fmt: skip
LINKS = st.tuples(st.sampled_from(["0", "1", "2", "3"]), st.integers(0, 2)).map(list)
STRANGE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(LINKS, max_size=3)
KINDS = ["KSampler", "ConditioningZeroOut", "ComfySwitchNode", "StringConcatenate", "FluxGuidance", "CLIPTextEncode",
         "PrimitiveInt", "SplitSigmas", "BasicGuider", "SDCLoad"]  # fmt: skip
NODES = st.fixed_dictionaries({"class_type": st.sampled_from(KINDS), "inputs":
                               st.dictionaries(NAMES, LINKS | STRANGE, max_size=8)})  # fmt: skip


@given(st.dictionaries(st.sampled_from(["0", "1", "2", "3"]), NODES | NODES | NODES | STRANGE))
@settings(max_examples=250, deadline=None)
def test_whatever_a_graph_holds(graph):
    found = find_generation(graph, "0", {"SDCLoad": lambda inputs: list(inputs.values())})
    json.dumps(found, allow_nan=False)  # what is found can be stored
