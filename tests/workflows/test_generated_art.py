"""From a sampler to a file and back: the image is made again by what its file says, through a real server."""

import numpy as np
import sdc_pack.codec as codec

from .conftest import RANDOM_MODELS, find, shown


def loaders():
    """Nodes that every graph here has."""
    return {"load": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": RANDOM_MODELS["ckpt_name"]}}}


def sampler(**inputs):
    wired = {"model": ["load", 0], "positive": ["words", 0], "negative": ["not", 0], "latent_image": ["empty", 0]}
    return {
        "sampler": {"class_type": "KSampler", "inputs": wired | inputs},
        "empty": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    }


def texts(positive, negative):
    return {
        name: {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["load", 1]}}
        for name, text in (("words", positive), ("not", negative))
    }


def written(server, outputs):
    (file,) = outputs["save"]["files"]
    return file, codec.load(server.client.view(file))


def test_a_image_is_made_again_by_what_its_file_says(server):
    settings = {"seed": 123456789012345, "steps": 2, "cfg": 1.5, "sampler_name": "dpmpp_2m", "scheduler": "karras"}
    quantize = {
        "latent": ["sampler", 0], "preset": "custom", "colors": 256, "dither": "none", "dither_strength": 0.0,
        "seed": 0, "latent_format": "SD1.x",
    }  # fmt: skip
    save = {"sdc": ["quantize", 0], "filename_prefix": "SDC/art", "embed": "prompt and settings"}
    graph = loaders() | texts("a marble fox", "blurry") | sampler(**settings, denoise=1.0)
    graph["quantize"] = {"class_type": "SDCLatentQuantize", "inputs": quantize}
    graph["save"] = {"class_type": "SDCSave", "inputs": save}
    file, first = written(server, server.client.run(graph))
    assert first.metadata == {
        "prompt": "a marble fox", "negative": "blurry", "seed": settings["seed"], "steps": 2, "cfg": 1.5,
        "sampler": "dpmpp_2m", "scheduler": "karras", "denoise": 1, "model": RANDOM_MODELS["ckpt_name"],
    }  # fmt: skip

    again = loaders() | texts(["file", 2], ["file", 5])
    again["file"] = {"class_type": "SDCLoad", "inputs": {"file": f"{file['subfolder']}/{file['filename']} [output]"}}
    wires = dict(zip(("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"), range(6, 12), strict=True))
    again |= sampler(**{name: ["file", slot] for name, slot in wires.items()})
    again |= {"quantize": graph["quantize"], "save": {"class_type": "SDCSave", "inputs": save | {"embed": "none"}}}
    _, second = written(server, server.client.run(again))
    assert second.metadata == {}
    np.testing.assert_array_equal(codec.decode(second), codec.decode(first))


def test_the_template_paints_by_what_the_file_says(server, make_prompt):
    prompt = make_prompt("SDC Save and Resample", steps=2)
    find(prompt, "EmptyLatentImage")[1]["inputs"] |= {"width": 128, "height": 96}
    find(prompt, "SDCLatentQuantize")[1]["inputs"]["bits_per_pixel"] = 2.0
    save, painted = find(prompt, "SDCSave")[0], find(prompt, "SaveImage")[0]
    later = {painted, find(prompt, "PreviewImage", "2 · What the file holds")[0]}
    first = {node_id: node for node_id, node in prompt.items() if node_id not in later}
    (file,) = server.client.run(first)[save]["files"]
    stored = codec.load(server.client.view(file))
    sampler = find(prompt, "KSampler", "KSampler")[1]["inputs"]
    texts = {side: prompt[sampler[side][0]]["inputs"]["text"] for side in ("positive", "negative")}
    assert stored.metadata == {
        "prompt": texts["positive"], "negative": texts["negative"], "seed": sampler["seed"], "steps": 2,
        "cfg": sampler["cfg"], "sampler": sampler["sampler_name"], "scheduler": sampler["scheduler"], "denoise": 1,
        "model": RANDOM_MODELS["ckpt_name"], "vae": RANDOM_MODELS["ckpt_name"],
    }  # fmt: skip

    # What is wired is what the same values typed in would give.
    images = []
    again = find(prompt, "KSampler", "KSampler (by what the file says)")[1]["inputs"]
    assert find(prompt, "SDCLoad")[1]["inputs"]["file"] == [save, 2]  # the file of this run
    find(prompt, "SDCLoad")[1]["inputs"]["file"] = f"{file['subfolder']}/{file['filename']} [output]"
    for _ in range(2):
        images.append(shown(server, {painted: prompt[painted]}, server.client.run(prompt))["2 · Sampled again"])
        again |= {name: sampler[name] for name in (*texts, "seed", "cfg", "sampler_name", "scheduler")}
        prompt[painted]["inputs"]["filename_prefix"] += "_typed"  # or it is not run
    one, other = images
    assert one.shape == (96, 128, 3) and np.array_equal(one, other)
