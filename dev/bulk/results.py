"""What becomes of finished images: files, which workers have written, or Parquet shards, which are written here."""

import io
import re

from ..environment import SetupError, say
from .manifest import Manifest
from .places import Bucket, Folder

SHARD = "shard-{:06}.parquet"


class Files:
    """Each result is a file of its own, which its worker has written already: what is left is to note it."""

    def __init__(self, output: Folder | Bucket, manifest: Manifest):
        self.output, self.manifest = output, manifest

    def done(self) -> set[str]:
        """What is there and noted. A file that no run came to note is given to a worker, who looks at it again."""
        return self.manifest.done() & set(self.output.names())

    def keep(self, row: dict, data: bytes):
        self.manifest.add(row)

    def finish(self):
        pass


class Shards:
    """Parquet files that hold `count` results each, as rows of "name", "data", "bytes" and "bpp"."""

    def __init__(self, output: Folder | Bucket, manifest: Manifest, count: int):
        import pyarrow
        import pyarrow.parquet

        self.arrow, self.parquet = pyarrow, pyarrow.parquet
        self.output, self.manifest, self.count = output, manifest, count
        self.waiting: list[tuple[dict, bytes]] = []
        self.next = 0

    def done(self) -> set[str]:
        found: set[str] = set()
        for shard in self.output.names():
            if not (match := re.fullmatch(r"shard-(\d+)\.parquet", shard)):
                continue
            self.next = max(self.next, int(match[1]) + 1)
            try:
                with self.output.open(shard) as file:
                    found.update(self.parquet.read_table(file, columns=["name"])["name"].to_pylist())
            except (OSError, ValueError, KeyError) as error:
                raise SetupError(f"{shard} in {self.output} is no shard of results: {error}\nMove it away.") from None
        return found

    def keep(self, row: dict, data: bytes):
        if "error" in row:
            self.manifest.add(row)
            return
        self.waiting.append((row, data))
        if len(self.waiting) == self.count:
            self.finish()

    def finish(self):
        """Write the shard that has begun, and note what is in it."""
        if not self.waiting:
            return
        columns = {
            "name": [row["target"] for row, _ in self.waiting],
            "data": self.arrow.array([data for _, data in self.waiting], self.arrow.binary()),
            **{key: [row[key] for row, _ in self.waiting] for key in ("bytes", "bpp")},
        }
        buffer = io.BytesIO()
        self.parquet.write_table(self.arrow.table(columns), buffer, compression="none")  # it is compressed already
        shard = SHARD.format(self.next)
        self.output.write(shard, buffer.getvalue())
        for row, _ in self.waiting:
            self.manifest.add({**row, "shard": shard})
        say(f"wrote {shard}: {len(self.waiting)} images")
        self.next += 1
        self.waiting = []
