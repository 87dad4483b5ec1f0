"""Writing and reading files on a real file system, from several processes."""

import io
import subprocess
import sys

import pytest
import sdc_codec as codec

WRITER = """
import sys
from pathlib import Path
import codec
folder, mark, count = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
(folder / f"{sys.argv[2]}.ready").touch()
while len(list(folder.glob("*.ready"))) < 2:
    pass
for number in range(count):
    try:
        codec.write_whole(folder / f"{number}.sdc", mark * 3000)
        print(number, flush=True)
    except FileExistsError:
        pass
"""


def start(root, script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def test_a_new_file_is_whole_and_alone(tmp_path):
    codec.write_whole(tmp_path / "a.sdc", b"content")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.sdc", b"content")]


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "a.sdc"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"a\.sdc"):
        codec.write_whole(path, b"new")
    assert path.read_bytes() == b"precious"
    codec.write_whole(str(path), b"new", overwrite=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.sdc", b"new")]


def test_a_link_to_nowhere_is_a_name_taken(tmp_path):
    try:
        (tmp_path / "a.sdc").symlink_to(tmp_path / "nowhere")
    except OSError:
        pytest.skip("this Windows lets nobody make links")
    with pytest.raises(FileExistsError):
        codec.write_whole(tmp_path / "a.sdc", b"new")
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        codec.write_whole(tmp_path / "missing" / "a.sdc", b"new")


def test_two_processes_never_take_the_same_name(root, tmp_path):
    count = 400
    writers = {mark: start(root, WRITER, tmp_path, mark, count) for mark in "xy"}
    won = {mark: [int(line) for line in writer.communicate()[0].split()] for mark, writer in writers.items()}
    assert all(writer.returncode == 0 for writer in writers.values())
    assert sorted(won["x"] + won["y"]) == list(range(count))
    for mark, numbers in won.items():
        assert all((tmp_path / f"{number}.sdc").read_bytes() == mark.encode() * 3000 for number in numbers)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows renames without links")
def test_a_drive_without_hard_links_is_written_to_and_nothing_replaced(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(codec.files.os, "link", refuse)
    codec.write_whole(tmp_path / "a.sdc", b"content")
    monkeypatch.setattr(codec.files.os.path, "lexists", lambda _: False)  # it came a moment later
    with pytest.raises(FileExistsError):
        codec.write_whole(tmp_path / "a.sdc", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.sdc", b"content")]


def test_a_process_killed_while_writing_leaves_no_half_file(root, tmp_path):
    (tmp_path / "other.ready").touch()
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / "other.ready").touch()
        writer = start(root, WRITER.replace("* 3000", "* 10_000_000"), folder, "x", 1000)
        while not writer.stdout.readline():
            pass
        writer.kill()
        writer.communicate()
        found = list(folder.glob("*.sdc"))
        assert found and all(path.stat().st_size == 10_000_000 for path in found)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of files")
def test_a_full_disk_leaves_nothing(root, tmp_path):
    script = (
        "import resource, sys, codec\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: codec.write_whole(sys.argv[1], bytes(3000))\n"
        "except OSError as error: print(error.strerror)\n"
    )
    writer = start(root, script, tmp_path / "a.sdc")
    assert "large" in writer.communicate()[0]
    assert list(tmp_path.iterdir()) == []


def test_reading_stops_one_byte_after_the_most_a_file_may_have(tmp_path):
    class Endless(io.RawIOBase):
        taken = 0

        def read(self, size=-1):
            assert 0 <= size
            self.taken += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(codec.SdcLimitError, match="more than 33554432 bytes"):
        codec.read_bounded(endless)
    assert endless.taken == codec.MAX_FILE_BYTES + 1
    with open(tmp_path / "sparse.sdc", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(codec.SdcLimitError):
        codec.read_bounded(tmp_path / "sparse.sdc")
    (tmp_path / "small.sdc").write_bytes(b"small")
    assert codec.read_bounded(tmp_path / "small.sdc") == b"small"
