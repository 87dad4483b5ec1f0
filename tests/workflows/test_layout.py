"""How the templates lie on the canvas, by the sizes that their nodes have after a run.

tests/browser/test_workflows.py runs them and sees whether nodes still have these sizes.
"""

import re

import pytest

from .conftest import ROOT, WORKFLOWS, load

TITLE = 30
# The page opens templates with the nodes on three quarters of the canvas, which is 1600x960 in a window of 1600x1000.
# It leaves 10 free on each side. From a zoom of 0.6 on the canvas shows titles, widgets and notes.
ZOOM = 0.6
MAX_WIDTH, MAX_HEIGHT = 0.75 * 1600 / ZOOM - 20, 0.75 * 960 / ZOOM - 20
MINIMAP = 1343, 743  # from here to the lower right corner of that window
LARGE = [name for name in WORKFLOWS if name.startswith("SDC with ")]  # models of images of a megapixel
LOADERS = {"LoadImage", "SDCLoadImageFolder"}  # of photographs


@pytest.fixture(params=WORKFLOWS)
def name(request):
    return request.param


@pytest.fixture
def workflow(name):
    return load(name)


@pytest.fixture
def boxes(workflow) -> dict[str, tuple]:
    """Left, top, right, bottom of every node with its title."""
    found = {}
    for node in workflow["nodes"]:
        (x, y), (width, height) = node["pos"], node["size"]
        if node["flags"].get("collapsed"):
            height = 0
        found[f"{node['id']} {node.get('title') or node['type']}"] = x, y - TITLE, x + width, y + height
    return found


def meet(one, other) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_a_template_opens_at_a_size_that_can_be_read_with_no_result_under_the_minimap(boxes):
    lefts, tops, rights, bottoms = zip(*boxes.values(), strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    width, height = right - left, bottom - top
    assert width <= MAX_WIDTH and height <= MAX_HEIGHT
    zoom = ZOOM * min((MAX_WIDTH + 20) / (width + 20), (MAX_HEIGHT + 20) / (height + 20))
    for title, (_, _, x, y) in boxes.items():
        corner = 800 + (x - (left + right) / 2) * zoom, 500 + (y - (top + bottom) / 2) * zoom
        assert corner[0] <= MINIMAP[0] or corner[1] <= MINIMAP[1], f"{title} ends at {corner}"


def test_nodes_lie_next_to_each_other_and_groups_hold_only_their_own(workflow, boxes):
    placed = list(boxes.items())
    overlaps = [(one, other) for i, (one, box) in enumerate(placed) for other, its in placed[i + 1 :] if meet(box, its)]
    assert not overlaps
    for group in workflow["groups"]:
        x, y, width, height = group["bounding"]
        frame = x, y, x + width, y + height
        for title, box in placed:
            inside = frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3]
            assert inside or not meet(frame, box), f"{group['title']} cuts through {title}"


def test_wires_run_from_left_to_right(workflow):
    """Within a column, downwards: no wire goes back over what lies before it."""
    by_id = {node["id"]: node for node in workflow["nodes"]}
    ends = [(by_id[origin], by_id[target]) for _, origin, _, target, *_ in workflow["links"]]
    assert not [(one["type"], other["type"]) for one, other in ends if other["pos"][0] < one["pos"][0]]


def test_photographs_of_any_size_are_scaled_first(name, workflow):
    by_id = {node["id"]: node for node in workflow["nodes"]}
    megapixels = 1.0 if name in LARGE else 0.25
    for _, origin, slot, target, *_ in workflow["links"]:
        if by_id[origin]["type"] in LOADERS and slot == 0:
            scale = by_id[target]
            assert scale["type"] == "SDCScaleDown" and scale["widgets_values"] == [megapixels]
    notes = " ".join(node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    photographs = any(node["type"] in LOADERS for node in workflow["nodes"])
    assert (f"{megapixels} megapixels" in " ".join(notes.split())) == photographs


def test_only_what_shows_the_paper_keeps_its_settings(name, workflow):
    presets = {node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "SDCLatentQuantize"}
    # And what is there to remove its artifacts.
    papers = {"SDC Full Pipeline", "SDC Compare with JPEG and AVIF", "SDC Remove Artifacts"}
    assert (presets == {"paper"}) == (name in papers)


def test_browse_templates_begins_with_the_demo_and_knows_all():
    order = re.findall(r'"(SDC [^"]+)"', (ROOT / "web" / "templates.js").read_text(encoding="utf-8"))
    assert order[0] == "SDC Demo" and sorted(order) == WORKFLOWS
