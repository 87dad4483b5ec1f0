"""`python custom_nodes/comfyui-sdc/bulk ...`, by the Python that runs ComfyUI; or `python -m bulk` in that folder.

The pack's folder has a name that Python cannot import, and its `nodes` would hide ComfyUI's: it is loaded by its path.
"""

import importlib.util
import os
import signal
import sys
from pathlib import Path

HERE = Path(os.path.abspath(__file__)).parent  # in custom_nodes, also where the pack is a link there


def load_pack():
    """Import the pack under the name sdc_pack, with none of its own folders on the search path."""
    pack = HERE.parent
    own = [folder.resolve() for folder in (HERE, pack)]
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in own]
    spec = importlib.util.spec_from_file_location(
        "sdc_pack", pack / "__init__.py", submodule_search_locations=[str(pack)]
    )
    assert spec and spec.loader
    sys.modules["sdc_pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["sdc_pack"])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Slurm and `ray job stop` end it
    load_pack()
    from sdc_pack.bulk.command import main

    code = main(sys.argv[1:])
    # When all is done, a thread of Arrow now and then makes Python abort as it ends (apache/arrow, issue 34314).
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
