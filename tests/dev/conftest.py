"""Everything here runs under `python run.py test`, which has loaded dev/ and said where ComfyUI and the models are."""

import os
import sys
from pathlib import Path

import pytest

from dev.server import Server


@pytest.fixture(scope="session")
def comfyui() -> Path:
    return Path(os.environ["SDC_COMFYUI"])


@pytest.fixture(scope="session")
def models() -> Path:
    return Path(os.environ["SDC_MODELS"])


@pytest.fixture(scope="session")
def server(comfyui, models):
    """ComfyUI with the stand-ins and without the pack: what dev/ does for itself."""
    with Server(comfyui, Path(sys.executable), models=[models], cpu=True) as running:
        yield running
