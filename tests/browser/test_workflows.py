"""The shipped workflows in the page: listed, run to their images, canceled. Each is opened in test_layout.py."""

from .conftest import RANDOM_MODELS, ROOT

WORKFLOWS = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


def open_template(page, name: str):
    """Its image is put into the input folder by our script; nothing is missing."""
    page.page.get_by_role("button", name="Templates").click()
    page.page.get_by_text("comfyui-sdc", exact=True).last.click()
    page.page.get_by_text(name, exact=True).last.click()
    page.wait("name => app.extensionManager.workflow.activeWorkflow?.filename?.startsWith(name)", name)
    page.wait("() => app.graph.nodes.length > 1")
    page.page.keyboard.press("Escape")


def use_random_models(page, steps):
    """Put this machine's models into the opened workflow, as its user would."""
    page.run(
        """settings => { for (const node of app.graph.nodes) for (const widget of node.widgets ?? [])
               { const value = settings[`${node.type}.${widget.name}`] ?? settings[widget.name]
                 if (value && !widget.disabled) { widget.value = value; widget.callback?.(value) } } }""",
        {
            "KSampler.steps": 1,  # it has no pair to complete, and its image is 512x512
            "ckpt_name": RANDOM_MODELS["checkpoint"],
            "control_net_name": RANDOM_MODELS["controlnet"],
            "steps": steps,
            "megapixels": 0.01,
            "width": 128,
            "height": 96,
            "bits_per_pixel": 2.0,  # noise of the stand-ins takes more than an image
        },
    )


def test_browse_templates_begins_with_the_demo(canvas_page):
    page = canvas_page
    page.page.get_by_role("button", name="Templates").click()
    page.page.get_by_text("comfyui-sdc", exact=True).last.click()
    page.page.get_by_text("sdc_table1", exact=True).last.wait_for()
    titles = page.page.locator("h3", has_text="sdc_").all_inner_texts()
    assert sorted(titles) == WORKFLOWS and titles[:3] == ["sdc_demo_tiny", "sdc_compress", "sdc_decompress"]
    page.page.keyboard.press("Escape")


def test_the_full_pipeline_runs_to_its_images(page):
    open_template(page, "sdc_full_pipeline")
    use_random_models(page, steps=4)
    (quantize,) = page.nodes("SDCLatentQuantize")
    page.set(quantize, "seed", 1 + page.is_vue())  # nothing of an earlier run is reused
    page.queue()
    page.wait_until_idle()
    (save,) = page.nodes("SDCSave")
    text = page.status(save, "smaller than the PNG")
    assert "colors" in text and page.images(save) == [[128, 80]]
    assert page.status(quantize, "colors")
    shown = page.run("() => app.graph.nodes.filter(n => ['PreviewImage', 'SaveImage'].includes(n.type)).map(n => n.id)")
    assert len(shown) == 4
    page.wait("ids => ids.every(id => (app.nodeOutputs[id] ?? app.getNodeOutputs?.(id))?.images?.length)", shown)
    page.page.keyboard.press(".")  # fit the view, for the screenshot


def test_the_demo_runs_as_it_is(canvas_page):
    page = canvas_page
    open_template(page, "sdc_demo_tiny")
    page.queue()
    page.wait_until_idle()
    (save,) = page.nodes("SDCSave")
    assert "smaller than the PNG" in page.status(save, "learned codec")
    assert len(page.nodes("SDCRegenerate")) == 1 and not page.nodes("CheckpointLoaderSimple")
    previews = page.nodes("PreviewImage")
    page.wait("ids => ids.every(id => (app.nodeOutputs[id] ?? app.getNodeOutputs?.(id))?.images?.length)", previews)
    page.page.keyboard.press(".")  # fit the view, for the screenshot


def test_cancel_stops_a_run(page):
    open_template(page, "sdc_full_pipeline")
    use_random_models(page, steps=1000)
    page.set(page.nodes("SDCLatentQuantize")[0], "seed", 77 + page.is_vue())
    page.run(
        """() => { window.stopped = undefined
                  app.api.addEventListener('execution_interrupted', event => { window.stopped = event.detail }) }"""
    )
    (invert,) = page.nodes("SDCDDIMInvert")
    page.queue()
    page.wait("id => app.runningNodeId == id", invert)
    page.page.get_by_role("button", name="Cancel current run").click()
    page.wait("() => window.stopped?.node_type === 'SDCDDIMInvert'")
    page.wait_until_idle()
