"""The manifest: a text file that every run adds to, with one line of JSON for each image.

The first line holds the settings that all results in that place were made with. The others have "name" and "target",
and either "bytes", "bpp" (bits per pixel of the .sdc file) and "seconds", or "error"; "notes" where there are any. Of
several lines for an image the last one counts.
"""

import json
from pathlib import Path

from filelock import FileLock, Timeout

from . import BulkError

NAME = "manifest.jsonl"


class Manifest:
    """Context manager: the manifest, held against other runs, with `rows` by name as earlier runs have left them."""

    def __init__(self, path: Path, settings: dict):
        """Raises BulkError if another run holds it, or if results there were made with other settings."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(f"{path}.lock")
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise BulkError(f"Another run is at work with {path}. Wait for it, or choose another OUTPUT.") from None
        try:
            self.file = path.open("a+", encoding="ascii", errors="replace", newline="\n")
            lines = read_lines(self.file)
            self.rows = {row["name"]: row for row in lines if "name" in row}
            self.start(next((row["settings"] for row in lines if "settings" in row), None), settings)
        except BaseException:
            self.lock.release()
            raise

    def start(self, before: dict | None, settings: dict):
        if before is None:
            self.add({"settings": settings})
        elif before != settings:
            different = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
            other = [f"{key} {before.get(key)}" for key in different]
            raise BulkError(
                f"The results in {self.path.parent} were made with {', '.join(other)}. Choose another OUTPUT, or the "
                "same settings to go on."
            )

    def add(self, row: dict):
        # In ASCII: what else ends a line to some readers, such as U+2028, is written as \u2028.
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()

    def done(self) -> set[str]:
        """Results that were noted, whether they are still there or not."""
        return {row["target"] for row in self.rows.values() if "error" not in row}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.lock.release()


def read_lines(file) -> list[dict]:
    """All whole lines. One that was cut short, by a kill or a full disk, is none, and the next one starts anew."""
    file.seek(0)
    text = file.read()
    if text and not text.endswith("\n"):
        file.write("\n")
    lines = []
    for line in text.split("\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            lines.append(row)
    return lines
