"""What is to be done: which file becomes which."""

from pathlib import PurePosixPath

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# Of each command: the files that it takes, and the ending that its results have.
KINDS = {"compress": (IMAGES, ".sdc"), "decompress": ((".sdc",), ".png"), "regenerate": ((".sdc",), ".png")}


def find_jobs(command: str, names: list[str], done: set[str]) -> tuple[list[dict], list[dict], int]:
    """What to do, what cannot be done, and how much is done already.

    Parameters
    ----------
    names : list of str
        Files of the input, of any kind.
    done : set of str
        Results that are there and need nothing more.

    Returns
    -------
    tuple
        Jobs {"name", "target"} in the order of their names; jobs with an "error" besides; a number.
    """
    endings, ending = KINDS[command]
    jobs, refused, count = [], [], 0
    taken: dict[str, str] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        if path.suffix.lower() not in endings:
            continue
        job = {"name": name, "target": str(path.with_suffix(ending))}
        first = taken.setdefault(job["target"].casefold(), name)  # to some disks A.sdc and a.sdc are the same
        if first != name:
            reason = f"{first} would get the same name, {job['target']}: rename one, or move it to another folder"
            refused.append({**job, "error": reason})
        elif job["target"] in done:
            count += 1
        else:
            jobs.append(job)
    return jobs, refused, count
