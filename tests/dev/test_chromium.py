"""The Chromium of the browser tests: installed once, however many processes ask for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev import browser

REPO = Path(browser.__file__).parents[1]
# In place of Debian's: like it, this fails while another one is at work.
APT_GET = """#!/bin/sh
PATH=/usr/bin:/bin; cd "$(dirname "$0")"
echo "$3 $4 $5" >> calls
mkdir lock 2>/dev/null || { echo "E: Could not get lock"; exit 100; }
sleep 1
[ "$3" = update ] || { cp "$0" chromium; }
rmdir lock
"""
ASK = "import os; os.geteuid = lambda: 0; from dev import browser; print(browser.find_or_install())"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no apt-get")
def test_two_set_ups_at_once_install_it_once(tmp_path):
    (tmp_path / "apt-get").write_text(APT_GET)
    (tmp_path / "apt-get").chmod(0o755)
    variables = {**os.environ, "PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "none")}
    variables.pop("SDC_CHROMIUM", None)
    options = {"cwd": REPO, "env": variables, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", ASK], **options) for _ in range(2)]
    for said in [process.communicate()[0] for process in both]:
        assert said.endswith(f"{tmp_path / 'chromium'}\n"), said
    assert (tmp_path / "calls").read_text() == "update  \ninstall -y chromium\n"


def test_a_named_one_is_taken(monkeypatch):
    monkeypatch.setenv("SDC_CHROMIUM", "/opt/mine")
    assert browser.find_or_install() == "/opt/mine"


@pytest.mark.parametrize(
    "arguments, needed",
    [
        ([], True),
        (["-x", "-k", "workflows"], True),  # the name of a folder, but of no test
        (["tests"], True),
        (["tests/codec", "tests/browser/test_files.py::test_dropping"], True),
        (["tests/codec/test_files.py::test_names", "-q"], False),
        (["--ignore=tests/browser"], False),
    ],
)
def test_it_is_installed_where_a_page_may_be_opened(arguments, needed):
    assert browser.needed(arguments) is needed
