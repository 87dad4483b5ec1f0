"""The `.sdc` files of one folder within ComfyUI's input or output folder, chosen by a pattern and in an order."""

import fnmatch
import os

import folder_paths

from .listing import files_in
from .paths import check_foreign

PLACES = ("output", "input")
ORDERS = ("name", "newest first", "oldest first")
LONGEST_PATTERN = 200


def choose_files(place: str, folder: str, pattern: str, order: str, index: int, limit: int) -> list[str]:
    """Names as the Load list has them ('name' or 'name [output]').

    Parameters
    ----------
    place : str
        One of PLACES.
    folder : str
        A folder in it, with / between names; empty for the place itself. Its subfolders count too.
    pattern : str
        With * and ?, for the name after `folder`; upper and lower case are the same.
    order : str
        One of ORDERS.
    index, limit : int
        The first file, from 0, and how many at most; a limit of 0 is no limit.

    Raises
    ------
    ValueError
        The folder leads out of ComfyUI's folders, or the pattern is too long.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"pattern has {len(pattern)} letters; {LONGEST_PATTERN} are the most.")
    start = clean(folder)
    root = folder_paths.get_output_directory() if place == "output" else folder_paths.get_input_directory()
    inside = [name for name in files_in(root) if name.startswith(start)]
    wanted = [name for name in inside if fnmatch.fnmatchcase(name[len(start) :].lower(), (pattern or "*").lower())]
    if order != "name":
        wanted.sort(key=lambda name: changed(os.path.join(root, name)), reverse=order == "newest first")
    chosen = wanted[index : index + limit if limit else None]
    return [f"{name} [output]" if place == "output" else name for name in chosen]


def clean(folder: str) -> str:
    """The folder as names of files begin with it: '' or 'a/b/'. What leads elsewhere is refused by its letters."""
    if "\0" in folder:
        raise ValueError(f"{folder!a} cannot be the name of a folder.")
    folder = folder.strip().replace("\\", "/")
    check_foreign(folder)
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"The folder {folder!a} leads out of ComfyUI's folders with '..'.")
    return "".join(f"{part}/" for part in parts)


def changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:  # it has gone since; reading it will say so
        return 0
