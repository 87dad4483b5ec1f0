"""What is to be done, what is done already, and the manifest that says how it went."""

import json
from pathlib import Path

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
KINDS = {"compress": (PICTURES, ".sdc"), "decompress": ((".sdc",), ".png"), "regenerate": ((".sdc",), ".png")}
MANIFEST = "manifest.jsonl"


def find_jobs(command: str, source: Path, output: Path) -> tuple[list[dict], list[dict], int]:
    """What to do, what cannot be done, and how many are done already.

    A job is {"source", "target"}, paths; what cannot be done has an "error" besides. Every file of the right kind in
    `source` and its subfolders has its target under the same name in `output`, with another ending. A target that is
    there counts as done, because files come under their names when they are whole.
    """
    endings, ending = KINDS[command]
    jobs, refused, done = [], [], 0
    targets: dict[Path, Path] = {}
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in endings and path.is_file())
    for path in paths:
        target = (output / path.relative_to(source)).with_suffix(ending)
        job = {"source": str(path), "target": str(target)}
        if target in targets:
            reason = f"{targets[target].name} beside it would get the same name, {target.name}"
            refused.append({**job, "error": reason})
        else:
            targets[target] = path
            if target.exists():
                done += 1
            else:
                jobs.append(job)
    return jobs, refused, done


class Manifest:
    """A file of one line of JSON for each picture, that every run adds to: bytes, bpp, seconds, or an error."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / MANIFEST
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            with self.path.open("ab") as file:  # a run was killed while it wrote its last line
                file.write(b"\n")
        self.file = self.path.open("a", encoding="utf-8")

    def add(self, row: dict):
        self.file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def read_manifest(folder: Path) -> list[dict]:
    """The rows of all runs; a line that was cut short is none."""
    rows = []
    for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
