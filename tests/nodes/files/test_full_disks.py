"""Saving where it cannot be done, on a real small file system and as an ordinary user."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import sdc_pack.codec as codec

NOBODY = 65534
SAVER = """
import os, runpy, sys
from pathlib import Path
runpy.run_path(sys.argv[1])
import folder_paths
from sdc_pack.nodes.files.paths import save_under
folder_paths.set_output_directory(sys.argv[2])
data = Path(sys.argv[3]).read_bytes()
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(int(sys.argv[4]))
    os.setuid(int(sys.argv[4]))
for prefix in sys.argv[5:]:
    try:
        print("saved", save_under(prefix, 512, 512, data)[1])
    except OSError as error:
        print("refused", error)
"""
needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can mount a small disk and be another user"
)


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data"
    random = np.random.default_rng(0)
    path.write_bytes(codec.encode([random.normal(size=(4, 64, 64)).astype(np.float32)], "custom")[0].data)
    return path


def save_as_nobody(folder: Path, data: Path, *prefixes: str) -> list[str]:
    conftest = Path(__file__).parents[2] / "conftest.py"
    command = [sys.executable, "-c", SAVER, conftest, folder, data, NOBODY, *prefixes]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def reachable():
    """A folder that every user may look into; pytest's own are for one alone."""
    with tempfile.TemporaryDirectory(prefix="sdc-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def small_disk(reachable):
    """A file system of 16 kB that anybody may write to."""
    folder = reachable / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=777", "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip(f"this machine does not let root mount a disk: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@needs_root
def test_a_full_disk_keeps_what_is_on_it_and_nothing_else(small_disk, data):
    answers = save_as_nobody(small_disk, data, *["a"] * 8)
    saved = [answer.removeprefix("saved ") for answer in answers if answer.startswith("saved")]
    assert 1 <= len(saved) < 8
    for answer in answers[len(saved) :]:
        assert answer.startswith("refused ComfyUI could not write to") and "No space left" in answer
    assert sorted(os.listdir(small_disk)) == saved
    assert all((small_disk / name).read_bytes() == data.read_bytes() for name in saved)


@needs_root
def test_a_read_only_folder_is_named(reachable, data):
    folder = reachable / "output"
    (folder / "locked").mkdir(parents=True)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    answers = save_as_nobody(folder, data, "locked/a", "new/a", "open/a")
    assert [answer.split()[0] for answer in answers] == ["refused", "refused", "saved"]
    assert "locked" in answers[0] and "permissions" in answers[0] and "permissions" in answers[1]
    assert sorted(path.name for path in folder.rglob("*")) == ["a_00001_.sdc", "locked", "open"]


@needs_root
def test_a_folder_that_has_vanished_is_made_again(small_disk, data):
    """As when somebody tidies the output folder up while ComfyUI runs."""
    folder = small_disk / "output"  # not there yet
    assert save_as_nobody(folder, data, "SDC/a") == ["saved a_00001_.sdc"]
    shutil.rmtree(folder)
    assert save_as_nobody(folder, data, "SDC/a", "SDC/a") == ["saved a_00001_.sdc", "saved a_00002_.sdc"]
    assert not list(small_disk.rglob("*.sdc-part"))
