"""Loads the package by path as `sdc_codec`, so that these tests need nothing on sys.path and no ComfyUI; and with it
the second decoder and what damages files."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def _load(name, path, **options):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path, **options)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


_load("sdc_codec", ROOT / "codec" / "__init__.py", submodule_search_locations=[str(ROOT / "codec")])
_load("plain_archive", Path(__file__).with_name("plain_archive.py"))
_load("plain_learned", Path(__file__).with_name("plain_learned.py"))
_load("plain_decoder", Path(__file__).with_name("plain_decoder.py"))
_load("damage", Path(__file__).with_name("damage.py"))
_load("dev_environment", ROOT / "dev" / "environment.py")

import damage  # noqa: E402


def smooth_latent(channels=4, height=16, width=24, seed=0):
    """Waves plus a little noise: correlated as real latents are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [4 * np.sin(x / (3 + c) + rng.uniform(0, 6)) + 3 * np.cos(y / (4 + c)) for c in range(channels)]
    return (np.stack(waves) + rng.normal(scale=0.3, size=(channels, height, width))).astype(np.float32)


# Two entries, (0, 0, 0, 0) and (255, 255, 255, 255), on the ranges -1 to 1, 0 to 2, 0.5 to 0.5 and -4 to 4.
SMALL_PALETTE = np.array([-1, 1, 0, 2, 0.5, 0.5, -4, 4], "<f2").tobytes() + bytes(4) + b"\xff" * 4


@pytest.fixture
def small_sections():
    """Sections of the smallest two-pixel image: entry 1, then entry 0."""
    return [(b"P", SMALL_PALETTE), (b"I", b"\x80")]


@pytest.fixture(name="build_file", scope="session")
def _build_file():
    return damage.build_file


@pytest.fixture(name="smooth_latent")
def _smooth_latent():
    return smooth_latent


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def fixtures(root):
    return root / "tests" / "fixtures"


@pytest.fixture
def run_python(root):
    """Run Python in a process of its own, in the repository's root; output is bytes when the input is."""

    def run_python(*arguments, stdin=None):
        command = [sys.executable, *map(str, arguments)]
        text = {} if isinstance(stdin, bytes) else {"text": True, "encoding": "utf-8"}
        env = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(command, cwd=root, input=stdin, capture_output=True, check=False, env=env, **text)

    return run_python


@pytest.fixture
def run(run_python):
    """Run the command line."""
    return lambda *arguments, **options: run_python("-m", "codec", *arguments, **options)


@pytest.fixture
def run_here(capsys):
    """Run the command line in this process, for commands that would only import torch once more."""
    from sdc_codec import command_line

    def run_here(*arguments):
        capsys.readouterr()
        try:
            status = command_line.main([*map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run_here
