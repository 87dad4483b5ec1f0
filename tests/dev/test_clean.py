"""`run.py clean`: what is old goes, what is used or was made by a person stays."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev import clean, comfyui, environment, lock
from dev.environment import SetupError

REPO = Path(environment.__file__).parents[1]
PYTHON = Path(sys.executable)


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def cache(tmp_path):
    """A cache with everything that runs of several versions leave, and with what a person has put there."""
    cache = tmp_path / "cache"
    described = environment.describe_python(PYTHON)
    locks = [environment.UV_LOCK, *lock.paths(comfyui.NEWEST)]
    put(cache / environment.environment_name(described, locks) / environment.MARK, "")
    put(cache / environment.environment_name(described, [*locks, lock.BULK]) / environment.MARK, "")
    put(cache / "env-000000000000" / environment.MARK, "")
    put(cache / "env-111111111111" / "half")
    put(environment.models_folder(cache) / "checkpoints" / "sdc-tiny.safetensors")
    put(cache / "models-000000000000" / "checkpoints" / "sdc-tiny.safetensors")
    put(cache / "models-000000000000" / "controlnet" / ".123-45-sdc-tiny-canny.safetensors")
    put(cache / "models-111111111111" / "checkpoints" / "my-own.safetensors")
    for name in (comfyui.NEWEST, "0.1.0", "0.2.0"):
        put(cache / f"comfyui-{name}" / "main.py")
        put(cache / f"comfyui-{name}" / "models" / "checkpoints" / "put_checkpoints_here")
    put(cache / "comfyui-0.30.0-abc123" / "archive.tar.gz")
    put(cache / "uv" / "package")
    put(cache / "bytecode" / "torch" / "a.pyc")
    put(cache / "base" / "output" / "mine.png")
    put(cache / "training" / "unet.pt")
    put(cache / "notes.txt")
    (cache / "env-000000000000.lock").touch()
    return cache


OLD = {
    "env-000000000000", "env-111111111111", "models-000000000000", "comfyui-0.1.0", "comfyui-0.30.0-abc123", "uv",
    "bytecode",
}  # fmt: skip
MINE = {"base/output/mine.png", "training/unet.pt", "notes.txt", "models-111111111111/checkpoints/my-own.safetensors"}


def names(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


@pytest.fixture
def own_model(cache):
    """Comes into a fetched ComfyUI an hour after that, with an older date."""
    main = cache / "comfyui-0.2.0" / "main.py"
    path = put(cache / "comfyui-0.2.0" / "models" / "checkpoints" / "mine.safetensors")
    os.utime(path, (1, 1))
    return main, path


def test_old_things_go_and_all_others_stay(cache, own_model, monkeypatch, capsys):
    main, path = own_model
    stat = Path.stat

    def earlier(self, **options):  # no program can set the time at which the system saw a file
        found = stat(self, **options)
        return os.stat_result((*found[:9], found.st_ctime - 3600)) if self == main else found

    monkeypatch.setattr(Path, "stat", earlier)
    before = names(cache)
    assert clean.clean(cache, PYTHON, everything=False, agreed=True) == 0
    assert before - names(cache) == OLD
    assert path.exists() and all((cache / name).exists() for name in MINE)
    said = capsys.readouterr().out
    assert all(f"{name}: " in said for name in OLD) and "mine.safetensors" in said and "my-own.safetensors" in said
    assert clean.clean(cache, PYTHON, everything=False, agreed=True) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_all_takes_what_the_next_command_makes_again_too(cache):
    clean.clean(cache, PYTHON, everything=True, agreed=True)
    assert all((cache / name).exists() for name in MINE)
    assert not [name for name in names(cache) if name.startswith(("env-", "comfyui-")) and "." not in name[-5:]]
    assert names(cache) == {"base", "training", "notes.txt", "models-111111111111", "env-000000000000.lock"}


def test_what_another_checkout_uses_stays(cache, tmp_path):
    """Its environment by its locks, its models by what they are made from; until it is gone, or asks for others."""
    other = tmp_path / "other"
    locks = [put(other / "uv.txt", "uv"), put(other / "lock.txt", "a==1")]
    for name in ("dev/random_models.py", "nodes/tiny/install.py", "weights/a.safetensors"):
        put(other / name, name)
    described = environment.describe_python(PYTHON)
    env, models = cache / environment.environment_name(described, locks), environment.models_folder(cache, other)
    put(env / environment.MARK, "")
    put(models / "checkpoints" / "sdc-tiny.safetensors")
    environment.remember(env, "locks", ["/gone/uv.txt"], python=described)
    environment.remember(env, "locks", list(map(str, locks)), python=described)
    environment.remember(models, "checkouts", str(other))
    clean.clean(cache, PYTHON, everything=False, agreed=True)
    assert env.exists() and models.exists()
    put(other / "lock.txt", "a==2")
    put(other / "weights/a.safetensors", "trained anew")
    clean.clean(cache, PYTHON, everything=False, agreed=True)
    assert not env.exists() and not models.exists()


def test_an_environment_is_marked_with_what_it_is_used_for(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "create", lambda env, *_: put(environment.bin_path(env, "python")))
    locks = [put(tmp_path / "lock.txt", "a==1")]
    python = environment.prepare(locks, PYTHON, cache)
    clean.clean(cache, PYTHON, everything=False, agreed=True)
    assert python.exists() and environment.prepare(locks, PYTHON, cache) == python


@pytest.mark.parametrize("answer, removed", [("y\n", True), ("\n", False), ("no\n", False)])
def test_it_asks_first(cache, answer, removed):
    before = names(cache)
    command = [sys.executable, REPO / "run.py", "clean"]
    options = {"env": {**os.environ, "SDC_CACHE": str(cache)}, "capture_output": True, "text": True}
    done = subprocess.run(command, input=answer, **options)
    assert done.returncode == 0 and (names(cache) != before) == removed, done.stderr


def test_it_removes_nothing_where_nobody_can_be_asked(cache):
    before = names(cache)
    command = [sys.executable, REPO / "run.py", "clean"]
    options = {"env": {**os.environ, "SDC_CACHE": str(cache)}, "capture_output": True, "text": True}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 1 and "--yes" in done.stderr and names(cache) == before
    assert subprocess.run([*command, "--yes"], stdin=subprocess.DEVNULL, **options).returncode == 0
    assert before - names(cache) >= OLD


def test_nothing_goes_while_something_is_set_up(cache):
    before = names(cache)
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment.locked(cache / "env-000000000000.lock", "setting up"))
        with pytest.raises(SetupError, match="env-000000000000"):
            clean.clean(cache, PYTHON, everything=True, agreed=True)
    assert names(cache) == before


def test_a_cache_that_is_not_there_is_clean(tmp_path, capsys):
    assert clean.clean(tmp_path / "none", PYTHON, everything=True, agreed=True) == 0
    assert "nothing to remove" in capsys.readouterr().out
