"""What leads the work from inside a cluster, for a command outside. Like a worker it is sent by value."""

import platform
import sys
from collections.abc import Iterator
from pathlib import Path


class Driver:
    """An actor of the cluster that leads the work and hands on its rows."""

    def __init__(self, repository: str, *work):
        self.rows = rows(repository, work)

    def next_row(self) -> dict | None:
        """None after the last one."""
        return next(self.rows, None)


def rows(repository: str, work: tuple) -> Iterator[dict]:
    """Those of `engine.work_through`. Of an error that ends the work only the words, as a row of their own."""
    if not Path(repository, "dev", "bulk").is_dir():
        yield {"stopped": f"machine {platform.node()} has no folder {repository}, and every one must"}
        return
    sys.path.insert(0, repository)
    from dev.bulk import engine

    try:
        yield from engine.work_through(*work)
    except engine.SetupError as error:
        yield {"stopped": str(error)}
