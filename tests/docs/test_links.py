"""What pages point at is there: files in links, paths and functions of docs/architecture.md. None repeats itself."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "codec/FORMAT.md", *ROOT.glob("[!.]*/README.md")])


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, part = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file() and file.is_relative_to(ROOT), target
        if part:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in map(anchor, headings), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_nothing_is_said_twice_on_a_page(page):
    paragraphs = [part for part in page.read_text(encoding="utf-8").split("\n\n") if len(part) > 120]
    assert len(set(paragraphs)) == len(paragraphs)


def test_architecture_names_what_is_there():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./]+)`", text) if "/" in name or name.endswith((".py", ".md"))}
    assert len(named) > 40
    missing = {name for name in named if not (ROOT / name).exists() and not re.search("NAME|LANGUAGE", name)}
    assert not missing
    for function, file in re.findall(r"`(\w+)` in `([\w./]+\.py)`", text):
        assert re.search(
            rf"^ *(?:def|class) {function}\b|^{function}\b", (ROOT / file).read_text("utf-8"), re.MULTILINE
        )


def test_architecture_shows_every_room():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("[nc]o*/*/__init__.py")]
    assert len(rooms) > 6
    assert not [room for room in rooms if f"`{room}/`" not in text]
