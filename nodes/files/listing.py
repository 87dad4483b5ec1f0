"""The `.sdc` files that Load SDC lists: their names, their paths, and reading them."""

import os
import time
from contextlib import contextmanager
from typing import NamedTuple

import folder_paths

from ... import codec
from .paths import NETWORK, check_foreign, is_within
from .samples import find_sample

SDC = (".sdc",)


class Opened(NamedTuple):
    """The images in a file, and its size in bytes."""

    images: list[codec.EncodedImage]
    num_bytes: int


def load_listed(file: str, max_megapixels: float | None = None) -> Opened:
    """Read a file by its name in the list.

    Raises
    ------
    codec.SdcError
        The file is damaged or too large; the message starts with its name.
    ValueError, OSError
        There is no such file within ComfyUI's folders, or it cannot be read.
    """
    data = read_listed(file)
    with named(file):
        if max_megapixels is None:
            return Opened(codec.load_all(data), len(data))
        try:
            return Opened(codec.load_all(data, max_pixels=int(max_megapixels * 10**6)), len(data))
        except codec.SdcLimitError as error:
            raise type(error)(f"{error} (on Load SDC: max_megapixels)") from error


@contextmanager
def named(file: str):
    """Put the name of the file in front of an error message of the codec."""
    try:
        yield
    except codec.SdcError as error:
        raise type(error)(f"{file}: {error}") from error


def read_listed(file: str) -> bytes:
    path = find_listed(file)
    try:
        with named(file):
            return codec.read_bounded(path)
    except OSError as error:
        raise OSError(f"{file} cannot be read: {error.strerror or error}") from error


def list_files() -> list[str]:
    """Names as ComfyUI annotates them: 'name' in the input folder, 'name [output]' in the output folder."""
    inputs = files_in(folder_paths.get_input_directory())
    outputs = files_in(folder_paths.get_output_directory())
    return inputs + [f"{name} [output]" for name in outputs]


def files_in(folder: str, suffixes: tuple[str, ...] = SDC) -> list[str]:
    """Names of the files with these suffixes in a folder and its subfolders, with / between them, sorted.

    ComfyUI asks for this list several times per prompt. So a folder is read again only when it has changed, and output
    folders with 100 000 images cost one `stat` for each subfolder, once the file system has shown that it keeps the
    times of folders. `folder_paths.get_filename_list` would do that too,
    but it follows links in circles and out of the folder, and misses files that come within one tick of the clock.
    """
    found, seen, waiting = [], set(), [""]
    while waiting:
        inside = waiting.pop()
        path = os.path.join(folder, inside)
        real = os.path.realpath(path)
        if real in seen or not is_within(folder, real):
            continue
        seen.add(real)
        held = contents(real, suffixes)
        waiting += [f"{inside}{name}/" for name in held.subfolders]
        found += [f"{inside}{name}" for name in held.files]
        found += [f"{inside}{name}" for name in held.links if is_within(folder, os.path.join(path, name))]
    forget_others(os.path.realpath(folder), seen)
    return sorted(found)


# Nanoseconds for which a changed folder is not remembered: a file that came within the same tick of the file system's
# clock would never be seen. FAT counts in steps of two seconds.
SETTLED = 3 * 10**9
# Nanoseconds for which a folder is remembered whose own time has not been seen to change: FAT on Windows, and some
# network and FUSE file systems, never change it. One prompt asks for the list several times within these.
UNPROVEN = 10**9


class Folder(NamedTuple):
    """What was in a folder itself."""

    changed: int  # its own time, in nanoseconds, when it was read
    read: int  # when that was
    proven: bool  # whether that time has been seen to change
    subfolders: list[str]
    files: list[str]
    links: list[str]  # to such


known: dict[tuple[str, tuple[str, ...]], Folder] = {}  # by real path, and which files count


def contents(folder: str, suffixes: tuple[str, ...]) -> Folder:
    """What is in a folder itself; nothing where it cannot be read."""
    place = folder, suffixes
    before = known.get(place)
    try:
        changed, now = os.stat(folder).st_mtime_ns, time.time_ns()
        if before and before.changed == changed and before.read - changed > SETTLED:
            if before.proven or 0 <= now - before.read < UNPROVEN:
                return before
        proven = before is not None and (before.proven or before.changed != changed)
        known[place] = Folder(changed, now, proven, *read_once(folder, suffixes))
        return known[place]
    except OSError:
        known.pop(place, None)
        return Folder(0, 0, False, [], [], [])


def read_once(folder: str, suffixes: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """Names of the subfolders, files with these suffixes, and links to such."""
    subfolders: list[str] = []
    files: list[str] = []
    links: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                subfolders.append(entry.name)
            elif entry.name.lower().endswith(suffixes):
                (links if entry.is_symlink() else files).append(entry.name)
    return subfolders, files, links


def forget_others(root: str, seen: set[str]):
    """Drop what is known of folders within `root` that are gone; all are real paths."""
    for place in list(known):
        folder, _ = place
        if folder not in seen and (folder == root or folder.startswith(root.rstrip(os.sep) + os.sep)):
            known.pop(place, None)


def find_listed(file: str) -> str:
    """Return the path of 'name', 'name [output]' or a sample; raise ValueError or FileNotFoundError for other names."""
    if not isinstance(file, str) or "\0" in file:  # None: linked to a node that has not run yet
        raise ValueError(f"{file!a} cannot be the name of a file.")
    if sample := find_sample(file):
        return sample
    name, folder = folder_paths.annotated_filepath(file)  # without touching the file system
    check_foreign(name)  # what is left: ComfyUI cuts nine letters off "aux?[output]", whichever the fourth is
    folder = folder or folder_paths.get_input_directory()
    path = os.path.join(folder, name)
    if not is_within(folder, path):
        raise ValueError(f"The file {file!r} is outside ComfyUI's folders. Copy it into the input folder.")
    if os.path.isdir(path):
        raise ValueError(f"{file!r} is a folder. Press R and choose a file.")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"The file {file!r} is not in ComfyUI's input or output folder. Press R and choose another one."
        )
    return path


def name_in_list(path: str) -> str:
    """Turn a full path into its name in the list; other names are returned as they are. Raises ValueError."""
    if path.startswith(NETWORK):
        check_foreign(path)
    if not os.path.isabs(path):
        return path
    folders = ((folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), " [output]"))
    for folder, mark in folders:
        if is_within(folder, path):
            name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder)).replace(os.sep, "/")
            if name.endswith("]"):  # which would be read as an annotation
                mark = mark or " [input]"
            return name + mark
    raise ValueError(
        f"The file {path!r} is outside ComfyUI's folders. Press 'choose .sdc to upload', or drop it on the node."
    )
