"""The manifest: a text file that every run adds to, with one line of JSON for each image.

The first line holds the settings that all results in that place were made with. The others have "name" and "target",
and either "bytes", "bpp" (bits per pixel of the .sdc file) and "seconds", or "error". Of several lines for an image
the last one counts.
"""

import json
from pathlib import Path

from filelock import FileLock, Timeout

from ..environment import SetupError

NAME = "manifest.jsonl"


class Manifest:
    """Context manager: the manifest, held against other runs, with `rows` as earlier runs have left them."""

    def __init__(self, path: Path, settings: dict):
        """Raises SetupError if another run holds it, or if results there were made with other settings."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise SetupError(f"Another run is at work with {path}. Wait for it, or choose another OUTPUT.") from None
        self.file = path.open("a+", encoding="utf-8")
        try:
            lines = read_lines(self.file)
            self.rows = {row["target"]: row for row in lines if "target" in row}
            before = next((row["settings"] for row in lines if "settings" in row), None)
            self.start(before, settings)
        except BaseException:
            self.__exit__()
            raise

    def start(self, before: dict | None, settings: dict):
        if before is None:
            self.add({"settings": settings})
        elif before != settings:
            different = [key for key in {**before, **settings} if before.get(key) != settings.get(key)]
            other = [f"{key} {before.get(key)}" for key in different]
            raise SetupError(
                f"The results in {self.path.parent} were made with {', '.join(other)}. Choose another OUTPUT, or the "
                "same settings to go on."
            )

    def add(self, row: dict):
        self.file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.file.flush()

    def done(self) -> set[str]:
        return {target for target, row in self.rows.items() if "error" not in row}

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
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            lines.append(row)
    return lines
