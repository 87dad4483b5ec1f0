"""File names out of a workflow, turned into paths that stay within ComfyUI's folders."""

import os
import re
import time
import unicodedata

import folder_paths

from ... import codec

# Device names on Windows, with any extension or stream; a file with such a name cannot be copied there.
RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*([.:].*)?", re.IGNORECASE | re.DOTALL
)
FORBIDDEN = set('<>:"|?*')
# %date:...% in the letters of ComfyUI's front end, as strftime writes them; a single letter has no leading zero.
DATE = re.compile("%date:([^%]*)%")
DATE_PARTS = {"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}
# File systems allow 255 bytes; a counter and the extension are added.
MAX_NAME_BYTES = 200


def format_date(pattern: str) -> str:
    """The local time by a pattern such as yyyy-MM-dd.

    ComfyUI's front end does this for a prefix in the node's own widget, but not for a linked one, as in a subgraph,
    nor for a prompt that was sent to the API.
    """
    now = time.localtime()

    def fill(found: re.Match) -> str:
        letters = found[0]
        if letters in DATE_PARTS:
            return time.strftime(DATE_PARTS[letters], now)
        return str(int(time.strftime(DATE_PARTS[letters * 2], now)))

    return re.sub("yyyy|yy|MM?|dd?|hh?|mm?|ss?", fill, pattern)


def to_name(text: str) -> str:
    """A text as one part of a prefix that `check_prefix` accepts, with _ for letters that it does not."""
    wrong = {letter for letter in set(text) if unicodedata.category(letter) in ("Cc", "Cs")} | FORBIDDEN | set("/\\%")
    name = "".join("_" if letter in wrong else letter for letter in text)
    name = name.encode()[: MAX_NAME_BYTES - 1].decode(errors="ignore")  # no letter is cut in two
    return f"_{name}" if RESERVED.fullmatch(name) or name in ("", ".", "..") else name


def check_prefix(prefix: str) -> str:
    """Return the prefix with dates filled in and / as separator.

    The rules of Windows apply everywhere, so that a workflow and its files work on every machine. Raises ValueError for
    a prefix that breaks them or leads out of the output folder.
    """
    prefix = DATE.sub(lambda found: format_date(found[1]), prefix.replace("\\", "/"))
    if prefix.startswith("/") or re.match("[A-Za-z]:", prefix):
        raise prefix_error("is a full path; it must be relative to the output folder and may name subfolders")
    parts = [part for part in prefix.split("/") if part not in ("", ".")]
    if not parts:
        raise prefix_error("is empty; enter the start of a file name")
    for part in parts:
        wrong = sorted(letter for letter in set(part) if unicodedata.category(letter) in ("Cc", "Cs"))
        wrong += sorted(FORBIDDEN & set(part))
        if part == "..":
            raise prefix_error("leads outside the output folder with '..'")
        if wrong:
            raise prefix_error(f"contains {wrong[0]!a}, which is not allowed in file names on every system")
        if RESERVED.fullmatch(part):
            raise prefix_error(f"contains {part!r}, which is a device name on Windows")
        if len(part.encode()) > MAX_NAME_BYTES:
            raise prefix_error(f"contains a name of {len(part.encode())} bytes; at most {MAX_NAME_BYTES} are allowed")
    for folder in parts[:-1]:  # after the last part comes the counter
        if folder.rstrip(". ") != folder:
            raise prefix_error(f"contains the folder {folder!r}; Windows removes dots and spaces at the end of names")
    return prefix


def prefix_error(reason: str) -> ValueError:
    return ValueError(f"filename_prefix {reason}.")


def save_under(prefix: str, width: int, height: int, data: bytes, suffix: str = ".sdc") -> tuple[str, str, str]:
    """Write a new file under the next free number of a prefix; return its path, name and subfolder.

    `width` and `height`, in pixels, are what %width% and %height% in the prefix stand for. Raises ValueError for a
    prefix that is not allowed, OSError where the file cannot be written.
    """
    prefix = check_prefix(prefix)
    output = folder_paths.get_output_directory()
    folder = output
    try:
        check_within(output, os.path.join(output, os.path.dirname(prefix)))
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
        check_within(output, folder)  # again, with %year% and the like filled in
        codec.remove_strays(folder)
        while True:
            filename = f"{name}_{counter:05}_{suffix}"
            try:
                codec.write_whole(os.path.join(folder, filename), data)
                return os.path.join(folder, filename), filename, subfolder
            except FileExistsError:  # another process was faster, or ComfyUI's counter does not see the file
                counter += 1
    except OSError as error:
        raise OSError(
            f"ComfyUI could not write to {folder}: {error.strerror or error}. Check filename_prefix ({prefix!r}), "
            "the free disk space and the permissions of the folder."
        ) from error


def check_within(output: str, folder: str):
    if not is_within(output, folder):
        raise prefix_error(f"leads outside the output folder, to {os.path.realpath(folder)}")


NETWORK = ("\\\\", "//", "\\/", "/\\")  # how the names of other machines start; Windows accepts either slash


def check_foreign(file: str):
    """Raise ValueError for names that lead out of a folder, by their letters alone.

    Whatever asks Windows about a name that starts like another machine's makes it send that machine the user's
    credentials.

    Parameters
    ----------
    file : str
        Without ComfyUI's annotation, such as " [output]".
    """
    plain = file.replace("\\", "/")
    if plain.startswith("/") or plain[1:2] == ":":  # after any character
        raise ValueError(
            f"The file {file!a} is outside ComfyUI's folders: names are relative to the input or output folder. Copy "
            "it into the input folder."
        )
    for part in plain.split("/"):
        if RESERVED.fullmatch(part):
            raise ValueError(f"The file {file!a} contains {part!a}, which is a device name on Windows. Rename it.")


def is_within(folder: str, path: str) -> bool:
    """Whether a path is in a folder once all links are followed."""
    folder, path = os.path.realpath(folder), os.path.realpath(path)
    try:
        return os.path.commonpath((folder, path)) == folder
    except ValueError:  # two drives of Windows
        return False
