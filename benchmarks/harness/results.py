"""Figures that are measured once: kept in a JSON file as they come, found there again by a later run."""

import hashlib
import json
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from dev.environment import SetupError, say

REPO = Path(__file__).parents[2]
PACKAGES = ("torch", "numpy", "pillow", "opencv-python-headless", "opencv-python", "zstandard", "lpips", "piq")
SECONDS_BETWEEN_SAVES = 5


class Results:
    """The rows of one bench, and the file they are kept in, if any.

    `get` is all that a bench needs. In the file a row is {"key": what was measured, "commit": of which state of the
    code, "value": figures}.
    """

    def __init__(self, path: Path | None, bench: str, settings: dict | None = None, keep: bool = False):
        self.path = path
        self.head = {"bench": bench, "settings": settings or {}, "made_by": made_by()}
        self.commit = commit()
        self.known: dict[str, dict] = {}
        self.asked: dict[str, dict] = {}
        self.saved_at = time.monotonic()
        if path and path.exists():
            self.known = {text(row["key"]): row for row in self.earlier_rows(path, bench, keep)}

    def earlier_rows(self, path: Path, bench: str, keep: bool) -> list[dict]:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["bench"] != bench:
                raise KeyError
        except (ValueError, KeyError, TypeError):
            raise SetupError(f"{path} is there and holds no figures of the bench {bench}; name another file.") from None
        if found["made_by"] == self.head["made_by"] or keep:
            return found["rows"] + found["earlier"]
        say(f"{path} holds figures of other code or versions: measured anew (--keep reuses them).")
        return []

    @property
    def rows(self) -> list[dict]:
        """What this run has asked for, in that order."""
        return list(self.asked.values())

    def get(self, key: dict, measure) -> dict:
        """The figures under this key, by calling `measure()` unless they are known.

        The key has to name everything that the figures depend on (image, settings), the figures must be JSON.
        """
        name = text(key)
        if name not in self.known:
            value = json.loads(json.dumps(measure(), allow_nan=False))
            self.known[name] = {"key": key, "commit": self.commit, "value": value}
        self.asked[name] = self.known[name]
        if time.monotonic() - self.saved_at > SECONDS_BETWEEN_SAVES:
            self.save()
        return self.known[name]["value"]

    def save(self):
        """Write the file whole or not at all: the rows of this run, and apart those that only earlier runs needed."""
        self.saved_at = time.monotonic()
        if not self.path or not self.known:
            return
        earlier = [row for name, row in self.known.items() if name not in self.asked]
        content = {**self.head, "rows": self.rows, "earlier": earlier}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        part.replace(self.path)


def text(key: dict) -> str:
    return json.dumps(key, sort_keys=True)


def made_by() -> dict:
    """What figures depend on besides their key: the pack's code and the versions it runs with."""
    digest = hashlib.sha256()
    for path in sorted([*REPO.glob("codec/**/*.py"), *REPO.glob("nodes/**/*.py")]):
        digest.update(path.relative_to(REPO).as_posix().encode() + path.read_bytes())
    packages = {name: installed(name) for name in PACKAGES}
    return {
        "code": digest.hexdigest()[:12],
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        **{name: version for name, version in packages.items() if version},
    }


def commit() -> str:
    """The commit that is checked out, "-dirty" behind it where files differ from it."""
    command = ["git", "-C", str(REPO), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def image_key(name: str, pixels: np.ndarray) -> dict:
    """An image as part of a key: its name, and its content in case another one takes that name."""
    return {"image": name, "pixels": hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:12]}
