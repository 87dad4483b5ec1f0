"""Save SDC: what it shows, where its files turn up, and how their names are filled in."""

import json
import re
import time

import pytest
import sdc_pack.codec as codec


def add_saver(page, sdc_file, name: str):
    """Load SDC wired to Save SDC: nothing to compute."""
    (page.server.base / "input" / name).write_bytes(sdc_file(name).read_bytes())
    load, save = page.add("SDCLoad", (100, 200)), page.add("SDCSave", (450, 200))
    page.set(load, "file", name)
    page.connect(load, "SDC", save, "sdc")
    return load, save


def run(page):
    page.queue()
    page.wait_until_idle()
    (entry,) = json.loads(page.server.client.request("/history?max_items=1")).values()
    return entry


def test_the_file_is_shown_on_the_node_and_downloaded_from_its_menu(page, sdc_file):
    _, save = add_saver(page, sdc_file, "show.sdc")
    run(page)
    text = page.status(save, "smaller than the bare pixels")
    name = re.search(r"image_\d{5}_\.sdc", text)[0]
    assert page.images(save) == [[96, 64]]
    with page.page.expect_download() as download:
        page.menu(save, f"Download {name}")
    assert download.value.suggested_filename == name
    with open(download.value.path(), "rb") as file:
        assert file.read() == sdc_file("again.sdc").read_bytes()


def test_what_was_saved_is_shown_again_when_its_tab_comes_back(page, sdc_file):
    _, save = add_saver(page, sdc_file, "tab.sdc")
    run(page)
    told = page.status(save, "smaller than the bare pixels")
    page.command("Comfy.NewBlankWorkflow")
    assert not page.nodes("SDCSave")
    while not page.nodes("SDCSave"):  # other tests left tabs open
        page.command("Workspace.PreviousOpenedWorkflow")
    assert page.status(save, "smaller than the bare pixels") == told
    assert page.images(save) == [[96, 64]]
    with page.page.expect_download():
        page.menu(save, f"Download {told.split(':')[0]}")


def test_the_file_is_shown_and_downloaded_in_the_assets_view(canvas_page, sdc_file):
    page = canvas_page
    if page.is_old:
        pytest.skip("the assets view of this front end downloads one file of a job, here the thumbnail")
    _, save = add_saver(page, sdc_file, "assets.sdc")
    page.set(save, "filename_prefix", "SDC/asset")
    run(page)
    page.page.get_by_role("button", name="Assets").click()
    card = page.page.get_by_text(re.compile(r"asset_\d{5}_")).first
    image = r"/asset_\d{5}_\.jpg/.test(i.src) && i.naturalWidth === 96"
    page.wait(f"() => [...document.images].some(i => {image})")
    # Both files of the job come; the thumbnail is the other one.
    with page.page.expect_download(lambda file: file.suggested_filename.endswith(".sdc")) as download:
        page.choose(lambda: card.click(button="right"), "Download")
    assert re.fullmatch(r"asset_\d{5}_\.sdc", download.value.suggested_filename)
    with open(download.value.path(), "rb") as file:
        assert codec.load(file.read()).width == 96


def test_dates_and_widgets_are_filled_into_the_name(canvas_page, sdc_file):
    page = canvas_page
    load, save = add_saver(page, sdc_file, "fox.sdc")
    page.run("id => { app.graph.getNodeById(id).title = 'Chosen' }", load)
    page.set(save, "filename_prefix", "SDC/%date:yyyy-MM-dd%_%Chosen.file%_%width%")
    before = time.strftime("%Y-%m-%d")
    entry = run(page)
    (file,) = entry["outputs"][str(save)]["files"]
    assert file["filename"] in {f"{day}_fox.sdc_96_00001_.sdc" for day in (before, time.strftime("%Y-%m-%d"))}
    assert page.value(save, "filename_prefix") == "SDC/%date:yyyy-MM-dd%_%Chosen.file%_%width%"


def test_history_has_the_documented_shape(canvas_page, sdc_file):
    _, save = add_saver(canvas_page, sdc_file, "history.sdc")
    shown = run(canvas_page)["outputs"][str(save)]
    (file,), (text,) = shown["files"], shown["text"]
    assert file == {"filename": file["filename"], "subfolder": "SDC", "type": "output", "format": "audio/x-sdc"}
    assert text.startswith(f"{file['filename']}: ")
    assert canvas_page.server.client.view(file) == sdc_file("same.sdc").read_bytes()


def test_a_missing_file_is_told_on_the_node(page, sdc_file):
    load, _ = add_saver(page, sdc_file, "gone.sdc")
    page.status(load, "96x64")
    (page.server.base / "input" / "gone.sdc").unlink()
    page.queue()
    assert "Press R and choose another one" in page.status(load, "⚠ The file 'gone.sdc' is not in")
    page.forgive("400")
    page.forgive("Prompt execution failed")


def test_a_damaged_file_is_told_in_the_error_box(page, sdc_file):
    load, _ = add_saver(page, sdc_file, "hurt.sdc")
    path = page.server.base / "input" / "hurt.sdc"
    path.write_bytes(path.read_bytes()[:-5])
    page.queue()
    page.error_box("it was cut short, fetch it again")
    page.forgive("400")
