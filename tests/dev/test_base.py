"""`run.py comfyui`: where it keeps what a person makes, and a second one beside a first."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from dev import base, environment, server
from dev.environment import SetupError

REPO = Path(environment.__file__).parents[1]


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.mark.parametrize(
    "system, variables, expected",
    [
        ("linux", {}, "~/.local/share/sdc"),
        ("linux", {"XDG_DATA_HOME": "~/data"}, "~/data/sdc"),
        ("darwin", {}, "~/Library/Application Support/sdc"),
        ("win32", {"APPDATA": "~/AppData/Roaming"}, "~/AppData/Roaming/sdc"),
        ("linux", {"SDC_HOME": "~/mine"}, "~/mine"),
        ("win32", {"SDC_HOME": "~/mine"}, "~/mine"),
    ],
)
def test_what_a_person_makes_lies_in_no_cache(system, variables, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    for name in ("SDC_HOME", "XDG_DATA_HOME", "APPDATA", "SDC_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, os.path.expanduser(value))
    home = environment.home_root()
    assert home == Path(os.path.expanduser(expected)) and environment.cache_root() not in (home, *home.parents)


def test_what_an_older_version_kept_in_the_cache_is_moved_whole(cache, tmp_path, capsys):
    for name in ("output/a.png", "models/checkpoints/own.safetensors", "user/comfyui.db"):
        (cache / "base" / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / "base" / name).write_text(name)
    server.make_base(cache / "base", REPO)  # with the pack linked into it
    folder = base.find_base(cache, tmp_path / "home")
    assert folder == tmp_path / "home" / "comfyui" and not (cache / "base").exists()
    for name in ("output/a.png", "models/checkpoints/own.safetensors", "user/comfyui.db"):
        assert (folder / name).read_text() == name
    assert str(folder) in capsys.readouterr().out
    server.make_base(folder, REPO)
    assert (folder / "custom_nodes" / server.PACK_NAME / "run.py").samefile(REPO / "run.py")
    assert base.find_base(cache, tmp_path / "home") == folder and capsys.readouterr().out == ""


def test_two_folders_are_never_mixed(cache, tmp_path, capsys):
    for folder in (cache / "base", tmp_path / "home" / "comfyui"):
        folder.mkdir(parents=True)
        (folder / "a").write_text(str(folder))
    assert base.find_base(cache, tmp_path / "home") == tmp_path / "home" / "comfyui"
    assert (cache / "base" / "a").read_text() == str(cache / "base") and str(cache / "base") in capsys.readouterr().out


@pytest.mark.skipif(not os.path.isdir("/dev/shm") or os.name == "nt", reason="needs two file systems")
def test_what_cannot_be_moved_is_used_where_it_is(cache, tmp_path, capsys):
    import tempfile

    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == os.stat(cache).st_dev:
            pytest.skip("/dev/shm is on the same file system")
        (cache / "base").mkdir()
        (cache / "base" / "a").write_text("mine")
        assert base.find_base(cache, Path(other)) == cache / "base"
    assert (cache / "base" / "a").read_text() == "mine" and "SDC_HOME" in capsys.readouterr().out


@contextlib.contextmanager
def listening():
    """A port of ours that somebody listens on."""
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("spelling", [["--port", "{}"], ["--port={}"], ["--cpu", "--port", "{}", "--verbose"]])
def test_a_port_that_is_taken_is_said_and_a_free_one_left_alone(spelling):
    with listening() as port:
        with pytest.raises(SetupError, match=f"Port {port} is in use"):
            base.choose_port([part.format(port) for part in spelling])
    assert base.choose_port([part.format(port) for part in spelling]) is None


def test_without_a_wish_the_next_free_port_is_taken(monkeypatch, capsys):
    with listening() as port:
        monkeypatch.setattr(base, "PORT", port)
        assert base.choose_port([]) > port
        assert f"Port {port} is in use" in capsys.readouterr().out
    assert base.choose_port([]) == port and capsys.readouterr().out == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without telling them")
def test_a_second_one_beside_a_first_says_why_not(cache, comfyui, models, tmp_path):
    """By a real ComfyUI. The models are those of the tests."""
    environment.models_folder(cache).symlink_to(models, target_is_directory=True)
    variables = {**os.environ, "SDC_CACHE": str(cache), "SDC_HOME": str(tmp_path / "home")}
    port = server.free_port()
    command = [sys.executable, REPO / "run.py", "--comfyui", comfyui, "--python", sys.executable, "comfyui", "--cpu"]
    options = {"env": variables, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([*command, "--port", str(port), "--disable-auto-launch"], **options) as first:
        lines = []
        for line in first.stdout:
            lines.append(line)
            if "To see the GUI go to" in line:
                break
        assert first.poll() is None, "".join(lines)
        assert urllib.request.urlopen(f"http://{server.HOST}:{port}/object_info/SDCLoad").status == 200
        for home, reason in (("home", "is at work in"), ("another", f"Port {port} is in use")):
            variables["SDC_HOME"] = str(tmp_path / home)
            free = str(server.free_port() if home == "home" else port)
            second = subprocess.run([*command, "--port", free], **options)
            assert second.returncode == 1 and reason in second.stdout and "Traceback" not in second.stdout
        first.send_signal(signal.SIGTERM)
        first.stdout.read()
        assert first.wait() != 0
    folder = tmp_path / "home" / "comfyui"
    assert (folder / "output").is_dir() and (folder / "user" / "comfyui.db").exists()
    assert not (cache / "base").exists()
    with base.occupied(folder):  # free again
        pass
