"""What processes that were killed while writing leave behind, and who tidies it up."""

import os
import subprocess
import sys
import time

import sdc_codec as codec

KILLED = """
import sys, codec
codec.files.os.fsync = lambda _: (print("writing", flush=True), input())
codec.write_whole(sys.argv[1], bytes(3000))
"""


def writer_in_the_middle(root, path):
    command = [sys.executable, "-c", KILLED, str(path)]
    writer = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "writing\n"
    return writer


def age(path):
    os.utime(path, (time.time() - 60,) * 2)


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(root, tmp_path):
    killed, alive = (writer_in_the_middle(root, tmp_path / f"{name}.sdc") for name in ("killed", "alive"))
    killed.kill()
    killed.communicate()
    for path in tmp_path.glob("*.part"):
        age(path)
    (tmp_path / "mine.part").write_bytes(b"no business of ours")
    age(tmp_path / "mine.part")
    (tmp_path / "fresh.sdc.part").write_bytes(b"its writer may be about to lock it")
    codec.remove_strays(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive.sdc.part", "fresh.sdc.part", "mine.part"]
    alive.communicate("\n")
    assert (tmp_path / "alive.sdc").stat().st_size == 3000


def test_a_folder_that_is_not_there_has_none(tmp_path):
    codec.remove_strays(tmp_path / "missing")
