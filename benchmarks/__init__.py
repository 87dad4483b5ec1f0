"""The source of every figure in README.md and docs/: one bench a file, run by `python run.py bench NAME`.

A bench is a module with a docstring, `add_arguments(parser)` and `run(options, measurements)`, which returns tables;
some have `plot(rows, path)`. NEEDS_IMAGES marks those that measure on images only. What benches share is in harness/.
By the time `run` is called ComfyUI is ready.
"""

import ast
import importlib
from pathlib import Path


def list_benches() -> dict[str, str]:
    """Name -> first line of its docstring. Nothing is imported."""
    docstrings = {
        path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in sorted(Path(__file__).parent.glob("[!_]*.py"))
    }
    return {name: text.split("\n")[0] for name, text in docstrings.items()}


def load_bench(name: str):
    return importlib.import_module(f"{__name__}.{name}")
