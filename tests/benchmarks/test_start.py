"""What ComfyUI's start does in this pack: nothing heavy before the first use."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import start
from dev import server
from dev.environment import SetupError

REPO, COMFYUI = Path(__file__).parents[2], Path(os.environ["SDC_COMFYUI"])


def test_a_start_imports_what_nodes_need_and_reads_no_weights(tmp_path):
    told = start.start(COMFYUI, REPO, tmp_path / "base")
    own = {name for name in told["modules"] if server.PACK_NAME in name}
    assert any(name.endswith(".nodes.save_sdc") for name in own)
    # What ComfyUI has not loaded by then, or not in every version.
    others = {name.partition(".")[0] for name in set(told["modules"]) - own} - set(sys.stdlib_module_names)
    assert others <= {"zstandard", "PIL", "comfy_config", "comfy_api", "pydantic_settings"}
    files = [Path(path) for path in told["files"]]
    assert any(path.name.startswith("save_sdc.") for path in files)  # so it does see what is opened
    pack = tmp_path / "base" / "custom_nodes" / server.PACK_NAME
    read = [path for path in files if pack in path.parents and "__pycache__" not in path.parts]
    assert {path.suffix for path in read} <= {".py", ".toml"}


def test_a_comfyui_that_does_not_start_is_told(tmp_path):
    (tmp_path / "main.py").write_text("")
    with pytest.raises(SetupError, match="(?s)ended with 1.*No module named 'comfy'"):
        start.start(tmp_path, REPO, tmp_path / "base")


def test_starts_are_told_apart():
    row = {"key": {"starts": 4}, "value": {"first": 0.3, "later": 0.04, "modules": 142, "others": 3}}
    (table,) = start.report([row])
    assert table.rows == [["the first", "0.300"], ["the fastest of 3 later", "0.040"]]
    assert table.notes == ["142 modules of the pack, and 3 that ComfyUI had not loaded before."]
