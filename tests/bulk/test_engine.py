"""What stands between the jobs and Ray."""

import signal
import subprocess
import sys
import time

import pytest
from sdc_pack.bulk import BulkError, engine


@pytest.fixture
def terminated_as_by_ctrl_c():
    """As `ray_running` has it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminated_as_by_ctrl_c")
def test_processes_that_end_one_after_another_end_the_run():
    children = []

    def start(count: int):
        children.extend(
            subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(count)
        )

    def end():
        for child in children:
            child.kill()
            child.wait()

    def rows():
        for name in "ab":
            start(engine.MAX_STARTS)  # of twice as many for one worker; what came before a row does not count
            time.sleep(1.5)
            yield {"name": name}
            end()
        start(2 * engine.MAX_STARTS)
        time.sleep(1.5)
        end()
        while True:  # Ray too looks now and then whether Python was interrupted
            time.sleep(0.1)

    done = engine.while_workers_live(rows(), workers=1)
    try:
        assert [next(done)["name"], next(done)["name"]] == ["a", "b"]
        with pytest.raises(BulkError, match=r"memory is short, with .* GB in use"):
            next(done)
    finally:
        end()
