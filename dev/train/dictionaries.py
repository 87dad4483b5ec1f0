"""The zstd dictionaries of `weights/metadata`: what prompts with their settings, and workflows, have in common.

Learnt from the templates that come with ComfyUI. Which length of a segment and which size are best was measured on a
fifth of them, held out; `python run.py bench metadata` measures on the images that nothing here has seen.
"""

import copy
import importlib.util
import json
import random
import re
from pathlib import Path

import zstandard
from sdc_pack.codec.dictionaries import name_of
from sdc_pack.codec.metadata import check_metadata

PACKAGE = "comfyui_workflow_templates_json"
# Earlier states of these made images that `bench metadata` measures on.
LEFT_OUT = {"flux_schnell.json", "sdxl_refiner_prompt_example.json", "sdxl_simple_example.json"}
LARGEST = 60_000  # bytes of a workflow: a few giants would fill the dictionary
PROMPTS, WORKFLOWS = 112 << 10, 512 << 10  # sizes of the dictionaries
SEGMENT, MATCH = {PROMPTS: 500, WORKFLOWS: 1024}, 8  # of zstd's COVER: bytes taken at a time, and bytes that recur
LEVEL = 19
MODEL_FILE = re.compile(r"\.(safetensors|ckpt|gguf)$")
USUAL = [0, "fixed", 20, 8, "euler", "normal", 1]  # what KSampler starts with
FIRST_MODEL = "v1-5-pruned-emaonly.safetensors"


def train(_shared: Path, _state: Path, steps: int | None = None) -> dict[str, bytes]:
    """Name of each file -> what it holds. Takes seconds; `steps` is the number of templates, by default all."""
    workflows = templates()[:steps]
    rng = random.Random(0)
    prompts = [check_metadata(record) for workflow in workflows for record in records(workflow, rng)]
    whole = [*workflows, *(earlier(workflow) for workflow in workflows if not workflow.get("definitions"))]
    samples = {PROMPTS: prompts, WORKFLOWS: [check_metadata({"workflow": workflow}) for workflow in whole]}
    trained = [
        zstandard.train_dictionary(size, texts, k=SEGMENT[size], d=MATCH, level=LEVEL, dict_id=1 << 15).as_bytes()
        for size, texts in samples.items()
    ]
    return {f"{name_of(content).hex()}.zdict": content for content in trained}


def parts(trained: dict[str, bytes]) -> dict[str, bytes]:
    """File in `weights/` -> what it holds. New files are written with it once `codec/dictionaries.py` names it."""
    return {f"metadata/{name}": content for name, content in trained.items()}


def templates() -> list[dict]:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed; a pinned ComfyUI brings it")
    folder = Path(spec.submodule_search_locations[0]) / "templates"
    paths = [path for path in sorted(folder.glob("*.json")) if path.name not in LEFT_OUT]
    found = [json.loads(path.read_bytes()) for path in paths]
    return [each for each in found if isinstance(each, dict) and "nodes" in each and len(json.dumps(each)) < LARGEST]


def records(workflow: dict, rng: random.Random) -> list[dict]:
    """What Save SDC would store of images made by a workflow: its texts, in turn, with its models and settings."""
    graphs = [workflow, *workflow.get("definitions", {}).get("subgraphs", [])]
    nodes = [node for graph in graphs for node in graph["nodes"] if isinstance(node.get("widgets_values"), list)]

    def values(pattern):
        return [value for node in nodes if re.search(pattern, node["type"]) for value in node["widgets_values"]]

    texts = [text for text in values("Encode|Primitive|Text") if isinstance(text, str) and " " in text][:6]
    files = [name for name in values("UNET|Checkpoint") if isinstance(name, str) and MODEL_FILE.search(name)]
    vaes = [name for name in values("^VAELoader$") if isinstance(name, str)]
    settings = [node["widgets_values"] for node in nodes if node["type"] == "KSampler"]
    settings = [each for each in settings if len(each) == len(USUAL)] or [USUAL]
    found = []
    for number, text in enumerate(texts or [""]):
        _, _, steps, cfg, sampler, scheduler, denoise = settings[number % len(settings)]
        model = (files or [FIRST_MODEL])[number % len(files or [FIRST_MODEL])]
        found.append(
            {
                "prompt": text,
                "negative": texts[(number + 1) % len(texts)] if len(texts) > 1 and number % 2 == 0 else "",
                "seed": rng.getrandbits(49),
                "steps": steps,
                "cfg": cfg,
                "sampler": sampler,
                "scheduler": scheduler,
                "denoise": denoise,
                "model": model,
                "vae": (vaes or [model])[number % len(vaes or [model])],
            }
        )
    return [{key: value for key, value in record.items() if value != ""} for record in found]


def earlier(workflow: dict) -> dict:
    """A workflow as ComfyUI's pages of 2023 and 2024 wrote it, as most images have it."""
    workflow = copy.deepcopy(workflow)
    for node in workflow["nodes"]:
        if isinstance(node.get("size"), list):
            node["size"] = dict(zip("01", node["size"], strict=False))
        kept = {key: value for key, value in node.get("properties", {}).items() if key == "Node name for S&R"}
        node["properties"] = kept
        node["inputs"] = [
            {key: value for key, value in socket.items() if key != "localized_name"}
            for socket in node.get("inputs") or []
            if "widget" not in socket or socket.get("link") is not None
        ]
        for slot, socket in enumerate(node.get("outputs") or []):
            socket.pop("localized_name", None)
            socket["slot_index"] = slot
    workflow.pop("id", None)
    workflow.pop("revision", None)
    return workflow | {"config": {}, "extra": {}}
