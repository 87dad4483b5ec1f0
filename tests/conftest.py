"""A real ComfyUI in this process, with the pack loaded beside it as ComfyUI would load it; and one as a server.

`python run.py test` says where ComfyUI and the models are (SDC_COMFYUI, SDC_MODELS).
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def load_package(name: str, folder: Path):
    """Import by path: with the repository on sys.path, the pack's `nodes` would hide ComfyUI's."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


load_package("sdc_pack", ROOT)
load_package("dev", ROOT / "dev")
load_package("benchmarks", ROOT / "benchmarks")
sys.path.insert(0, os.environ["SDC_COMFYUI"])

from dev.server import Server  # noqa: E402

# Each runs in the order below in whatever process is free, and all files of a group in the same one. What talks to the
# server is the longest chain, so it goes first; the short ones of the codec come last, to end together.
GROUPS = ("browser", "workflows", "dev/test_server"), ("dev/test_demo",), ("nodes",), ("contracts",), ("",)


def pytest_collection_modifyitems(items):
    """Share the tests out by file, so that what a file prepares for its tests is prepared once."""

    def place(item) -> tuple[int, int, str]:
        name = item.path.relative_to(ROOT / "tests").with_suffix("").as_posix()
        return next(
            (number, group.index(start), name)
            for number, group in enumerate(GROUPS)
            for start in group
            if name.startswith(start)
        )

    items.sort(key=place)
    for item in items:
        number, _, name = place(item)
        item.add_marker(pytest.mark.xdist_group("server" if number == 0 else name))


def pytest_terminal_summary(terminalreporter):
    """What the checkers said last."""
    reports = (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
    lines = [value for report in reports for name, value in report.user_properties if name == "checker"]
    if lines:
        terminalreporter.section("checkers")
        terminalreporter.write_line("\n".join(sorted(lines)))


@pytest.fixture(scope="session")
def photograph(tmp_path_factory) -> Path:
    """A small astronaut: Eileen Collins, photographed by NASA, public domain."""
    import skimage.data
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).resize((128, 128), Image.Resampling.LANCZOS).save(path)
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory, photograph):
    """ComfyUI as its user runs it, with the pack in custom_nodes and the models for trying out."""
    base = tmp_path_factory.mktemp("comfyui")
    (base / "input").mkdir()
    shutil.copy(photograph, base / "input" / "example.png")  # as every ComfyUI has one
    models = Path(os.environ["SDC_MODELS"])
    with Server(os.environ["SDC_COMFYUI"], sys.executable, pack=ROOT, models=[models], base=base) as server:
        yield server
