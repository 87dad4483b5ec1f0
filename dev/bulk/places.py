"""Where images lie and where results go: a folder, or a bucket that pyarrow has a file system for.

Files have names with / between folders, from the place on. No result is ever there under its name before it is whole.
"""

import re
from pathlib import Path

from sdc_pack import codec
from sdc_pack.codec.files import PART

from ..environment import SetupError

# Here what is written appears once it is whole. Elsewhere it gets its name afterwards.
OBJECT_STORES = ("abfs", "gcs", "s3")


def place(text: str):
    """The Folder or Bucket that is meant by a path or by an address such as s3://bucket/folder."""
    return Bucket(text) if re.match("[a-z0-9+]{2,}://", text) else Folder(text)


class Folder:
    """On this machine's disks, or on one that all machines have under the same path."""

    def __init__(self, text: str):
        self.path = Path(text).resolve()

    def __str__(self):
        return str(self.path)

    def names(self) -> list[str]:
        """Of all files in it and in its subfolders, none if it is not there."""
        return [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def open(self, name: str):
        return (self.path / name).open("rb")

    def write(self, name: str, data: bytes):
        """Write a new file, whole or not at all. FileExistsError where there is one."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            codec.write_whole(path, data)
        except FileExistsError:
            if path.exists():
                raise
            # Half written by a worker that was killed. An image is given to one worker at a time, so it is nobody's.
            Path(f"{path}{PART}").unlink(missing_ok=True)
            codec.write_whole(path, data)


class Bucket:
    """An object store, or another file system, by its address."""

    def __init__(self, address: str):
        from pyarrow import fs

        self.address, self.fs = address, fs
        try:
            self.system, self.root = fs.FileSystem.from_uri(address)
        except (OSError, ValueError) as error:
            raise SetupError(f"{address} cannot be used: {error}") from None

    def __str__(self):
        return self.address

    def path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def names(self) -> list[str]:
        found = self.system.get_file_info(self.fs.FileSelector(self.root, allow_not_found=True, recursive=True))
        return [each.path[len(self.path("")) :] for each in found if each.type == self.fs.FileType.File]

    def has(self, name: str) -> bool:
        return self.system.get_file_info(self.path(name)).type != self.fs.FileType.NotFound

    def open(self, name: str):
        return self.system.open_input_file(self.path(name))

    def write(self, name: str, data: bytes):
        if self.has(name):
            raise FileExistsError(17, "there is a file of this name already", self.path(name))
        path = self.path(name)
        if self.system.type_name in OBJECT_STORES:
            self.put(path, data)
        else:
            self.system.create_dir(path.rpartition("/")[0], recursive=True)
            self.put(path + PART, data)
            self.system.move(path + PART, path)

    def put(self, path: str, data: bytes):
        with self.system.open_output_stream(path) as stream:
            stream.write(data)
