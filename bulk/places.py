"""Where images lie and where results go: a folder, or a bucket that pyarrow has a file system for.

Not by Ray Data's readers and writers: a file that one of those cannot read or write costs a whole block of others, and
what they write is there under its name before it is whole. Names have / between folders, from the place on.
"""

import contextlib
import io
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

from .. import codec
from . import BulkError

PART = ".part"
# Here what is written appears once it is whole. Elsewhere it gets its name afterwards.
OBJECT_STORES = ("abfs", "gcs", "s3")
KEYS_BELONG = (
    "keys do not belong into an address, which is noted in the manifest and sent to workers. They are found where they "
    "usually are: for s3:// in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in ~/.aws/credentials or in the machine's "
    "role; for gs:// in GOOGLE_APPLICATION_CREDENTIALS; for abfs:// by `az login` or the machine's identity."
)


class Place:
    """A folder by its path, the same on all machines, or a bucket by its address, such as s3://bucket/folder."""

    def __init__(self, text: str):
        self.text, self.fs, self.root = str(Path(text).resolve()), fs.LocalFileSystem(), Path(text).resolve().as_posix()
        if re.match("[A-Za-z][A-Za-z0-9+]+://", text):
            refuse_keys(text)
            try:
                self.fs, self.root = fs.FileSystem.from_uri(text)
            except (OSError, ValueError) as error:
                raise BulkError(f"{text} cannot be used: {error}") from None
            self.text, self.root = text, self.root.rstrip("/")
        self.local = isinstance(self.fs, fs.LocalFileSystem)

    def __str__(self):
        return self.text

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def names(self) -> list[str]:
        """Of all files in it and in its subfolders, none if it is not there."""
        if self.local:  # pyarrow stops at a name that is not UTF-8
            return [path.relative_to(self.root).as_posix() for path in Path(self.root).rglob("*") if path.is_file()]
        found = self.fs.get_file_info(fs.FileSelector(self.root, allow_not_found=True, recursive=True))
        return [each.path[len(self.path("")) :] for each in found if each.is_file]

    def has(self, name: str) -> bool:
        return self.fs.get_file_info(self.path(name)).type != fs.FileType.NotFound

    def open(self, name: str):
        # Some formats of Pillow read lines, which pyarrow's own files cannot.
        return io.BufferedReader(self.fs.open_input_file(self.path(name)), 1 << 20)

    def write(self, name: str, data: bytes):
        """Write a new file, whole or not at all. FileExistsError where there is one."""
        if self.local:
            path = Path(self.path(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            codec.write_whole(path, data)
            return
        if self.has(name):
            raise FileExistsError(17, "there is a file of this name already", self.path(name))
        with self.stream(name) as file:
            file.write(data)

    def remove_strays(self, names: list[str]):
        """Remove the parts among these files that workers have left which were killed while writing."""
        for folder in {Path(self.path(name)).parent for name in names if name.endswith(".sdc-part") and self.local}:
            codec.remove_strays(folder)

    @contextlib.contextmanager
    def stream(self, name: str):
        """A file to write to, which has its name once all is written."""
        path = self.path(name)
        if self.fs.type_name in OBJECT_STORES:
            with self.fs.open_output_stream(path) as file:
                yield file
            return
        self.fs.create_dir(path.rpartition("/")[0], recursive=True)
        with self.fs.open_output_stream(path + PART) as file:
            yield file
        self.fs.move(path + PART, path)


def refuse_keys(address: str):
    """Raise BulkError, which does not repeat it, for an address with a key or password in it."""
    scheme, _, rest = address.partition("://")
    # A key may hold a / itself, and then it is none to urlsplit.
    named = re.search(":.*@", rest) or (scheme.lower() == "s3" and "@" in rest.partition("/")[0])
    words = [name for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True)]
    if named or any(re.search("key|secret|token|password|sig", word, re.IGNORECASE) for word in words):
        raise BulkError(f"An address of {scheme}:// holds a key or a password: {KEYS_BELONG}")
