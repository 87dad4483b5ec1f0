import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dev.demo import swap
from dev.random_models import NAMES

ROOT = Path(__file__).parents[2]
RANDOM_MODELS = {"ckpt_name": NAMES["checkpoint"], "control_net_name": NAMES["controlnet"]}
WORKFLOWS = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """A drawing of 130x99, no multiple of 8: fast on a CPU, and it has edges."""
    path = tmp_path_factory.mktemp("images") / "drawing.png"
    image = Image.linear_gradient("L").resize((130, 99)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 15, 75, 80), fill=(200, 60, 40), outline="white", width=3)
    draw.rectangle((80, 30, 120, 90), fill=(30, 90, 160))
    image.save(path)
    return path


@pytest.fixture
def make_prompt(server, image):
    """The prompt of a shipped workflow with this machine's file names in it, as the demo submits it, of small images.

    The drawing becomes 120x88 by 0.01 megapixels, and sides that are multiples of 8.
    """

    def make(name: str, steps: int | None = None, image: Path = image, megapixels: float = 0.01) -> dict:
        prompt = load(f"api/{name}")
        wanted = {**RANDOM_MODELS, "image": server.client.upload(image), "megapixels": megapixels}
        swap(prompt, wanted | ({"steps": steps} if steps else {}))
        return prompt

    return make


def load(name: str) -> dict:
    """A shipped workflow; `api/NAME` is what the page submits for it."""
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def find(prompt: dict, class_type: str, title: str | None = None) -> tuple[str, dict]:
    """(id, node) of the only node of this class, and title if given."""
    (found,) = (
        (node_id, node)
        for node_id, node in prompt.items()
        if node["class_type"] == class_type and title in (None, node["_meta"]["title"])
    )
    return found


def shown(server, prompt: dict, outputs: dict) -> dict[str, np.ndarray]:
    """The images that a prompt shows, by the titles of its previews, uint8."""
    return {
        node["_meta"]["title"]: np.asarray(
            Image.open(io.BytesIO(server.client.view(outputs[node_id]["images"][0]))).convert("RGB")
        )
        for node_id, node in prompt.items()
        if node["class_type"] in ("PreviewImage", "SaveImage")
    }
