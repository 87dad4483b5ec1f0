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
    os.utime(path, (time.time() - 7200,) * 2)


def test_what_a_killed_writer_left_goes_and_nothing_else_does(root, tmp_path):
    killed = writer_in_the_middle(root, tmp_path / "killed.sdc")
    killed.kill()
    killed.communicate()
    (part,) = tmp_path.iterdir()
    alive = writer_in_the_middle(root, tmp_path / "alive.sdc")
    others = ["holiday.sdc.mp4.part", "killed.sdc.part", ".0123456789abcdef.sdc-partial", "0123456789abcdef.sdc-part"]
    for name in others:
        (tmp_path / name).write_bytes(b"of another program")
        age(tmp_path / name)
    codec.remove_strays(tmp_path)
    assert part.exists()  # its writer may be slow
    age(part)
    codec.remove_strays(tmp_path)
    assert not part.exists()
    alive.communicate("\n")
    assert (tmp_path / "alive.sdc").stat().st_size == 3000
    assert {path.name for path in tmp_path.iterdir()} == {"alive.sdc", *others}


def test_a_folder_that_is_not_there_has_none(tmp_path):
    codec.remove_strays(tmp_path / "missing")
