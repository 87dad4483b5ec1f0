"""What becomes of finished images: files, which workers have written, or Parquet shards, which are written here."""

import contextlib
import re

from . import BulkError
from .manifest import Manifest

SHARD = "shard-{:06}.parquet"
GROUP = 8 << 20  # bytes of results that are held before they go into the shard
MAX_SHARD = 512 << 20  # bytes after which a shard ends, however few results are in it


class Files:
    """Each result is a file of its own, which its worker has written already: what is left is to note it."""

    def __init__(self, output, manifest: Manifest):
        self.output, self.manifest = output, manifest

    def done(self) -> set[str]:
        """What is there and noted. A file that no run came to note is given to a worker, who looks at it again."""
        names = self.output.names()
        self.output.remove_strays(names)
        return self.manifest.done() & set(names)

    def keep(self, row: dict, data: bytes):
        self.manifest.add(row)

    def finish(self):
        pass


class Shards:
    """Parquet files that hold up to `count` results each, as rows of "name", "data", "bytes" and "bpp".

    Not Ray Data's own writer: it names no results, and a task that it tries again leaves the same ones twice.
    """

    def __init__(self, output, manifest: Manifest, count: int):
        import pyarrow
        import pyarrow.parquet

        self.arrow, self.parquet = pyarrow, pyarrow.parquet
        types = {"name": pyarrow.string(), "data": pyarrow.binary(), "bytes": pyarrow.int64(), "bpp": pyarrow.float64()}
        self.schema = pyarrow.schema(types)
        self.output, self.manifest, self.count, self.next = output, manifest, count, 0
        self.start()

    def start(self):
        self.closing, self.writer = contextlib.ExitStack(), None
        self.waiting: list[dict] = []  # rows with their data, for the next group
        self.written: list[dict] = []  # rows that are noted once the shard is whole
        self.held = self.size = 0  # bytes waiting, and in the whole shard

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
                raise BulkError(f"{shard} in {self.output} is no shard of results: {error}\nMove it away.") from None
        return found

    def keep(self, row: dict, data: bytes):
        if "error" in row:
            self.manifest.add(row)
            return
        self.waiting.append({**row, "name": row["target"], "data": data})
        self.written.append(row)
        self.held += len(data)
        self.size += len(data)
        if self.held >= GROUP:
            self.write_group()
        if len(self.written) == self.count or self.size >= MAX_SHARD:
            self.finish()

    def write_group(self):
        if self.writer is None:
            file = self.closing.enter_context(self.output.stream(SHARD.format(self.next)))
            # Not compressed: the results are already.
            writer = self.parquet.ParquetWriter(file, self.schema, compression="none", use_dictionary=False)
            self.writer = self.closing.enter_context(writer)
        table = self.arrow.Table.from_pylist(self.waiting, self.schema)
        self.waiting, self.held = [], 0  # before, as Ctrl-C is heard after the line that it came in
        self.writer.write_table(table)

    def finish(self):
        """End the shard that has begun, and note what is in it."""
        if not self.written:
            return
        with self.closing:  # which gives the shard its name
            self.write_group()
        shard = SHARD.format(self.next)
        for row in self.written:
            self.manifest.add({**row, "shard": shard})
        print(f"wrote {shard}: {len(self.written)} images", flush=True)
        self.next += 1
        self.start()
