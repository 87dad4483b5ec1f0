"""What `run.py bulk` finds to do, where results go, and its manifest; nothing here needs Ray."""

import json

import pytest

from dev.bulk.jobs import find_jobs
from dev.bulk.manifest import Manifest
from dev.bulk.places import Folder, place
from dev.bulk.results import Files
from dev.environment import SetupError

NAMES = ["b.PNG", "a/c.jpg", "notes.txt", "old.sdc", ".hidden", "z.sdc.part"]


def test_each_file_of_the_right_kind_has_one_target():
    jobs, refused, done = find_jobs("compress", NAMES, {"b.sdc"})
    assert jobs == [{"name": "a/c.jpg", "target": "a/c.sdc"}] and (refused, done) == ([], 1)
    assert find_jobs("regenerate", NAMES, set())[0] == [{"name": "old.sdc", "target": "old.png"}]
    # To some disks A and a are the same.
    jobs, (refused,), _ = find_jobs("compress", ["x/a.jpg", "x/A.png", "a.png"], set())
    assert [job["name"] for job in jobs] == ["a.png", "x/A.png"]
    assert refused["name"] == "x/a.jpg" and "x/A.png would get the same name" in refused["error"]


def test_a_folder_takes_whole_files_and_never_changes_one(tmp_path):
    folder = place(str(tmp_path / "out"))
    assert isinstance(folder, Folder) and folder.names() == []
    folder.write("a/b.sdc", b"first")
    with pytest.raises(FileExistsError):
        folder.write("a/b.sdc", b"second")
    (tmp_path / "out" / "c.png.part").write_bytes(b"of a worker that was killed")
    assert not folder.has("c.png")
    folder.write("c.png", b"whole")
    assert sorted(folder.names()) == ["a/b.sdc", "c.png"]
    assert [folder.open(name).read() for name in ("a/b.sdc", "c.png")] == [b"first", b"whole"]


def test_a_manifest_goes_on_and_only_what_is_noted_and_there_is_done(tmp_path):
    settings = {"command": "compress", "bpp": None}
    path, output = tmp_path / "manifest.jsonl", Folder(str(tmp_path))
    for name in ("été.sdc", "unnoted.sdc"):
        output.write(name, b"x")
    with Manifest(path, settings) as manifest:
        manifest.add({"target": "été.sdc", "error": "no light"})
        manifest.add({"target": "été.sdc", "bytes": 5})
        manifest.add({"target": "gone.sdc", "bytes": 5})
        with pytest.raises(SetupError, match="Another run is at work"):
            Manifest(path, settings)
    with path.open("ab") as file:
        file.write(b'{"target": "unno')  # killed while it wrote
    with Manifest(path, settings) as manifest:
        assert Files(output, manifest).done() == {"été.sdc"}
        manifest.add({"target": "c.sdc", "bytes": 7})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"settings": settings} and json.loads(lines[-1])["target"] == "c.sdc"
    with pytest.raises(SetupError, match="were made with bpp None"):
        Manifest(path, {**settings, "bpp": 0.1})
