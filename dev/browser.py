"""A Chromium for the browser tests: one that is installed, else Playwright's own, else the system's package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .environment import SetupError, say

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)


def find_or_install(playwright) -> str:
    """Return the path of a Chromium, installing one where that is possible.

    `SDC_CHROMIUM` names another. Raises SetupError that says what was tried.
    """
    if given := os.environ.get("SDC_CHROMIUM"):
        return given
    own = playwright.chromium.executable_path
    tried = []
    for install in (None, install_package, install_playwright):
        if install:
            tried.append(install())
        for path in (*map(shutil.which, NAMES), *PLACES, own):
            if path and Path(path).is_file():
                return path
    raise SetupError(
        "Found no Chromium or Chrome for the browser tests, and could not install one:\n" + "\n".join(tried)
    )


def install_package() -> str:
    """Debian's and Ubuntu's package, where we are root (a container, a fresh virtual machine)."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "apt-get: only as root on Debian or Ubuntu"
    return "\n".join(run("apt-get", *arguments) for arguments in (("update",), ("install", "-y", "chromium")))


def install_playwright() -> str:
    return run(sys.executable, "-m", "playwright", "install", "chromium")


def run(*command: str) -> str:
    say(f"No Chromium here: {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    return f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-1000:]}"
