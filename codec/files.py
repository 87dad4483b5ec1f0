"""Files on disk: never read without a bound, and never there under their name before they are whole."""

import os
import sys
import time
from contextlib import suppress
from typing import BinaryIO

from .container import MAX_FILE_BYTES
from .errors import SdcLimitError
from .image import MAX_PIXELS, EncodedImage, load

if sys.platform != "win32":
    import fcntl

File = str | os.PathLike[str] | BinaryIO
PART = ".part"
FRESH = 10  # seconds for which a part is left alone: its writer may not have locked it yet


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
    if not isinstance(file, str | os.PathLike):
        data = file.read(MAX_FILE_BYTES + 1)
    else:
        with open(file, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise SdcLimitError(f"there are more than {MAX_FILE_BYTES} bytes, and no .sdc file has that many")
    return data


def write_whole(path: str | os.PathLike[str], data: bytes, *, overwrite: bool = False) -> None:
    """Write a whole file or none: first beside it, as `path` + ".part", then under its own name.

    The ".part" file is also the reservation of the name, so of any number of writers at once one succeeds. It is
    removed when writing fails, and stays behind when the process is killed, for `remove_strays` to find. (With
    `overwrite` its name has the process's number in it too.)

    Parameters
    ----------
    path : str or os.PathLike
    data : bytes
    overwrite : bool
        Replace a file of this name instead of raising.

    Raises
    ------
    FileExistsError
        The name is taken, or being written to by another process.
    OSError
        The folder is missing or cannot be written to, the disk is full, the name is not allowed...
    """
    path = os.fspath(path)
    # When overwriting there is nothing to reserve, and two processes should not write into one file.
    part = f"{path}.{os.getpid()}{PART}" if overwrite else path + PART
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(17, "there is a file of this name already", path)
    file = open(part, "wb" if overwrite else "xb")  # if this fails, the file is not ours to remove
    try:
        with file:
            _try_lock(file)  # says that somebody is at work
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power failure could leave the name without the content
        if overwrite:
            os.replace(part, path)
        else:
            _rename_new(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise


def remove_strays(folder: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while writing a `.sdc` file have left in a folder.

    What another process is writing is left alone: it holds a lock on it, which the system takes back when it ends,
    however that happens; on Windows a file in use cannot be removed anyway.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            if not (entry.name.endswith(PART) and ".sdc" in entry.name and entry.is_file(follow_symlinks=False)):
                continue
            with suppress(OSError):
                if time.time() - entry.stat().st_mtime > FRESH:
                    with open(entry.path, "r+b") as file:
                        abandoned = _try_lock(file)
                    if abandoned:
                        os.unlink(entry.path)


def _try_lock(file):
    """Lock an open file for this process; False where another has it, or where the file system has no locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _rename_new(source, target):
    """Rename, but raise FileExistsError when there is a target."""
    if os.name == "nt":
        os.rename(source, target)  # never overwrites on Windows
        return
    try:
        os.link(source, target)  # fails when there is a target; rename would replace it
    except FileExistsError:
        raise
    except OSError:
        # exFAT and some network drives have no hard links. Other writers of this package are kept away by the
        # reservation, so what is left is a stranger who takes just this name in just this moment.
        if os.path.lexists(target):
            raise FileExistsError(17, "there is a file of this name already", target) from None
        os.rename(source, target)
        return
    os.unlink(source)
