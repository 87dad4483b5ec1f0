"""Locks between runs, on file systems that have them and on one that has none."""

import errno
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from dev import environment

REPO = Path(environment.__file__).parents[1]
HOLD_LOCK = """
import sys, time
from pathlib import Path
from dev.environment import locked
with locked(Path(sys.argv[1]), "busy"):
    print("in", flush=True)
    if len(sys.argv) > 2:
        time.sleep(float(sys.argv[2]))
    else:
        sys.stdin.read()
    print("out", flush=True)
"""
# Tells the kernel to answer flock with an error from now on, as it does for a file system that keeps no locks: a filter
# program of four instructions (load the call's number; is it flock?; then this error; else go on).
WITHOUT_FLOCK = """
import ctypes, struct, sys
number, error = int(sys.argv.pop()), int(sys.argv.pop())
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x00050000 | error), (6, 0, 0, 0x7FFF0000)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(code), ctypes.cast(filters, ctypes.c_void_p))
assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()  # seccomp, by filter
"""
FLOCK = {"x86_64": 73, "aarch64": 32}


def hold_lock(path, *arguments, script=HOLD_LOCK):
    command = [sys.executable, "-c", script, path, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_second_run_waits_for_the_first_and_says_so(tmp_path):
    with hold_lock(tmp_path / "lock") as first:
        assert first.stdout.readline() == "in\n"
        with hold_lock(tmp_path / "lock", "0") as second:
            assert second.stdout.readline() == "Waiting: another run is busy.\n"
            first.stdin.close()
            assert first.stdout.readline() == "out\n"
            assert second.stdout.read() == "in\nout\n"


def test_lock_of_a_killed_run_is_free(tmp_path):
    with hold_lock(tmp_path / "lock") as first:
        assert first.stdout.readline() == "in\n"
        first.kill()
        first.wait()
        with hold_lock(tmp_path / "lock", "0") as second:
            assert second.stdout.read() == "in\nout\n"


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() not in FLOCK, reason="asks Linux to refuse locks")
@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_without_locks_a_run_warns_and_goes_on(tmp_path, error):
    number = FLOCK[platform.machine()]
    with hold_lock(tmp_path / "lock", 0, error, number, script=WITHOUT_FLOCK + HOLD_LOCK) as run:
        said, _ = run.communicate()
    assert run.returncode == 0
    assert "file system without locks" in said and "SDC_CACHE" in said
    assert said.endswith("in\nout\n") and "Waiting" not in said
