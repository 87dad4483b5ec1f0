"""What is to be done: which file becomes which."""

import re
from pathlib import PurePosixPath

from ..codec.autoencoder.srgb import SUFFIXES

# Of each command: the files that it takes, and the ending that its results have.
KINDS = {"compress": (SUFFIXES, ".sdc"), "decompress": ((".sdc",), ".png"), "regenerate": ((".sdc",), ".png")}


def find_jobs(command: str, names: list[str], done: set[str]) -> tuple[list[dict], list[dict], int]:
    """What to do of the input's files `names`, where the results `done` need nothing more.

    Returns jobs {"name", "target"} in the order of their names; jobs that cannot be done, with an "error"; and how many
    are done already.
    """
    suffixes, suffix = KINDS[command]
    jobs, refused, count = [], [], 0
    taken: dict[str, str] = {}
    for name in sorted(names):
        shown = name.encode("utf-8", "backslashreplace").decode()
        path = PurePosixPath(shown)
        if path.suffix.lower() not in suffixes:
            continue
        job = {"name": shown, "target": str(path.with_suffix(suffix))}
        if reason := unusable(name):
            refused.append({**job, "error": reason})
            continue
        first = taken.setdefault(job["target"].casefold(), name)  # to some disks A.sdc and a.sdc are the same
        if first != name:
            reason = f"{first} would get the same name, {job['target']}: rename one, or move it to another folder"
            refused.append({**job, "error": reason})
        elif job["target"] in done:
            count += 1
        else:
            jobs.append(job)
    return jobs, refused, count


def unusable(name: str) -> str | None:
    """Why no result can be named after a file. In a bucket a name may be anything, and lead out of OUTPUT."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    if any(part in ("", ".", "..") or re.search(r"\\|\0|^[A-Za-z]:", part) for part in name.split("/")):
        return "a name with a backslash, a drive letter, an empty part, . or .. may lead out of OUTPUT: rename it"
    return None
