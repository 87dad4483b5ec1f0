"""The zstd dictionaries that metadata are compressed with: text that prompts and workflows have in common.

A dictionary is named by the start of its SHA-256, and a `.sdc` file says by which it was written. So one that has been
shipped stays in the folder for ever, whatever newer ones come beside it.
"""

import functools
import hashlib
from pathlib import Path

import zstandard

from .errors import SdcUnsupportedError

FOLDER = Path(__file__).resolve().parents[1] / "weights" / "metadata"
NAME_BYTES = 4
LARGEST = 1 << 20
# Those that new files are written with: a prompt with its settings, and whole workflows.
FOR_PROMPTS, FOR_WORKFLOWS = bytes.fromhex("b84032d5"), bytes.fromhex("36a31389")


def name_of(content: bytes) -> bytes:
    """What files call a dictionary with this content."""
    return hashlib.sha256(content).digest()[:NAME_BYTES]


@functools.lru_cache(maxsize=8)  # files name what they like, and those names shall not pile up
def load_dictionary(name: bytes) -> zstandard.ZstdCompressionDict | None:
    """Return the dictionary of this name; None where it is not in the folder, having come after this reader.

    Raises
    ------
    SdcUnsupportedError
        It is there, but changed.
    """
    path = FOLDER / f"{name.hex()}.zdict"
    if len(name) != NAME_BYTES or not path.is_file():
        return None
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if name_of(content) != name:
        raise SdcUnsupportedError(f"the dictionary {path.name} of this reader is damaged: install it again")
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_FULLDICT)
