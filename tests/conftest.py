"""A real ComfyUI in this process, with the pack loaded beside it as ComfyUI would load it; and one as a server.

`python run.py test` says where ComfyUI and the models are (SDC_COMFYUI, SDC_MODELS).
"""

import importlib.util
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import psutil
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

# These go in this order to whatever process is free. What talks to a server takes longest, so it goes first, and all
# that shares one to the same process: of the browser's tests those on one front end, since each has a server of its
# own. The short files of the codec come last, to end together, after its longest.
SHARING = ("browser/",), ("workflows/", "dev/test_server")
CHAINS = *SHARING, ("dev/", "bulk/", "nodes/", "contracts/", "benchmarks/", "codec/test_refinement", "")
FRONT_ENDS = "own", "newest", ""
FUZZ_INPUTS = 2000  # in an ordinary run
FUZZ_PART = 10_000  # inputs that hypothesis may remember at once


def place(nodeid: str) -> tuple[int, int, str]:
    """Where a test's file comes: its chain, its place in there, its name."""
    file = nodeid.partition("::")[0].removeprefix("tests/")
    starts = ((chain, number, start) for chain, names in enumerate(CHAINS) for number, start in enumerate(names))
    return next((chain, number, file) for chain, number, start in starts if file.startswith(start))


def front_end(nodeid: str) -> str:
    """On which the page of a test runs; "" for one without ComfyUI's page."""
    found = re.search(r"[\[-](own|newest)[\]-]", nodeid)
    return found[1] if found else ""


def pytest_collection_modifyitems(config, items):
    # All on one front end, then all on the other, then what needs neither.
    items.sort(
        key=lambda item: (*place(item.nodeid)[:2], FRONT_ENDS.index(front_end(item.nodeid)), place(item.nodeid)[2])
    )
    if config.getoption("fuzz"):
        config.hook.pytest_deselected(items=[item for item in items if not item.get_closest_marker("fuzz")])
        items[:] = [item for item in items if item.get_closest_marker("fuzz")]
    for item in items:
        if item.get_closest_marker("release") and not config.getoption("release"):
            item.add_marker(pytest.mark.skip(reason="only run before a release, by --release"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Share the tests out by file, so that what a file prepares for its tests is prepared once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            chain, _, file = place(nodeid)
            if chain >= len(SHARING) or (file.startswith("browser/") and not front_end(nodeid)):
                return file
            return f"server {chain} {front_end(nodeid)}"

    return ByFile(config, log)


def pytest_addoption(parser):
    parser.addoption("--release", action="store_true", help="also what is only run before a release")
    parser.addoption("--fuzz", type=int, metavar="N", help="only the fuzzing, with so many inputs")


def pytest_configure(config):
    config.addinivalue_line("markers", "release: only run before a release, by --release")
    config.addinivalue_line("markers", "front_ends(*names): of the page, 'own' and 'newest', that a test runs on")
    config.addinivalue_line("markers", "fuzz: what --fuzz N runs, and nothing else")
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_keyboard_interrupt():
    """Tell the processes, so that each ends its servers, once. Ctrl-C reaches them by itself, SIGTERM does not."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
    elif os.name != "nt":  # where this would kill them
        for process in psutil.Process().children():
            process.terminate()


def pytest_terminal_summary(terminalreporter):
    """What the checkers said last."""
    reports = (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed"))
    lines = [value for report in reports for name, value in report.user_properties if name == "checker"]
    if lines:
        terminalreporter.section("checkers")
        terminalreporter.write_line("\n".join(sorted(lines)))


@pytest.fixture
def fuzz(request):
    """Run `check` on `count` inputs of hypothesis' strategies, or as many in proportion as --fuzz says."""
    from hypothesis import HealthCheck, given, seed, settings

    options = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))

    def fuzz(count, check, *strategies):
        count = request.config.getoption("fuzz") * count // FUZZ_INPUTS if request.config.getoption("fuzz") else count
        for start in range(0, count, FUZZ_PART):
            part = settings(options, max_examples=min(FUZZ_PART, count - start))
            seed(start)(part(given(*strategies)(check)))()

    return fuzz


@pytest.fixture(scope="session")
def photograph(tmp_path_factory) -> Path:
    """A small astronaut: Eileen Collins, photographed by NASA, public domain."""
    import skimage.data
    from PIL import Image

    path = tmp_path_factory.mktemp("images") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).resize((128, 128), Image.Resampling.LANCZOS).save(path)
    return path


@pytest.fixture(scope="session")
def make_server(tmp_path_factory, photograph):
    """Make a ComfyUI as its user runs it, with the pack in custom_nodes and the models for trying out."""

    def make(**options) -> Server:
        base = tmp_path_factory.mktemp("comfyui")
        (base / "input").mkdir()
        shutil.copy(photograph, base / "input" / "example.png")  # as every ComfyUI has one
        models = [Path(os.environ["SDC_MODELS"])]
        return Server(os.environ["SDC_COMFYUI"], sys.executable, pack=ROOT, models=models, base=base, **options)

    return make


@pytest.fixture(scope="session")
def server(make_server):
    with make_server() as server:
        yield server
