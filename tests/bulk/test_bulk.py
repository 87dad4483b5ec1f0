"""Bulk work from end to end, with Ray itself, as somebody runs it who has the pack in custom_nodes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sdc_pack.codec as codec
import skimage.data
from PIL import Image

from benchmarks import folders
from dev.server import PACK_NAME, link_folder

REPO = Path(__file__).parents[2]
# Python does not end by itself: a thread of Arrow now and then makes it abort then (apache/arrow, issue 34314).
READ = """
import json, os, sys, pyarrow.parquet
tables = [pyarrow.parquet.read_table(path).to_pylist() for path in sys.argv[1:]]
print(json.dumps([[{**row, "data": row["data"].hex()} for row in table] for table in tables]), flush=True)
os._exit(0)
"""


def test_a_folder_becomes_shards_and_a_bad_image_one_named_error(tmp_path):
    images, out, home, comfyui = (tmp_path / name for name in ("images", "out", "home", "comfyui"))
    (images / "sub").mkdir(parents=True)
    (comfyui / "custom_nodes").mkdir(parents=True)
    home.mkdir()
    for path in Path(os.environ["SDC_COMFYUI"]).iterdir():  # the same ComfyUI, with the pack in it
        if path.name != "custom_nodes":
            (comfyui / path.name).symlink_to(path)
    link_folder(REPO, comfyui / "custom_nodes" / PACK_NAME)
    for name in ("a.png", "b.jpg", "sub/a.png"):
        Image.fromarray(skimage.data.astronaut()[:64, :72]).save(images / name)
    (images / "bad.png").write_bytes(b"no image")

    def run():
        command = [sys.executable, comfyui / "custom_nodes" / PACK_NAME / "bulk", "compress"]
        command += [images.as_uri(), out, "--shards", "2", "--workers", "1", "--preset", "clean"]
        variables = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
        # What other tests hold is no reason for Ray to end its workers, again and again.
        variables["RAY_memory_monitor_refresh_ms"] = "0"
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=comfyui)

    done = run()
    if "Ray did not start:" in done.stderr:
        pytest.skip("Ray gives its own processes 15 seconds to start, and this machine is too busy for that")
    assert done.returncode == 1, done.stdout + done.stderr
    assert folders.PACE.search(done.stdout)
    assert "3 done, 1 failed" in done.stdout and "Traceback" not in done.stderr, done.stdout + done.stderr
    settings, *rows = map(json.loads, (out / "manifest.jsonl").read_text().splitlines())
    assert settings["settings"]["command"] == "compress"
    assert sorted(row["target"] for row in rows) == ["a.sdc", "b.sdc", "bad.sdc", "sub/a.sdc"]
    (failed,) = (row for row in rows if "error" in row)
    assert failed["name"] == "bad.png" and "UnidentifiedImageError" in failed["error"]

    shards = sorted(out.glob("shard-*.parquet"))
    read = subprocess.run([sys.executable, "-c", READ, *shards], capture_output=True, text=True, check=True)
    first, second = json.loads(read.stdout)
    stored = {row["name"]: codec.load(bytes.fromhex(row["data"])) for row in first + second}
    assert sorted(stored) == ["a.sdc", "b.sdc", "sub/a.sdc"] and (len(first), len(second)) == (2, 1)
    about = {(image.width, image.height, image.latent_format) for image in stored.values()}
    assert about == {(72, 64, "SD1.x")}

    (images / "bad.png").unlink()
    again = run()
    assert again.returncode == 0 and "0 to do, 3 done already" in again.stdout, again.stdout + again.stderr
    assert not (home / ".ray").exists()  # where Ray would leave a key
