"""The way of the jobs through Ray Data. Ray starts workers and replaces them, gives work out and holds it back."""

import _thread
import contextlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator

from . import BulkError, worker

STORE = 200 << 20  # bytes of shared memory; names and small files travel through it
ATTEMPTS = 4
# Seconds for Ray's own processes, which have half a minute by themselves.
PATIENCE = {"RAY_raylet_start_wait_time_s": "45", "RAY_agent_register_timeout_ms": "60000"}
RETRIES = 2  # of what a worker was at when it ended
RESTARTS = 5  # of a worker; then Ray makes a new one, unless it has never come up
MAX_STARTS = 12  # of processes of Ray's, for each worker, in which none of them has done an image
MAX_TOGETHER = 64  # images that are given out at once; fewer where there are few, so that all workers end together


@contextlib.contextmanager
def ray_running(address: str | None, processors: int | None):
    """Ray itself: that of a cluster, or one for this run alone, of which nothing is left afterwards."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    # What its processes say is of no use to who has not built them; "info" brings it back.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not address:
        # Else Ray is on the network. What it does by itself on these systems it does on all by this.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        # A key for this run alone. Else Ray makes one, and leaves it in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as closing:
        if address:
            closing.callback(ray.shutdown)
            try:
                ray.init(address=address, log_to_driver=False)
            except Exception as error:
                raise BulkError(f"Ray does not answer at {address}: {error}") from None
        else:
            start_here(ray, processors, closing)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray took it, to end without a word
        yield ray


def start_here(ray, processors: int | None, closing: contextlib.ExitStack):
    """Start Ray on this machine. `closing` ends it and removes its folder.

    Ray gives its own processes 15 seconds to start, which no setting changes, and on a machine that has much other work
    they may need more. So it is started anew, several times if need be.
    """
    for attempt in range(1, ATTEMPTS + 1):
        with contextlib.ExitStack() as failing:
            # Not in the usual folder, whose name may be too long for that of a socket.
            folder = tempfile.mkdtemp(prefix="sdc-ray-", dir=None if os.name == "nt" else "/tmp")
            failing.callback(shutil.rmtree, folder, ignore_errors=True)
            failing.callback(ray.shutdown)
            try:
                ray.init(
                    num_cpus=processors, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False,
                    object_store_memory=STORE, logging_level="error", _temp_dir=folder,
                )  # fmt: skip
            except Exception as error:
                if attempt == ATTEMPTS:
                    more = "RAY_BACKEND_LOG_LEVEL=info in the environment says more."
                    raise BulkError(f"Ray did not start: {error}\nOn a busy machine try again later. {more}") from None
                print(f"Ray did not start in time; trying again ({attempt + 1} of {ATTEMPTS})", flush=True)
            else:
                closing.push(failing.pop_all())
                return


def share(machines: list[dict], cores: int, wanted: int | None, need: int) -> tuple[int, dict]:
    """How many workers, and what Ray is to keep free for each, with `need` bytes of memory for one.

    `machines` have "CPU", "GPU" and "memory" in bytes. Unless a number is `wanted`, there is one for each card, or
    else for each so many `cores`, that has memory.
    """
    cards = sum(int(machine.get("GPU", 0)) for machine in machines)
    room = 0
    for machine in machines:
        places = int(machine.get("GPU", 0)) if cards else int(machine.get("CPU", 0)) // cores
        room += min(places, int(machine.get("memory", 0)) // need)
    count = wanted or max(1, room)
    each = {"num_gpus": 1 / -(-count // cards), "num_cpus": 0} if cards else {"num_cpus": cores}
    return count, each if wanted or not room else {**each, "memory": need}


def work_through(jobs: list[dict], settings: dict, workers: int, each: dict) -> Iterator[dict]:
    """The rows of all jobs, in the order in which they are done.

    A worker that ends takes what it was at with it. That is given to others; and what no worker has survived is given
    out once more, one by one, so that of those that were given out together one alone is to blame.
    """
    import ray.data

    # Ray gives no other way yet to say how often to try again: by itself it would try for ever.
    warnings.filterwarnings("ignore", ".*ray_remote_args.*")
    ray.cloudpickle.register_pickle_by_value(worker)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    waiting = {job["target"]: job for job in jobs}
    for most in (MAX_TOGETHER, 1):
        together = min(most, max(1, len(waiting) // (32 * workers)))
        if not waiting:
            return
        blocks = -(-len(waiting) // together)
        results = ray.data.from_items(list(waiting.values()), override_num_blocks=blocks).map(
            worker.Worker, fn_constructor_args=(settings,),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
            max_restarts=RESTARTS, max_task_retries=RETRIES, **each,
        )  # fmt: skip
        for row in while_workers_live(results.iter_rows(), workers):
            if row["broken"]:
                raise BulkError(f"The workers cannot start: {row['error']}")
            waiting.pop(row["target"], None)
            yield row
    for job in waiting.values():
        yield {**job, "error": "its worker ended, each time that it was tried", "seconds": 0.0}


def while_workers_live(rows: Iterable[dict], workers: int) -> Iterator[dict]:
    """`rows`, until on this machine process after process of Ray's ends and none comes: that is for want of memory.

    Where memory is short Ray ends its processes and starts them anew, without end, those in which it keeps its own
    books among them; no setting limits that.

    Raises
    ------
    BulkError
        If since the last row `MAX_STARTS` processes for each of the `workers` were seen to end.
    """
    import psutil

    seen: set[int] = set()
    ended = threading.Event()

    def watch():
        while not ended.wait(0.5):
            alive = {process.pid for process in psutil.Process().children(recursive=True)}
            seen.update(alive)
            if len(seen - alive) >= MAX_STARTS * (workers + 1):
                # It waits for Ray. SIGTERM ends it as Ctrl-C does, which is ignored by what runs in the background.
                _thread.interrupt_main(signal.SIGTERM)
                return

    watcher = threading.Thread(target=watch, name="watch over Ray", daemon=True)
    watcher.start()
    try:
        for row in rows:
            seen.clear()
            yield row
    except KeyboardInterrupt:
        if watcher.is_alive():  # somebody has ended it
            raise
        memory = psutil.virtual_memory()
        raise BulkError(
            f"Ray has ended its workers again and again, and none has done an image: memory is short, with "
            f"{(memory.total - memory.available) / 1e9:.1f} of {memory.total / 1e9:.1f} GB in use.\n"
            "Close other programs or choose fewer --workers, and start again: what is done stays done."
        ) from None
    finally:
        ended.set()
