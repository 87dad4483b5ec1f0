"""What bulk work finds to do, where results go, its manifest and its shards; nothing here needs Ray or a model."""

import json
import os
import subprocess
import sys

import pytest
from sdc_pack.bulk import BulkError, engine, places
from sdc_pack.bulk.jobs import find_jobs
from sdc_pack.bulk.manifest import Manifest
from sdc_pack.bulk.places import Place
from sdc_pack.bulk.results import Files

NAMES = ["b.PNG", "a/c.jpg", "notes.txt", "old.sdc", ".hidden", "z.sdc.part"]


def test_each_file_of_the_right_kind_has_one_target():
    jobs, refused, done = find_jobs("compress", NAMES, {"b.sdc"})
    assert jobs == [{"name": "a/c.jpg", "target": "a/c.sdc"}] and (refused, done) == ([], 1)
    assert find_jobs("regenerate", NAMES, set())[0] == [{"name": "old.sdc", "target": "old.png"}]
    # To some disks A and a are the same.
    jobs, (refused,), _ = find_jobs("compress", ["x/a.jpg", "x/A.png", "a.png"], set())
    assert [job["name"] for job in jobs] == ["a.png", "x/A.png"]
    assert refused["name"] == "x/a.jpg" and "x/A.png would get the same name" in refused["error"]


@pytest.mark.parametrize("name", ["../a.png", "a/../../b.png", "/a.png", "a//b.png", "./a.png", "..\\a.png", "a\\b.png",
                                  "C:/a.png", "a/c:b.png"])  # fmt: skip
def test_a_name_that_leads_out_of_the_output_is_refused(name):
    jobs, (refused,), _ = find_jobs("compress", [name, "good.png"], set())
    assert [job["name"] for job in jobs] == ["good.png"]
    assert refused["name"] == name and "may lead out of OUTPUT" in refused["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_a_name_that_is_not_utf_8_is_refused_by_name(tmp_path):
    for name in (b"caf\xe9.png", b"good.png"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    jobs, (refused,), _ = find_jobs("compress", Place(str(tmp_path)).names(), set())
    assert [job["name"] for job in jobs] == ["good.png"]
    assert refused == {
        "name": "caf\\udce9.png",
        "target": "caf\\udce9.sdc",
        "error": "its name is not UTF-8: rename it",
    }


def test_a_folder_takes_whole_files_and_never_changes_one(tmp_path):
    folder = Place((tmp_path / "out").as_uri())
    assert folder.names() == []
    folder.write("a/b.sdc", b"first")
    with pytest.raises(FileExistsError):
        folder.write("a/b.sdc", b"second")
    folder.write("c.png", b"whole")
    stray = tmp_path / "out" / "a" / ".0123456789abcdef.sdc-part"
    stray.write_bytes(b"of a worker that was killed")
    os.utime(stray, (0, 0))
    folder.remove_strays(folder.names())
    with pytest.raises(RuntimeError), folder.stream("d.parquet") as file:
        file.write(b"half")
        raise RuntimeError
    assert not folder.has("d.parquet")
    (tmp_path / "out" / "d.parquet.part").unlink()
    assert sorted(folder.names()) == ["a/b.sdc", "c.png"]
    assert [folder.open(name).read() for name in ("a/b.sdc", "c.png")] == [b"first", b"whole"]


@pytest.mark.parametrize("address", ["s3://AKIA:SECRET@bucket/folder", "s3://AKIA:SEC/RET@bucket", "s3://SECRET@bucket",
                                     "s3://bucket/folder?secret_key=SECRET", "abfs://me:SECRET@account/x"])  # fmt: skip
def test_keys_in_an_address_are_refused_and_not_repeated(address):
    with pytest.raises(BulkError, match="AWS_SECRET_ACCESS_KEY") as refused:
        Place(address)
    assert "SECRET@" not in str(refused.value) and "=SECRET" not in str(refused.value)
    for harmless in ("s3://bucket/a@b", "gs://anonymous@bucket/x", "s3://bucket/a?region=eu-west-1"):
        places.refuse_keys(harmless)


def test_a_manifest_goes_on_and_only_what_is_noted_and_there_is_done(tmp_path):
    settings = {"command": "compress", "bpp": None, "source": "to\u2028another\ud800line"}
    path, output = tmp_path / "manifest.jsonl", Place(str(tmp_path))
    for name in ("été.sdc", "unnoted.sdc"):
        output.write(name, b"x")
    with Manifest(path, settings) as manifest:
        manifest.add({"name": "été.png", "target": "été.sdc", "error": "no light"})
        manifest.add({"name": "été.png", "target": "été.sdc", "bytes": 5})
        manifest.add({"name": "été.jpg", "target": "été.sdc", "error": "would get the same name"})
        manifest.add({"name": "gone.png", "target": "gone.sdc", "bytes": 5})
        with pytest.raises(BulkError, match="Another run is at work"):
            Manifest(path, settings)
    with path.open("ab") as file:
        file.write(b'{"name": "unno')  # killed while it wrote
    with Manifest(path, settings) as manifest:
        assert Files(output, manifest).done() == {"été.sdc"}
        manifest.add({"name": "c.png", "target": "c.sdc", "bytes": 7})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"settings": settings} and json.loads(lines[-1])["target"] == "c.sdc"
    with pytest.raises(BulkError, match="were made with bpp None"):
        Manifest(path, {**settings, "bpp": 0.1})


# In a Python of its own, which measures its memory and ends by itself: a thread of Arrow now and then makes it abort
# then (apache/arrow, issue 34314).
SHARDS = """
import json, os, resource, sys
import sdc_pack.bulk.results as results
from sdc_pack.bulk.manifest import Manifest
from sdc_pack.bulk.places import Place
from pathlib import Path

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

results.MAX_SHARD = 100 << 20
output = Place(sys.argv[1])
with Manifest(Path(sys.argv[1], "manifest.jsonl"), {}) as manifest:
    shards = results.Shards(output, manifest, 10_000)
    shards.keep({"name": "bad.sdc", "target": "bad.png", "error": "no light"}, b"")
    before = peak()
    for number in range(101):
        row = {"name": f"{number}.sdc", "target": f"{number}.png", "bytes": 3, "bpp": 0.1}
        shards.keep(row, number.to_bytes(1, "big") * (2 << 20))
    taken = peak() - before
    shards.finish()
    done = sorted(results.Shards(output, manifest, 9).done())
    first = shards.parquet.read_table(Path(sys.argv[1], "shard-000000.parquet")).to_pylist()
    right = all(row["data"] == int(row["name"][:-4]).to_bytes(1, "big") * (2 << 20) for row in first)
print(json.dumps({"taken": taken, "done": len(done), "first": len(first), "right": right}), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory as Unix tells it")
def test_shards_are_written_as_a_stream_and_end_by_bytes_too(tmp_path, run_with_pack):
    told = json.loads(run_with_pack(SHARDS, tmp_path).splitlines()[-1])
    assert told["taken"] < 100, told  # MB, while 202 MB go through
    assert {**told, "taken": 0} == {"taken": 0, "done": 101, "first": 50, "right": True}
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert rows[1]["error"] == "no light" and [row["shard"][-9] for row in rows[2:]] == ["0"] * 50 + ["1"] * 50 + ["2"]


def test_workers_are_as_many_as_memory_allows():
    gigabyte = 1 << 30
    small, large = {"CPU": 16.0, "memory": 5.0 * gigabyte}, {"CPU": 4.0, "memory": 64.0 * gigabyte}
    assert engine.share([small], 1, None, 2 * gigabyte) == (2, {"num_cpus": 1, "memory": 2 * gigabyte})
    assert engine.share([small, large], 2, None, 2 * gigabyte)[0] == 2 + 2
    assert engine.share([small], 1, 7, 2 * gigabyte) == (7, {"num_cpus": 1})  # as somebody wants it
    assert engine.share([small], 1, None, 9 * gigabyte) == (1, {"num_cpus": 1})  # Ray would wait for ever
    cards = {"CPU": 8.0, "GPU": 4.0, "memory": 64.0 * gigabyte}
    assert engine.share([cards], 1, 8, gigabyte) == (8, {"num_gpus": 0.5, "num_cpus": 0})
    assert engine.share([cards], 1, None, gigabyte)[0] == 4


def test_without_ray_the_command_says_how_to_install_it(tmp_path, run_with_pack):
    program = "import sys; sys.modules['pyarrow'] = None; from sdc_pack.bulk.command import main; "
    (tmp_path / "comfy").mkdir()
    program += "print(main(['compress', 'a', 'b', '--comfyui', sys.argv[1]]))"
    told = run_with_pack(program, tmp_path)
    assert told.splitlines()[-1] == "1" and "pyarrow is not installed" in told and "-m pip install -r" in told


@pytest.fixture
def run_with_pack(pytestconfig):
    """Runs a program with one argument in a new Python that has imported the pack; gives what it prints."""
    start = f"import runpy; runpy.run_path({str(pytestconfig.rootpath / 'bulk' / '__main__.py')!r})['load_pack']()\n"

    def run(program: str, argument) -> str:
        command = [sys.executable, "-c", start + program, argument]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run
