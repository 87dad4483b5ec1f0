"""Save SDC: what it shows, where its files turn up, and how their names are filled in."""

import re
import time

import pytest
import sdc_pack.codec as codec

from .conftest import BOTH


@pytest.fixture
def add_saver(sdc_file, input_folder):
    """Load SDC wired to Save SDC: nothing to compute."""

    def add(page, name: str, **widgets) -> tuple[int, int]:
        sdc_file(name, input_folder)
        load, save = page.add("SDCLoad", (100, 200), file=name), page.add("SDCSave", (450, 200), **widgets)
        page.connect(load, "SDC", save, "sdc")
        return load, save

    return add


@pytest.mark.front_ends(*BOTH)
def test_the_file_is_shown_and_downloaded_and_is_there_when_its_tab_comes_back(page, add_saver, sdc_file):
    _, save = add_saver(page, "show.sdc")
    page.execute()
    text = page.status(save, "smaller than the raw pixels")
    name = re.search(r"image_\d{5}_\.sdc", text)[0]
    for _ in range(2):
        assert page.images(save) == [[96, 64]]
        with page.page.expect_download() as download:
            page.menu(save, f"Download {name}")
        assert download.value.suggested_filename == name
        with open(download.value.path(), "rb") as file:
            assert file.read() == sdc_file("again.sdc").read_bytes()
        page.command("Comfy.NewBlankWorkflow")
        assert not page.nodes("SDCSave")
        while not page.nodes("SDCSave"):  # other tests left tabs open
            page.command("Workspace.PreviousOpenedWorkflow")
        assert page.status(save, "smaller than the raw pixels") == text


def test_each_thumbnail_comes_once(canvas_page, add_saver):
    """Save SDC's own is shown, and none is drawn for a file a second time; without it, the server draws one."""
    page = canvas_page
    load, save = add_saver(page, "once.sdc", filename_prefix="SDC/once")
    page.status(load, "96x64")  # with its own thumbnail, which is asked for once too
    requests: list[str] = []
    page.page.on("request", lambda request: requests.append(request.url))
    for thumbnail, drawn in ((True, 0), (False, 1)):
        page.set(save, "thumbnail", thumbnail)
        requests.clear()
        (file,) = page.execute()[str(save)]["files"]
        page.status(save, file["filename"])
        assert page.images(save) == [[96, 64]]
        source = page.run("id => sdc.status(id).querySelector('img').src", save)
        assert ("/sdc/thumbnail" in source) == bool(drawn) and file["filename"].removesuffix(".sdc") in source
        assert len([url for url in requests if "/sdc/thumbnail" in url and "once" in url]) == drawn


@pytest.mark.front_ends(*BOTH)
def test_the_file_is_shown_and_downloaded_in_the_assets_view(canvas_page, add_saver):
    page = canvas_page
    if page.is_old:
        pytest.skip("the assets view of this front end downloads one file of a job, here the thumbnail")
    add_saver(page, "assets.sdc", filename_prefix="SDC/asset", thumbnail=True)
    page.execute()
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


def test_dates_and_widgets_are_filled_into_the_name(canvas_page, add_saver):
    page, prefix = canvas_page, "SDC/%date:yyyy-MM-dd%_%Chosen.file%_%width%"
    load, save = add_saver(page, "fox.sdc", filename_prefix=prefix)
    page.run("id => { sdc.node(id).title = 'Chosen' }", load)
    before = time.strftime("%Y-%m-%d")
    (file,) = page.execute()[str(save)]["files"]
    assert file["filename"] in {f"{day}_fox.sdc_96_00001_.sdc" for day in (before, time.strftime("%Y-%m-%d"))}
    assert page.value(save, "filename_prefix") == prefix


def test_history_has_the_documented_shape(canvas_page, add_saver, sdc_file):
    _, save = add_saver(canvas_page, "history.sdc")
    shown = canvas_page.execute()[str(save)]
    (file,), (text,) = shown["files"], shown["text"]
    assert file == {"filename": file["filename"], "subfolder": "SDC", "type": "output", "format": "audio/x-sdc"}
    assert text.startswith(f"{file['filename']}: ")
    assert canvas_page.server.client.view(file) == sdc_file("same.sdc").read_bytes()


@pytest.mark.front_ends(*BOTH)
def test_a_missing_and_a_damaged_file_are_reported(page, add_saver, input_folder):
    load, _ = add_saver(page, "gone.sdc")
    page.status(load, "96x64")
    data = (input_folder / "gone.sdc").read_bytes()
    (input_folder / "gone.sdc").unlink()
    page.queue()
    assert "Press R and choose another one" in page.status(load, "⚠ The file 'gone.sdc' is not in")
    page.clear()
    add_saver(page, "hurt.sdc")
    (input_folder / "hurt.sdc").write_bytes(data[:-5])
    page.queue()
    page.error_box("Download or copy it again")
    page.forgive("400", "Prompt execution failed")
