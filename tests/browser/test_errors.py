"""The page says what went wrong, and what to do."""

import os
import sys

import numpy as np
import pytest
import sdc_pack.codec as codec
from sdc_pack.nodes.tiny import install

from dev.server import Server

from .comfy_page import SHOWN
from .conftest import BOTH, ROOT, open_page, shipped


@pytest.mark.front_ends(*BOTH)
def test_a_missing_model_is_reported(canvas_page):
    page = canvas_page
    page.load(shipped("SDC Full Pipeline"))
    page.queue()
    if page.is_old:  # it only draws a red frame around the nodes
        page.wait("() => app.graph.nodes.filter(node => node.has_errors).length === 2")
    else:
        page.error_box("v1-5-pruned-emaonly-fp16.safetensors")
    page.forgive("400", "Prompt execution failed")


@pytest.mark.parametrize(
    "latent_format, message", [("SDXL", "compressed for SDXL, but this model works with latents of SD1.x"),
                               ("Flux", "The latent has 16 channels, but this model works with 4")],
)  # fmt: skip
def test_a_file_of_another_latent_format_is_reported(canvas_page, input_folder, latent_format, message):
    page, name = canvas_page, f"{latent_format}.sdc"
    channels = codec.by_name(latent_format).channels
    latent = np.random.default_rng(1).normal(size=(channels, 8, 8)).astype(np.float32)
    (input_folder / name).write_bytes(codec.encode([latent], "custom", latent_format=latent_format)[0].data)
    load = page.add("SDCLoad", (60, 200), file=name)
    checkpoint = page.add("CheckpointLoaderSimple", (360, 200), ckpt_name=install.NAMES["checkpoint"])
    text, invert = page.add("CLIPTextEncode", (660, 200)), page.add("SDCDDIMInvert", (960, 200))
    preview = page.add("PreviewAny", (1260, 200))
    assert f"{latent_format} latent: the preview shows rough colors only" in page.status(load, "rough")
    page.connect(load, "LATENT", invert, "latent")
    page.connect(checkpoint, "MODEL", invert, "model")
    page.connect(checkpoint, "CLIP", text, "clip")
    page.connect(text, "CONDITIONING", invert, "positive")
    page.connect(invert, 1, preview, "source")
    page.queue()
    page.error_box(message)


@pytest.fixture(scope="module")
def bare_page(tmp_path_factory, chromium, photograph):
    """A ComfyUI of its own that has no models, and whose Python cannot import OpenCV."""
    base = tmp_path_factory.mktemp("bare")
    (base / "modules").mkdir()
    (base / "modules" / "cv2.py").write_text('raise ImportError("No module named cv2")', encoding="utf-8")
    (base / "input").mkdir()
    (base / "input" / "example.png").write_bytes(photograph.read_bytes())
    environment = {"PYTHONPATH": str(base / "modules")}
    with Server(os.environ["SDC_COMFYUI"], sys.executable, pack=ROOT, base=base, environment=environment) as server:
        page = open_page(chromium, server)
        page.clear()
        yield page
        page.page.close()


def test_the_tiny_models_are_installed_from_the_menu(bare_page, session_page):
    page, models = bare_page, bare_page.server.base / "models"
    menu = page.page.get_by_role("button", name="Menu", exact=True)
    menu.or_(page.page.locator(".comfy-menu-button-wrapper")).first.click()  # before 1.58 it has no name
    page.page.get_by_role("menuitem", name="Extensions").first.hover()
    page.page.get_by_text("SDC", exact=True).last.hover()
    page.page.get_by_text("Install the tiny models").last.click()
    page.page.get_by_role("dialog", name="Install the tiny models?").wait_for()
    page.page.keyboard.press("Escape")  # asked first, and nothing is written
    page.page.get_by_role("dialog").wait_for(state="detached")
    assert not list(models.rglob("sdc-tiny*"))
    loader = page.add("CheckpointLoaderSimple")
    listed = "id => sdc.node(id).widgets[0].options.values"
    assert install.NAMES["checkpoint"] not in page.run(listed, loader)
    page.run("() => { app.extensionManager.command.execute('sdc.installTinyModels') }")  # ends with the installation
    page.page.get_by_text("This writes 390 MB").wait_for()
    page.answer("Write 390 MB")
    page.toast("Installed: sdc-tiny.safetensors, sdc-tiny-canny.safetensors")
    page.shoot("tiny_models")
    assert sorted(path.name for path in models.rglob("sdc-tiny*")) == sorted(install.NAMES.values())
    written = sum(path.stat().st_size for path in models.rglob("sdc-tiny*"))
    assert round(written / 1e7) == 39
    assert install.NAMES["checkpoint"] in page.run(listed, loader)  # lists that were there are refreshed
    assert not page.problems


def test_regeneration_runs_as_it_is(bare_page, session_page):
    """Only smaller: without a file of the user's, without a model, and without OpenCV."""
    page = bare_page
    page.open_template("SDC Remove Artifacts")
    page.set(page.nodes("SDCScaleDown")[0], "megapixels", 0.02)
    page.execute()
    (save,) = page.nodes("SDCSave")
    told = page.status(save, "smaller than")
    assert " colors \u00b7 " in told, told  # so few latents may have no use for 64
    assert len(page.nodes("SDCRegenerate")) == 1 and not page.nodes("CheckpointLoaderSimple")
    page.wait(SHOWN)
    page.shoot("demo_without_opencv")
