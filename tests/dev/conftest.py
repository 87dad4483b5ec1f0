"""Everything here runs under `python run.py test`, which has loaded dev/ and said where ComfyUI and the models are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def comfyui() -> Path:
    return Path(os.environ["SDC_COMFYUI"])


@pytest.fixture(scope="session")
def models() -> Path:
    return Path(os.environ["SDC_MODELS"])
