"""A real ComfyUI in this process, with the pack loaded beside it as ComfyUI would load it.

`python run.py test` says where ComfyUI and the models are (SDC_COMFYUI, SDC_MODELS).
"""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def load_pack(name: str = "sdc_pack"):
    """Import the pack by path under a name of its own, since ComfyUI owns the name `nodes`."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


load_pack()
sys.path.insert(0, os.environ["SDC_COMFYUI"])
