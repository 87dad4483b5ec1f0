"""Marks at chapters of docs/results.md whose code has changed."""

import re
import subprocess

import pytest

from benchmarks import results
from benchmarks.harness import stale

PAGE = """# Results

## In short

Little.

## Kodak

### Table

| a |

Measured at commit 111111111111, 222222222222 with numpy 2.

## Speed

Measured at commit 333333333333 with numpy 2.
"""
BENCHES = {"Kodak": "rate", "Speed": "speed"}


@pytest.fixture
def repo(tmp_path):
    """A repository of one commit, and how to make another that writes a file."""

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", tmp_path, *identity, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        git("add", ".")
        git("commit", "-m", content)
        return git("rev-parse", "--short=12", "HEAD")

    git("init")
    return tmp_path, write


def test_only_code_that_figures_depend_on_makes_them_stale(repo):
    path, write = repo
    commit = write("codec/a.py", "one")
    assert stale.changed_since(commit, "rate", path) == []
    for name in ("README.md", "codec/FORMAT.md", "web/a.js", "nodes/save.py", "benchmarks/speed.py"):
        write(name, "text")
    assert stale.changed_since(commit, "rate", path) == []
    assert stale.changed_since(commit, "speed", path) == ["benchmarks/speed.py"]
    write("codec/a.py", "two")
    write("weights/learned/a.npz", "numbers")
    write("weights/a.safetensors", "numbers")
    assert stale.changed_since(commit, "rate", path) == ["codec/a.py", "weights/learned/a.npz"]
    assert "weights/a.safetensors" in stale.changed_since(commit, "quality", path)
    assert stale.changed_since("0123456789ab", "rate", path) is None


def test_a_stale_chapter_is_marked_and_no_other():
    changes = {"111111111111": [], "222222222222": ["codec/b.py", "codec/a.py"], "333333333333": []}
    marked = stale.mark(PAGE, BENCHES, lambda commit, _: changes[commit])
    assert "## Kodak\n\n> **Stale.** Changed since these were measured: codec/a.py, codec/b.py.\n\n### Table" in marked
    assert marked.count(stale.MARK) == 1
    assert stale.mark(marked, BENCHES, lambda commit, _: changes[commit]) == marked
    assert stale.mark(marked, BENCHES, lambda *_: []) == PAGE


def test_figures_of_no_known_commit_are_stale():
    assert "Commit 111111111111 is not in the history." in stale.mark(PAGE, BENCHES, lambda *_: None)
    dirty = PAGE.replace("333333333333", "333333333333-dirty")
    assert "code that no commit holds: 333333333333-dirty." in stale.mark(dirty, BENCHES, lambda *_: [])
    assert "codec/1.py, codec/2.py, codec/3.py and 2 more." in stale.mark(
        PAGE, BENCHES, lambda *_: [f"codec/{number}.py" for number in range(1, 6)]
    )


def test_the_page_marks_what_is_stale():
    page = (results.REPO / "docs" / "results.md").read_text(encoding="utf-8")
    commits = {commit for found in stale.MEASURED.findall(page) for commit in found.split(", ")}
    assert commits
    if all(stale.changed_since(commit, "rate") is None for commit in commits):
        pytest.skip("the history is not here")
    marks = re.findall(rf"^## (.+)\n\n{re.escape(stale.MARK)}", page, re.MULTILINE)
    expected = re.findall(rf"^## (.+)\n\n{re.escape(stale.MARK)}", results.marked(page), re.MULTILINE)
    assert marks == expected, "python run.py bench results --mark brings the page up to date"
