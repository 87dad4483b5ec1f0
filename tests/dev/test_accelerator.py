"""Which graphics card is used is said, and why an NVIDIA card is not: by this machine's torch and drivers of paper."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dev import accelerator

CARD = "GPU 0: NVIDIA GeForce RTX 4090"
without_card = pytest.mark.skipif(accelerator.kind() is not None, reason="this machine computes on a graphics card")
not_windows = pytest.mark.skipif(os.name == "nt", reason="the driver's program is played by a shell script")


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Puts a program named nvidia-smi first, which says something and ends with a code."""

    def install(says: str, code: int = 0):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


@pytest.fixture
def seen(monkeypatch):
    """What a torch of another machine would have found, in the fields of this one's own answer."""

    def be(**fields):
        found = {**accelerator.look(), **fields}
        assert found.keys() == accelerator.look().keys()
        monkeypatch.setattr(accelerator, "look_from", lambda python: found)

    return be


def explained() -> str:
    return "\n".join(accelerator.explain(Path(sys.executable)))


def test_another_python_answers_as_this_one():
    assert accelerator.look_from(Path(sys.executable)) == accelerator.look()
    assert accelerator.look()["torch"] == torch.__version__


def test_a_python_without_torch_is_no_error(tmp_path):
    python = tmp_path / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    assert accelerator.look_from(next(tmp_path.glob("*/python*"))) == {}
    assert accelerator.explain(python) == []


@pytest.mark.parametrize(
    "kind, card, name", [("cuda", "NVIDIA GeForce RTX 4090", "CUDA"), ("hip", "AMD Radeon RX 7900", "ROCm"),
                         ("xpu", "Intel Arc A770", "XPU"), ("mps", "this Mac's graphics", "MPS")]
)  # fmt: skip
def test_a_card_that_is_used_is_named(seen, kind, card, name):
    seen(kind=kind, cards=[card])
    assert explained() == f"ComfyUI computes on {card} ({name}, torch {torch.__version__})."


@without_card
def test_a_machine_without_a_card_says_so_in_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert explained().startswith("ComfyUI computes on the processor") and "\n" not in explained()


@without_card
@not_windows
def test_a_card_that_torch_cannot_use_asks_for_a_driver(driver):
    if torch.version.cuda is None:
        pytest.skip("this torch was made without CUDA")
    driver(f"{CARD} (UUID: GPU-0)")
    assert f"There is {CARD}." in explained() and "UUID" not in explained()
    assert (
        f"made for CUDA {torch.version.cuda}, cannot use it." in explained() and "Update NVIDIA's driver" in explained()
    )


@without_card
@not_windows
def test_a_torch_without_cuda_asks_for_another_one(driver, seen):
    seen(cuda=None)
    driver(f"{CARD} (UUID: GPU-0)")
    assert "made without CUDA" in explained() and "--comfyui PATH" in explained()


@without_card
@not_windows
def test_what_torch_warned_of_is_told(driver, seen):
    warned = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
    seen(cuda="13.0", reasons=[warned])
    driver(f"{CARD} (UUID: GPU-0)")
    assert f"It says: {warned}" in explained()


@without_card
@not_windows
def test_a_hidden_card_is_told_from_a_missing_one(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    driver(f"{CARD} (UUID: GPU-0)")
    assert "CUDA_VISIBLE_DEVICES is '', which hides it" in explained()


@without_card
@not_windows
@pytest.mark.parametrize("says", ["No devices found.", "NVIDIA-SMI has failed because it couldn't communicate"])
def test_a_driver_that_does_not_work_is_quoted(driver, says):
    driver(says, code=9)
    assert f"nvidia-smi says: {says}" in explained() and "Install NVIDIA's driver anew" in explained()
