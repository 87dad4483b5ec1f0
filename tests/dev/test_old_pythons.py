"""run.py on a Python that is too old for the rest: it has to say so, and can hand over to a newer one."""

import ast
import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dev import environment

REPO = Path(environment.__file__).parents[1]


def modules_of_run() -> list[Path]:
    """run.py and the files of dev/ that it has imported before any command runs."""
    script = (
        "import sys, run; print(*[m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)], sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    return [path for path in map(Path, done.stdout.split("\n")) if path.suffix == ".py" and REPO in path.parents]


def test_all_that_run_py_imports_is_understood_by_3_8():
    paths = modules_of_run()
    assert {path.name for path in paths} >= {"run.py", "environment.py", "comfyui.py", "server.py"}
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 8))
        lines = [ast.unparse(node) for node in tree.body]
        # Annotations such as `dict | None` are understood by 3.8 only where nobody looks at them.
        assert path.name in ("run.py", "__init__.py") or "from __future__ import annotations" in lines, path


def old_python(minor: int) -> str:
    """A Python 3.`minor` of this machine."""
    beside = glob.glob(os.path.expanduser(f"~/.pyenv/versions/3.{minor}.*/bin/python"))
    for candidate in (shutil.which(f"python3.{minor}"), *beside):
        check = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
        if candidate and subprocess.run([candidate, "-c", check], capture_output=True).returncode == 0:
            return candidate
    pytest.skip(f"this machine has no Python 3.{minor}")


@pytest.mark.parametrize("minor", [6, 7, 8, 9, 10])
@pytest.mark.parametrize("command", ["test", "comfyui", "demo"])
def test_too_old_a_python_is_told_in_one_sentence(minor, command, tmp_path):
    away = {name: value for name, value in os.environ.items() if name != "COMFYUI_PATH"} | {"SDC_CACHE": str(tmp_path)}
    done = subprocess.run([old_python(minor), REPO / "run.py", command], env=away, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.split("\n", 1)[0:1] if minor < 8 else done.stderr.strip().split("\n")
    assert line.startswith("Python 3.11 or later is needed")
    assert minor < 8 or f"is 3.{minor}; choose another one with --python" in line
    assert done.stdout == "" and not list(tmp_path.iterdir())


def test_an_old_python_starts_a_newer_one():
    """As on a Mac, whose own python3 is 3.9, with ComfyUI's Python beside it."""
    own = ["--comfyui", os.environ["SDC_COMFYUI"], "--python", sys.executable]
    command = [old_python(8), REPO / "run.py", *own, "bench"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "quality" in done.stdout, done.stdout + done.stderr
