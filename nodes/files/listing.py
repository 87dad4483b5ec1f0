"""The files that Load SDC lists: their names, where they are, and what is in them."""

import os
import time
from contextlib import contextmanager
from typing import NamedTuple

import folder_paths

from ... import codec
from .paths import NETWORK, check_foreign, is_within
from .samples import find_sample


class Opened(NamedTuple):
    """The images in a file, and how many bytes it has."""

    images: list[codec.EncodedImage]
    size: int


def load_listed(file: str, max_megapixels: float | None = None) -> Opened:
    """Read a file that the Load list offers; whatever is wrong is told with its name."""
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
    """Say of an error in a file which file it is."""
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
    """Names as ComfyUI annotates them: plain for the input folder, 'name [output]' for the output folder."""
    inputs = files_in(folder_paths.get_input_directory())
    outputs = files_in(folder_paths.get_output_directory())
    return inputs + [f"{name} [output]" for name in outputs]


def files_in(folder: str) -> list[str]:
    """Names of the `.sdc` files in a folder and its subfolders, with / between them, sorted.

    ComfyUI asks for this list with every prompt. So a folder is read again only when it has changed, and output
    folders with a hundred thousand images cost one question to the file system for each subfolder.
    """
    found, seen, waiting = [], set(), [""]
    while waiting:
        inside = waiting.pop()
        path = os.path.join(folder, inside)
        # Links may lead round in a circle, or out of the folder.
        real = os.path.realpath(path)
        if real in seen or not is_within(folder, real):
            continue
        seen.add(real)
        inner = contents(real)
        waiting += [f"{inside}{name}/" for name in inner.folders]
        found += [f"{inside}{name}" for name in inner.files]
        found += [f"{inside}{name}" for name in inner.links if is_within(folder, os.path.join(path, name))]
    return sorted(found)


class Contents(NamedTuple):
    """Names in one folder: its subfolders, its `.sdc` files, and those that are links, which may lead out of it."""

    folders: list[str]
    files: list[str]
    links: list[str]


# Real path -> when the folder was changed last, and what was in it.
known: dict[str, tuple[int, Contents]] = {}
# Nanoseconds for which a changed folder is not remembered: a file that came within the same tick of the file system's
# clock would never be seen. FAT counts in steps of two seconds.
SETTLED = 3 * 10**9


def contents(folder: str) -> Contents:
    """What lies in a folder itself; nothing where it cannot be read."""
    found = Contents([], [], [])
    try:
        changed = os.stat(folder).st_mtime_ns
        if folder in known and known[folder][0] == changed:
            return known[folder][1]
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    found.folders.append(entry.name)
                elif entry.name.lower().endswith(".sdc"):
                    (found.links if entry.is_symlink() else found.files).append(entry.name)
    except OSError:
        return found
    if time.time_ns() - changed > SETTLED:
        known[folder] = changed, found
    return found


def find_listed(file: str) -> str:
    """Return the path of 'name', 'name [output]' or a sample, as the Load list offers them; else say what is wrong."""
    if file is None or "\0" in file:  # None: it comes over a link from a node that has not run yet
        raise ValueError(f"{file!a} cannot be the name of a file.")
    if sample := find_sample(file):
        return sample
    name, folder = folder_paths.annotated_filepath(file)  # without asking anything of the file system
    check_foreign(name)  # what is left: ComfyUI cuts nine letters off "aux?[output]", whichever the fourth is
    folder = folder or folder_paths.get_input_directory()
    path = os.path.join(folder, name)
    if not is_within(folder, path):
        raise ValueError(f"The file {file!r} is outside ComfyUI's folders. Copy it into the input folder.")
    if os.path.isdir(path):
        raise ValueError(f"{file!r} is a folder. Press R and choose a file in it.")
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"The file {file!r} is not in ComfyUI's input or output folder. Press R and choose another one."
        )
    return path


def name_in_list(path: str) -> str:
    """Turn a full path into the name that the Load list has for it; other names are returned as they are."""
    if path.startswith(NETWORK):
        check_foreign(path)
    if not os.path.isabs(path):
        return path
    folders = ((folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), " [output]"))
    for folder, mark in folders:
        if is_within(folder, path):
            name = os.path.relpath(os.path.realpath(path), os.path.realpath(folder)).replace(os.sep, "/")
            if name.endswith("]"):  # its own end would be taken for a mark
                mark = mark or " [input]"
            return name + mark
    raise ValueError(
        f"The file {path!r} is outside ComfyUI's folders. Press 'choose .sdc to upload', or drop it on the node."
    )
