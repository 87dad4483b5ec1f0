"""The way of the jobs through Ray Data. Ray starts workers and replaces them, gives work out and holds it back."""

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import accelerator
from ..environment import SetupError, tail
from . import worker

STORE = 200 << 20  # bytes of shared memory; names and small files travel through it
# Ray waits half a minute for its own processes, and a machine that has other work may need longer.
PATIENCE = {"RAY_raylet_start_wait_time_s": "300", "RAY_agent_register_timeout_ms": "300000"}
RETRIES = 2  # of what a worker was at when it ended
RESTARTS = 5  # of a worker; then Ray makes a new one, unless it has never come up
MOST_TOGETHER = 64  # pictures that are given out at once; fewer where there are few, so that all workers end together


@contextmanager
def ray_running(address: str | None, processors: int | None):
    """Ray itself: that of a cluster, or one for this run alone, of which nothing is left afterwards."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    # What its processes say is of no use to who has not built them; "info" brings it back.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not address:
        # Else Ray is on the network. What it does without being asked on these systems it does on all by this.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # Not in the folder for temporary files, whose name may be too long for that of a socket.
    folder = None if address else tempfile.mkdtemp(prefix="sdc-ray-", dir=None if os.name == "nt" else "/tmp")
    try:
        start(ray, address, processors, folder)
        yield ray
    finally:
        ray.shutdown()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def start(ray, address: str | None, processors: int | None, folder: str | None):
    try:
        if address:
            ray.init(address=address, log_to_driver=False)
        else:
            ray.init(
                num_cpus=processors, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False,
                object_store_memory=STORE, logging_level="error", _temp_dir=folder,
            )  # fmt: skip
    except Exception as error:
        logs = Path(folder).glob("session_latest/logs/*.err") if folder else []
        said = "".join(f"\n{log.name}: {tail(log, 5)}" for log in logs if log.stat().st_size)
        more = "With RAY_BACKEND_LOG_LEVEL=info in the environment it says more."
        raise SetupError(f"Ray did not start{f' at {address}' if address else ''}: {error}{said}\n{more}") from None


def share(resources: dict, cores: int, wanted: int | None) -> tuple[int, dict]:
    """How many workers, and what Ray is to keep free for each: cards where there are any, else processor cores."""
    if cards := int(resources.get("GPU", 0)):
        count = wanted or cards
        return count, {"num_gpus": 1 / -(-count // cards), "num_cpus": 0}
    count = wanted or max(1, int(resources.get("CPU", 1)) // cores)
    return count, {"num_cpus": cores}


def work_through(ray, jobs: list[dict], settings: dict, workers: int, each: dict) -> Iterator[dict]:
    """The rows of all jobs, in the order in which they are done.

    A worker that ends takes what it was at with it. That is given to others; and what no worker has survived is given
    out once more, one by one, so that of those that were given out together one alone is to blame.
    """
    # Ray gives no other way yet to say how often to try again: by itself it would try for ever.
    warnings.filterwarnings("ignore", ".*ray_remote_args_fn.*")
    ray.cloudpickle.register_pickle_by_value(worker)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    waiting = {job["target"]: job for job in jobs}
    for most in (MOST_TOGETHER, 1):
        together = min(most, max(1, len(waiting) // (32 * workers)))
        if not waiting:
            return
        blocks = -(-len(waiting) // together)
        results = ray.data.from_items(list(waiting.values()), override_num_blocks=blocks).map_batches(
            worker.Worker, fn_constructor_args=(settings,), batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
            ray_remote_args_fn=lambda: {"max_restarts": RESTARTS, "max_task_retries": RETRIES}, **each,
        )  # fmt: skip
        for row in results.iter_rows():
            if row["broken"]:
                raise SetupError(f"The workers cannot start: {row['error']}")
            waiting.pop(row["target"], None)
            yield row
    for job in waiting.values():
        yield {**job, "error": "its worker ended, each time that it was tried", "seconds": 0.0}


def uses_processor(each: dict) -> bool:
    """Whether workers compute on the processor: where Ray has no card to give, and this is no Mac."""
    return not each.get("num_gpus") and accelerator.kind() != "mps"
