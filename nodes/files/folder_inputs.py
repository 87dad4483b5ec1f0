"""The inputs by which nodes choose the files of a folder, and what ComfyUI asks about them before a run."""

import os

from comfy_api.v0_0_2 import io

from .. import never_equal
from .folders import ORDERS, PLACES, choose_files
from .listing import SDC, find_listed


def place_inputs(place: str, folder: str, pattern: str, example: str) -> list:
    """Which files: the place, the folder in it and the pattern, with their defaults."""
    uses = {"input": "input: the folder for uploads.", "output": "output: the folder that ComfyUI writes to."}
    return [
        io.Combo.Input(
            "place",
            options=list(PLACES),
            default=place,
            tooltip=" ".join(uses[name] for name in sorted(uses, key=lambda name: name != place)),
        ),
        io.String.Input(
            "folder",
            default=folder,
            tooltip="A subfolder, with / between names; its own subfolders are included. Empty: everything.",
        ),
        io.String.Input(
            "pattern",
            default=pattern,
            tooltip=f"Which files: * matches any characters, ? one. {example}: all names that start with cat.",
        ),
    ]


def order_inputs(things: str) -> list:
    """Which of them, in which order."""
    return [
        io.Combo.Input(
            "order",
            options=list(ORDERS),
            default="name",
            tooltip="By name, or by the time when the files were written.",
        ),
        io.Int.Input(
            "index",
            default=0,
            min=0,
            max=10**6,
            tooltip=f"The first of the {things} to load, in that order; 0 is the first one.",
        ),
        io.Int.Input(
            "limit",
            default=0,
            min=0,
            max=10**6,
            tooltip=f"Maximum number of {things}; 0 for all. All stay in memory: load thousands in parts, with index.",
        ),
    ]


def check_choice(folder: str | None, pattern: str | None) -> bool | str:
    """What `validate_inputs` says: True, or why there can be no such folder."""
    if folder is None or pattern is None:  # linked to a node that has not run yet
        return True
    try:
        choose_files("input", folder, pattern, "name", 0, 1)
    except ValueError as error:
        return str(error)
    return True


def state_of(place: str, folder: str, pattern: str, order: str, index: int, limit: int, suffixes=SDC):
    """What `fingerprint_inputs` says: names, times and sizes of the files."""
    try:
        files = choose_files(place, folder, pattern, order, index, limit, suffixes)
        states = [os.stat(find_listed(file)) for file in files]
    except (ValueError, OSError):
        return never_equal()  # so the node runs and raises the error
    return [(file, state.st_mtime_ns, state.st_size) for file, state in zip(files, states, strict=True)]
