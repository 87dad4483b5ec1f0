"""What every figure in README.md and docs/ comes from: one bench a file, run by `python run.py bench NAME`.

A bench is a module with a docstring, `add_arguments(parser)` and `run(options, results)`; what benches share is in
harness/. When it runs, ComfyUI has been made ready. Where it has `report(rows)`, tables from the rows of its JSON file,
these are printed, and `bench results` puts them into docs/; the same for `plot(rows, path)`. With NEEDS_IMAGES it is
run on images only.
"""

import ast
import importlib
from pathlib import Path


def list_benches() -> dict[str, str]:
    """Name -> what it measures, in the first line of its docstring. Nothing is imported."""
    docstrings = {
        path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in sorted(Path(__file__).parent.glob("[!_]*.py"))
    }
    return {name: text.split("\n")[0] for name, text in docstrings.items()}


def load_bench(name: str):
    return importlib.import_module(f"{__name__}.{name}")
