"""Load SDC: upload button, drop and paste; .sdc files on the canvas."""

import pytest
import sdc_pack.codec as codec

from .conftest import BOTH, WORKFLOW

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)  # how a StarOffice Calc document begins
CANVAS = (700, 400)  # a point of the page with no node
# Load Image asks for a preview before it has sent the image.
EARLY_PREVIEW = "/api/view?type=input"


@pytest.mark.front_ends(*BOTH)
def test_choosing_files_uploads_them_and_shows_what_is_inside(page, sdc_file, input_folder):
    node = page.add("SDCLoad")
    with page.page.expect_file_chooser() as chooser:
        page.click_widget(node, "upload", "choose .sdc to upload")
    chooser.value.set_files([sdc_file("first.sdc", prompt="a fox"), sdc_file("second.sdc")])
    page.wait_for_nodes(2)
    one, two = page.nodes("SDCLoad")
    text = page.status(one, "96x64")
    assert (page.value(one, "file"), page.value(two, "file")) == ("first.sdc", "second.sdc")
    assert all(part in text for part in ("SD1.x", "colors", "prompt included"))
    assert page.images(one) == [[96, 64]]
    assert "no prompt included" in page.status(two, "96x64")
    assert (input_folder / "first.sdc").read_bytes() == sdc_file("first.sdc", prompt="a fox").read_bytes()


@pytest.mark.front_ends(*BOTH)
def test_files_dropped_on_the_node_are_selected_or_forwarded(page, sdc_file, photograph):
    node = page.add("SDCLoad")
    page.settle()
    page.drop([sdc_file("dropped.sdc")], page.point_on(node))
    page.status(node, "96x64")
    assert page.value(node, "file") == "dropped.sdc" and page.nodes("SDCLoad") == [node]
    page.drop([photograph, sdc_file("with_an_image.sdc")], page.point_on(node))
    page.wait_for_nodes(2)
    page.wait("id => sdc.widget(id, 'file').value === 'with_an_image.sdc'", node)
    assert page.nodes("SDCLoad") == [node] and len(page.nodes("LoadImage")) == 1
    page.forgive(EARLY_PREVIEW)


@pytest.mark.front_ends(*BOTH)
def test_pasting_a_path_or_a_file_selects_it(canvas_page, sdc_file):
    page, node = canvas_page, canvas_page.add("SDCLoad")
    folder = page.server.base / "output" / "SDC"
    folder.mkdir(exist_ok=True)
    written = sdc_file("written.sdc", folder)
    page.select(node)
    for text in (f'"{written}"', written.as_uri(), "SDC/written.sdc [output]"):
        page.set(node, "file", "nothing.sdc")
        page.status(node, "nothing.sdc")  # what the file before it showed is gone
        page.paste(text)
        page.status(node, "96x64")
        assert page.value(node, "file") == "SDC/written.sdc [output]"
    page.paste([sdc_file("clipboard.sdc")])
    page.wait("id => sdc.widget(id, 'file').value === 'clipboard.sdc'", node)
    page.paste(str(sdc_file("elsewhere.sdc")))
    page.toast("outside ComfyUI's folders")
    page.paste("just words")
    assert page.value(node, "file") == "clipboard.sdc" and page.nodes("SDCLoad") == [node]


@pytest.mark.front_ends(*BOTH)
def test_a_saved_workflow_shows_its_file_when_opened(page, sdc_file, input_folder):
    sdc_file("saved.sdc", input_folder)
    page.add("SDCLoad", file="saved.sdc")
    assert page.run("() => app.graph.serialize().nodes[0].widgets_values") == ["saved.sdc", 36]
    node = page.reload()
    page.status(node, "96x64")
    assert page.images(node) == [[96, 64]]


def test_a_damaged_file_says_so_on_the_node(canvas_page, sdc_file, input_folder):
    (input_folder / "cut.sdc").write_bytes(sdc_file("cut.sdc").read_bytes()[:-9])
    node = canvas_page.add("SDCLoad", file="cut.sdc")
    assert "Download or copy it again" in canvas_page.status(node, "⚠ cut.sdc")


def test_files_without_a_workflow_dropped_on_the_canvas_become_nodes(canvas_page, sdc_file):
    """Each is sent twice: to be inspected, and to be kept."""
    page, sent = canvas_page, []
    page.page.on("request", lambda request: sent.append((request.method, request.url.rpartition("/")[2])))
    page.drop([sdc_file("plain.sdc", prompt="a hare"), sdc_file("other.sdc")], CANVAS)
    page.wait_for_nodes(2)
    one, two = page.nodes("SDCLoad")
    page.status(one, "prompt included")
    page.status(two, "96x64")
    assert [page.value(node, "file") for node in (one, two)] == ["plain.sdc", "other.sdc"]
    assert [sent.count(("POST", route)) for route in ("inspect", "image")] == [2, 2]


@pytest.mark.front_ends(*BOTH)
def test_a_file_with_a_workflow_dropped_on_the_canvas_offers_to_open_it(page, sdc_file, input_folder):
    page.add("SDCSave")
    workflow = page.run("() => app.graph.serialize()")
    page.clear()
    page.drop([sdc_file("with_workflow.sdc", workflow=workflow)], CANVAS)
    page.answer("Open the workflow")
    page.wait_for_nodes(1)
    assert len(page.nodes("SDCSave")) == 1 and not page.nodes("SDCLoad")
    assert not (input_folder / "with_workflow.sdc").exists()


def test_the_offer_can_be_declined(canvas_page, sdc_file):
    page = canvas_page
    page.drop([sdc_file("declined.sdc", workflow=WORKFLOW)], CANVAS)
    page.answer("Add the image")
    page.wait_for_nodes(1)
    (node,) = page.nodes("SDCLoad")
    assert "workflow included" in page.status(node, "96x64")


def test_a_file_of_several_images_says_how_many(canvas_page, sdc_file, tmp_path):
    page, film = canvas_page, tmp_path / "film.sdc"
    images = [codec.load_file(sdc_file(f"part{number}.sdc", workflow=WORKFLOW)) for number in range(3)]
    film.write_bytes(codec.join_images(images))
    page.drop([film], CANVAS)
    page.page.get_by_role("dialog", name="Open the workflow?").get_by_text("3 images, 96x64, ").wait_for()
    page.answer("Add 3 images")
    page.wait_for_nodes(1)
    (node,) = page.nodes("SDCLoad")
    assert "workflow included" in page.status(node, "3 images, 96x64")
    assert page.images(node) == [[96, 64]]


@pytest.mark.front_ends(*BOTH)
def test_closing_the_dialog_does_nothing_at_all(page, sdc_file, photograph, input_folder):
    node = page.add("SDCLoad")
    page.select(node)
    for way_out in ("Escape", "Close"):
        name = f"left-{way_out}-{page.is_vue()}.sdc"
        page.drop([photograph, sdc_file(name, workflow=WORKFLOW)], CANVAS)
        page.page.get_by_role("dialog", name="Open the workflow?").wait_for()
        if way_out == "Escape":
            page.page.keyboard.press("Delete")  # is for the dialog, not for the node that is selected behind it
            page.page.keyboard.press("Escape")
        else:
            page.page.get_by_role("button", name="Close", exact=True).last.click()
        page.page.get_by_role("dialog").wait_for(state="detached")
        page.settle()
        assert page.run("() => app.graph.nodes.map(n => n.id)") == [node]
        assert not (input_folder / name).exists()


def test_twenty_files_ask_once_and_lie_next_to_each_other(page, sdc_file, photograph):
    stem = f"many-{page.is_vue()}"
    files = [sdc_file(f"{stem}{number}.sdc", **({"workflow": WORKFLOW} if number % 2 else {})) for number in range(20)]
    page.drop([*files, photograph], (300, 100))
    page.page.get_by_text("10 files hold the workflows they were made with.").wait_for()
    page.answer("Add 20 images")
    page.wait_for_nodes(21)
    assert len(page.nodes("LoadImage")) == 1
    for node in page.nodes("SDCLoad"):
        page.status(node, "96x64")
    page.page.keyboard.press(".")
    page.settle()
    assert page.overlaps("SDCLoad" if page.is_old else None) == []  # where it puts its own Load Image is its choice
    assert page.page.get_by_role("dialog").count() == 0
    page.forgive(EARLY_PREVIEW)


@pytest.mark.front_ends(*BOTH)
def test_the_node_gives_back_the_room_that_its_lines_no_longer_need(page, sdc_file, input_folder):
    sdc_file("room1.sdc", input_folder)
    sdc_file("room2.sdc", input_folder)
    node, height = page.add("SDCLoad"), "id => sdc.node(id).size[1]"

    def height_with(name: str, text: str) -> float:
        page.set(node, "file", name)
        page.status(node, text)
        page.settle()
        return page.run(height, node)

    tall = height_with("room1.sdc", "96x64")
    page.run("id => { const n = sdc.node(id); n.setSize([n.size[0], n.size[1] + 40]) }", node)
    assert height_with("nothing.sdc", "nothing.sdc") < tall - 40
    assert tall <= height_with("room2.sdc", "96x64") <= tall + 40


@pytest.mark.front_ends(*BOTH)
def test_a_spreadsheet_is_left_alone(canvas_page, tmp_path, input_folder):
    page, sheet = canvas_page, tmp_path / "sheet.sdc"
    sheet.write_bytes(OLE)
    page.drop([sheet], CANVAS)
    page.toast("StarOffice Calc document")
    assert not page.nodes("SDCLoad")
    node = page.add("SDCLoad")
    page.drop([sheet], page.point_on(node))
    page.toasts("StarOffice Calc document").nth(1).wait_for()
    assert not (input_folder / "sheet.sdc").exists()


@pytest.mark.front_ends(*BOTH)
def test_other_files_reach_the_front_end(canvas_page, sdc_file, photograph):
    """An image dropped alone, or with a .sdc file, becomes a Load Image as ever."""
    page = canvas_page
    page.drop([photograph], CANVAS)
    page.wait("() => app.graph.nodes.length === 1 && document.elementFromPoint(800, 450)?.id === 'graph-canvas'")
    page.drop([photograph, sdc_file("beside.sdc")], (300, 300))
    page.wait_for_nodes(3)
    assert (len(page.nodes("LoadImage")), len(page.nodes("SDCLoad"))) == (2, 1)
    page.forgive(EARLY_PREVIEW)


def test_the_front_end_takes_over_when_it_has_changed(canvas_page, sdc_file):
    """Without what our listener needs, a drop goes to the standard handler, which says that it knows no such file."""
    page = canvas_page
    page.run("() => { window.kept = app.loadGraphData; app.loadGraphData = undefined }")
    try:
        page.drop([sdc_file("future.sdc")], CANVAS)
        page.toast("future.sdc")
    finally:
        page.run("() => { app.loadGraphData = window.kept }")
    assert not page.nodes("SDCLoad")


def test_what_is_no_name_in_a_strangers_workflow_breaks_no_menu(canvas_page):
    page, node = canvas_page, canvas_page.add("SDCLoad")
    for value, is_file in ((123, False), ({}, False), ("a\nb.sdc", True)):
        page.set(node, "file", value)
        items = page.run(
            "id => app.extensions.flatMap(e => e.getNodeMenuItems?.(sdc.node(id)) ?? []).map(item => item?.content)",
            node,
        )
        assert ("Download .sdc file" in items) == is_file


@pytest.mark.front_ends(*BOTH)
def test_downloading_from_the_menu(canvas_page, sdc_file, input_folder):
    page, path = canvas_page, sdc_file("menu.sdc", input_folder)
    node = page.add("SDCLoad", file="menu.sdc")
    with page.page.expect_download() as download:
        page.menu(node, "Download .sdc file")
    assert download.value.suggested_filename == "menu.sdc"
    with open(download.value.path(), "rb") as file:
        assert file.read() == path.read_bytes()
