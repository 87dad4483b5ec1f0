"""The files of one folder within ComfyUI's input or output folder, chosen by a pattern and in an order."""

import fnmatch
import os

import folder_paths

from .listing import SDC, files_in
from .paths import check_foreign, to_name

PLACES = ("output", "input")
ORDERS = ("name", "newest first", "oldest first")
MAX_PATTERN = 200


def choose_files(
    place: str, folder: str, pattern: str, order: str, index: int, limit: int, suffixes: tuple[str, ...] = SDC
) -> list[str]:
    """Names as Load SDC lists them ('name' or 'name [output]').

    Parameters
    ----------
    place : str
        One of PLACES.
    folder : str
        A folder in it, with / between names; empty for the place itself. Its subfolders are included.
    pattern : str
        With * and ?, for the name after `folder`; case is ignored.
    order : str
        One of ORDERS.
    index, limit : int
        The first file, from 0, and the maximum number of files; a limit of 0 is no limit.
    suffixes : tuple of str
        Files that end in one of these, in lower case.

    Raises
    ------
    ValueError
        The folder leads out of ComfyUI's folders, or the pattern is too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"pattern has {len(pattern)} characters; at most {MAX_PATTERN} are allowed.")
    start, root = clean(folder), root_of(place)
    inside = files_under(place, folder, suffixes)
    exact = (pattern or "*").lower().replace("[", "[[]")  # to fnmatch, [ begins a set of characters
    wanted = [name for name in inside if fnmatch.fnmatchcase(name[len(start) :].lower(), exact)]
    if order != "name":
        wanted.sort(key=lambda name: changed(os.path.join(root, name)), reverse=order == "newest first")
    chosen = wanted[index : index + limit if limit else None]
    return [f"{name} [output]" if place == "output" else name for name in chosen]


def root_of(place: str) -> str:
    return folder_paths.get_output_directory() if place == "output" else folder_paths.get_input_directory()


def files_under(place: str, folder: str, suffixes: tuple[str, ...] = SDC) -> list[str]:
    """All files with these suffixes in a folder and its subfolders, by their names within the place."""
    start = clean(folder)
    return [name for name in files_in(root_of(place), suffixes) if name.startswith(start)]


def prefix_of(file: str) -> str:
    """Name of a chosen file without folder and extension, as Save SDC takes it for the start of a file name."""
    return to_name(os.path.splitext(file.removesuffix(" [output]").split("/")[-1])[0])


def clean(folder: str) -> str:
    """The folder as a prefix of names, '' or 'a/b/'. Raises ValueError where its letters lead elsewhere."""
    if "\0" in folder:
        raise ValueError(f"{folder!a} is not a valid folder name.")
    folder = folder.strip().replace("\\", "/")
    check_foreign(folder)
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"The folder {folder!a} leads out of ComfyUI's folders by '..'.")
    return "".join(f"{part}/" for part in parts)


def changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:  # it is gone; reading it raises the error
        return 0
