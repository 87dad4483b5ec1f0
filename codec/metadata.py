"""The optional metadata sections: a JSON object, compressed; shorter by a dictionary that readers have too."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import zstandard

from . import dictionaries, zstd_frame
from .errors import SdcArgumentError, SdcFormatError

PLAIN, BY_DICTIONARY = "m", "d"  # tags of the sections
# Parsed JSON can take sixty times the room of its text, so this may cost 30 MB and a quarter of a second. ComfyUI
# workflows take 5 to 200 kB.
MAX_BYTES = 512 << 10
MAX_DEPTH = 100
TOO_DEEP = f"are nested more than {MAX_DEPTH} levels deep"
KNOWN_TYPES: dict[str, type] = {"prompt": str, "workflow": dict}


def to_sections(metadata: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Return the shortest section for `metadata` as {tag: payload}; an empty dict for None and {}.

    Raises SdcArgumentError as `check_metadata` does.
    """
    if not metadata:
        return {}
    text = check_metadata(metadata)
    found = [(PLAIN, zstd_frame.compress(text))]
    name = dictionaries.FOR_WORKFLOWS if "workflow" in metadata else dictionaries.FOR_PROMPTS
    dictionary = dictionaries.load_dictionary(name)
    if dictionary is not None:
        frame = zstd_frame.compress(text, dictionary)
        found.append((BY_DICTIONARY, name + frame.removeprefix(zstd_frame.MAGIC)))
    return dict([min(found, key=lambda section: len(section[1]))])


def from_sections(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a file, {} where it has none, or none that this reader has the dictionary for.

    Parameters
    ----------
    sections : mapping of str to bytes-like
        Payload by tag.

    Raises
    ------
    SdcFormatError
        What is there is damaged.
    """
    text = inflate(sections)
    return {} if text is None else parse(text)


def inflate(sections: Mapping[str, Any], max_bytes: int = MAX_BYTES) -> bytes | None:
    """Return the metadata of these sections as text of at most `max_bytes`, None where `from_sections` gives {}."""
    if PLAIN in sections:
        return _inflate(sections[PLAIN], max_bytes)
    if BY_DICTIONARY not in sections:
        return None
    payload = sections[BY_DICTIONARY]
    name, rest = bytes(payload[: dictionaries.NAME_BYTES]), bytes(payload[dictionaries.NAME_BYTES :])
    dictionary = dictionaries.load_dictionary(name)
    return None if dictionary is None else _inflate(zstd_frame.MAGIC + rest, max_bytes, dictionary)


def check_metadata(metadata: Mapping[str, Any]) -> bytes:
    """Return `metadata`, JSON values with string keys, as the text that a file may store.

    Raises
    ------
    SdcArgumentError
        Not a dict, not JSON (NaN and infinity included), a "prompt" that is not a string, a "workflow" that is not
        an object, nested deeper than 100 levels, or more than 512 KiB as text.
    """
    try:
        text = _to_text(metadata)
        _from_text(text)  # what is written must be readable
    except ValueError as error:
        raise SdcArgumentError(f"metadata {error}") from None
    if len(text) > MAX_BYTES:
        raise SdcArgumentError(f"metadata take {len(text)} bytes as JSON; at most {MAX_BYTES} may be stored")
    return text


def parse(text: bytes) -> dict[str, Any]:
    """Parse what `inflate` gives into a dict, or raise `SdcFormatError`."""
    try:
        metadata = _from_text(text)
        if b"\\u" in text:
            _to_text(metadata)  # what is read must be writable: this finds unpaired surrogates
    except ValueError as error:
        raise SdcFormatError(f"the metadata {error}") from None
    return metadata


def _inflate(frame: Any, max_bytes: int, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    return zstd_frame.decompress(frame, max_bytes, "metadata", dictionary)


# In both directions the message of a ValueError completes a sentence that starts with "metadata".


def _to_text(metadata: Any) -> bytes:
    """Serialize to compact UTF-8 JSON with sorted keys."""
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        return text.encode("utf-8")
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from None


def _from_text(text: bytes) -> dict[str, Any]:
    """Parse UTF-8 JSON and check it against FORMAT.md."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"are not UTF-8: {error}") from None
    try:
        metadata = json.loads(
            decoded, parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_finite_integer
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except ValueError as error:
        raise ValueError(f"are not valid JSON: {error}") from None
    top_level = type(metadata).__name__
    if top_level != "dict":
        raise ValueError(f"must be an object, not {top_level}")
    for key, expected in KNOWN_TYPES.items():
        if key in metadata and not isinstance(metadata[key], expected):
            raise ValueError(f"have a {key!r} that is {type(metadata[key]).__name__}, not {expected.__name__}")
    if _depth_exceeds(metadata, MAX_DEPTH):
        raise ValueError(TOO_DEEP)
    return metadata


def _depth_exceeds(value: Any, limit: int) -> bool:
    """Whether containers nest deeper than `limit`; goes level by level, so nothing can exhaust the stack."""
    level = [value]
    for _ in range(limit):
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(container: dict | list) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is out of range")
    return value


def _finite_integer(text: str) -> int:
    _finite_float(text)
    return int(text)
