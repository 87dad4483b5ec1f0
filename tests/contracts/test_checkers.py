"""What the checkers say of the repository. Their last lines stand at the end of the output.

For the types and the imports they see the folders under the names that they are loaded by, not the repository's own.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dev.server import link_folder

ROOT = Path(__file__).parents[2]
MYPY = ["--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache"]


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> Path:
    """A folder that holds sdc_pack, dev and benchmarks."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "sdc_pack").mkdir()
    shutil.copy(ROOT / "__init__.py", folder / "sdc_pack")
    for name in ("sdc_pack/bulk", "sdc_pack/codec", "sdc_pack/nodes", "dev", "benchmarks"):
        link_folder(ROOT / name.removeprefix("sdc_pack/"), folder / name)
    return folder


@pytest.fixture
def check(names, request, record_property):
    def check(*arguments):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=names, capture_output=True, text=True, encoding="utf-8")
        said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr).strip()
        record_property("checker", f"{request.node.name.removeprefix('test_')}: {said.splitlines()[-1]}")
        assert done.returncode == 0, said

    return check


def test_ruff_check(check):
    check("-m", "ruff", "check", ROOT)


def test_ruff_format(check):
    check("-m", "ruff", "format", "--check", ROOT)


def test_mypy(check):
    check("-m", "mypy", *MYPY, "-p", "sdc_pack.bulk", "-p", "sdc_pack.codec", "-p", "sdc_pack.nodes")


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_mypy_on_other_systems(check, platform):
    """The branches that no test here runs: of the files that look at the system, each by itself."""
    files = [path for name in ("codec", "nodes") for path in (ROOT / name).rglob("*.py")]
    looking = [path for path in files if re.search(r"sys\.platform|os\.name", path.read_text("utf-8"))]
    check("-m", "mypy", *MYPY, "--platform", platform, "--follow-imports", "skip", "--no-incremental", *looking)


def test_imports(check):
    script = "from importlinter.cli import lint_imports_command as command; command()"
    check("-c", script, "--no-logo", "--no-cache", ROOT / ".importlinter")


def test_workflows_run_nothing_but_what_is_named_by_its_content():
    """Tags of actions can be moved, and the registry's token lies beside what publish.yml installs."""
    text = "".join(path.read_text("utf-8") for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    actions = re.findall(r"uses: (\S+)", text)
    assert actions and all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in actions)
    installs = re.findall(r"pip install (.*)", text)
    assert installs == ["--require-hashes --only-binary :all: -r .github/publish.txt"]
