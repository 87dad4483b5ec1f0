"""The files that Load SDC lists: their names, where they are, and what is in them."""

import os

import folder_paths

from ... import codec
from .paths import is_within


def load_listed(file: str) -> codec.EncodedPicture:
    """Read a file that the Load list offers; whatever is wrong is told with its name."""
    path = find_listed(file)
    try:
        return codec.load_file(path)
    except codec.SdcError as error:
        raise type(error)(f"{file}: {error}") from error
    except OSError as error:
        raise OSError(f"{file} cannot be read: {error.strerror or error}") from error


def list_files() -> list[str]:
    """Names as ComfyUI annotates them: plain for the input folder, 'name [output]' for the output folder."""
    inputs = files_in(folder_paths.get_input_directory())
    outputs = files_in(folder_paths.get_output_directory())
    return inputs + [f"{name} [output]" for name in outputs]


def files_in(folder: str) -> list[str]:
    files, _ = folder_paths.recursive_search(folder)
    # Windows separators would give one workflow two names for the same file.
    return sorted(
        name.replace(os.sep, "/")
        for name in files
        if name.lower().endswith(".sdc") and is_within(folder, os.path.join(folder, name))
    )


def find_listed(file: str) -> str:
    """Return the path of a file that the Load list offers, as 'name' or 'name [output]'; else say what is wrong."""
    if file is None or "\0" in file:  # None: it comes from another node that has not run yet
        raise ValueError(f"{file!a} cannot be the name of a file.")
    name, folder = folder_paths.annotated_filepath(file)
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
    if not os.path.isabs(path):
        return path
    folders = ((folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), " [output]"))
    for folder, mark in folders:
        if is_within(folder, path):
            return os.path.relpath(os.path.realpath(path), os.path.realpath(folder)).replace(os.sep, "/") + mark
    raise ValueError(
        f"The file {path!r} is outside ComfyUI's folders. Press 'choose .sdc to upload', or drop it on the node."
    )
