"""A start of ComfyUI that tells what it does for a pack of custom nodes.

`python startup.py PACK MAIN ARGUMENT ...` runs ComfyUI's main.py and prints a line of JSON about the folder PACK of
custom_nodes.
"""

import json
import runpy
import sys
import time
from pathlib import Path

MARK = "pack loaded: "  # before the JSON


def watch(nodes, pack: str) -> None:
    """Have ComfyUI's own function, which loads its built-in nodes too, tell what it did for the pack."""
    load = nodes.load_custom_node
    opened: list[str] | None = None

    def hook(event, arguments):
        if opened is not None and event == "open":
            opened.append(str(arguments[0]))

    async def load_and_tell(module_path, *arguments, **settings):
        nonlocal opened
        if Path(module_path).name != pack:
            return await load(module_path, *arguments, **settings)
        before, opened = set(sys.modules), []
        start = time.perf_counter()
        loaded = await load(module_path, *arguments, **settings)
        seconds = time.perf_counter() - start
        files, opened = opened, None
        told = {"loaded": loaded, "seconds": seconds, "modules": sorted(set(sys.modules) - before), "files": files}
        print(MARK + json.dumps(told), flush=True)
        return loaded

    sys.addaudithook(hook)
    nodes.load_custom_node = load_and_tell


if __name__ == "__main__":
    _, pack, *sys.argv = sys.argv
    sys.path[0] = str(Path(sys.argv[0]).parent)
    import comfy.options

    comfy.options.enable_args_parsing()
    import nodes  # ComfyUI's own

    watch(nodes, pack)
    runpy.run_path(sys.argv[0], run_name="__main__")
