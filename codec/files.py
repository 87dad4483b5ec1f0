"""Files on disk: never read without a bound, and never there under their name before they are whole."""

import errno
import os
import re
import secrets
import time
from contextlib import suppress
from typing import BinaryIO

from .container import MAX_FILE_BYTES
from .errors import SdcLimitError
from .image import MAX_PIXELS, EncodedImage, load

File = str | os.PathLike[str] | BinaryIO
# How parts are called, and nothing else: ".", 16 random digits and this. The names of files can be as long as may be.
PART = re.compile(r"\.[0-9a-f]{16}\.sdc-part")
ABANDONED = 3600  # seconds since anything was written to a part: nobody is at it any more


def load_file(file: File, *, max_pixels: float = MAX_PIXELS) -> EncodedImage:
    """Return the `EncodedImage` in a path or an open binary file.

    Raises
    ------
    SdcError
        From `load`, or for more than 32 MiB.
    OSError
        From opening or reading.
    """
    return load(read_bounded(file), max_pixels=max_pixels)


def save_file(image: EncodedImage, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write an `EncodedImage` to `path`, whole or not at all; as `write_whole`, which says what is raised."""
    write_whole(path, image.data, overwrite=overwrite)


def read_bounded(file: File) -> bytes:
    """Return the bytes of a path or of an open binary file, but never take in more than a .sdc file may have.

    Raises
    ------
    SdcLimitError
        More than 32 MiB; only one byte beyond them was read.
    OSError
        From opening or reading.
    """
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    else:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise SdcLimitError(f"there are more than {MAX_FILE_BYTES} bytes, and no .sdc file has that many")
    return data


def write_whole(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write a whole file or none: first as a part beside it, then under its own name.

    Of any number of writers at once one succeeds. The part is removed when writing fails, and stays behind when the
    process is killed, for `remove_strays` to find.

    Parameters
    ----------
    path : str or os.PathLike
    data : bytes
    overwrite : bool
        Replace a file of this name instead of raising.

    Raises
    ------
    FileExistsError
        The name is taken.
    OSError
        The folder is missing or cannot be written to, the disk is full, the name is not allowed...
    """
    path = os.fspath(path)
    if not overwrite and os.path.lexists(path):
        raise _taken(path)
    part = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.sdc-part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power failure could leave the name without the content
        if overwrite:
            os.replace(part, path)
        else:
            _move_to_new(part, path)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, error.strerror, path) from None
    finally:
        with suppress(OSError):
            os.unlink(part)


def remove_strays(folder: str | os.PathLike[str]) -> None:
    """Remove the parts that processes which were killed while writing have left in a folder an hour ago or before."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if time.time() - entry.stat().st_mtime > ABANDONED:
                        os.unlink(entry.path)


def _move_to_new(part: str, path: str) -> None:
    """Give a part its name, or raise FileExistsError where the name is taken."""
    if os.name == "nt":
        os.rename(part, path)  # never overwrites on Windows
        return
    try:
        os.link(part, path)  # fails when there is a file; rename would replace it
    except FileExistsError:
        raise _taken(path) from None
    except OSError:
        # exFAT and some network drives have no hard links: take the name first, by an empty file.
        open(path, "xb").close()
        try:
            os.replace(part, path)
        except BaseException:
            os.unlink(path)
            raise


def _taken(path: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "there is a file of this name already", path)
