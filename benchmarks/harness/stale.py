"""Which chapters of docs/results.md were measured by code that has changed since, and the marks that say so."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from .results import REPO

# What figures depend on, besides the bench itself. Texts do not count.
STORED = ("codec", "nodes/comparison", "weights/learned", ":(exclude)*.md")
CODE = (
    *STORED, "nodes/inversion", "nodes/images", "nodes/ddim_invert.py", "nodes/regenerate_canny.py", "weights",
)  # fmt: skip
NOT_REGENERATED = ("rate", "families", "coders")
SHOWN = 3  # files that a mark names
MARK = "> **Stale.** "
MEASURED = re.compile(r"^Measured at commit (.+) with ", re.MULTILINE)


def changed_since(commit: str, bench: str, repo: Path = REPO) -> list[str] | None:
    """Files that have changed up to what is checked out; None where git does not know the commit."""
    paths = [*(STORED if bench in NOT_REGENERATED else CODE), f"benchmarks/{bench}.py"]
    command = ["git", "-C", str(repo), "diff", "--name-only", commit, "HEAD", "--", *paths]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    except (OSError, subprocess.CalledProcessError):
        return None


def mark(page: str, benches: dict[str, str], changed: Callable[[str, str], list[str] | None] = changed_since) -> str:
    """The page with a mark under the heading of each stale chapter and no other marks.

    `benches` gives the bench of a heading; other chapters stay as they are.
    """
    page = re.sub(rf"^{re.escape(MARK)}.*\n\n", "", page, flags=re.MULTILINE)
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    for number, part in enumerate(parts):
        heading, _, rest = part.partition("\n")
        bench, commits = benches.get(heading.removeprefix("## ")), MEASURED.search(part)
        if bench and commits and (why := reason(commits[1].split(", "), bench, changed)):
            parts[number] = f"{heading}\n\n{MARK}{why}\n{rest}"
    return "".join(parts)


def reason(commits: list[str], bench: str, changed) -> str | None:
    """Why figures of these commits are stale, or None."""
    if unclean := [commit for commit in commits if commit.endswith("-dirty") or commit == "unknown"]:
        return f"Measured by code that no commit holds: {', '.join(unclean)}."
    found: dict[str, None] = {}
    for commit in commits:
        files = changed(commit, bench)
        if files is None:
            return f"Commit {commit} is not in the history."
        found |= dict.fromkeys(files)
    if not found:
        return None
    files = sorted(found)
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return f"Changed since these were measured: {', '.join(files[:SHOWN])}{more}."
