"""What leads the work from inside a cluster, for a command outside. Like a worker it is sent by value."""

import sys


class Driver:
    """Walks the way of the jobs as an actor of the cluster, and hands on the rows."""

    def __init__(self, repository: str, *work):
        sys.path.insert(0, repository)
        from dev.bulk import engine

        self.setup_error = engine.SetupError
        self.rows = engine.work_through(*work)

    def next_row(self) -> dict | None:
        """None after the last one. Of what ends the work only the words, as a row of their own."""
        try:
            return next(self.rows, None)
        except self.setup_error as error:
            return {"stopped": str(error)}
