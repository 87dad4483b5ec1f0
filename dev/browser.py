"""A Chromium for the browser tests: one that is installed, else the system's package, else Playwright's own."""

import os
import shutil
import sys
from pathlib import Path

from . import packages
from .environment import SetupError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PAGES = Path(__file__).parents[1] / "tests" / "browser"


def needed(arguments: list[str]) -> bool:
    """Whether pytest with these arguments may open a page: not if all paths among them are outside tests/browser."""
    if "--ignore=tests/browser" in arguments:
        return False
    places = [PAGES.parents[1].joinpath(argument.partition("::")[0]).resolve() for argument in arguments]
    named = [place for place in places if place.exists() and PAGES.parent in (place, *place.parents)]
    return not named or any(PAGES in (place, *place.parents) or place in PAGES.parents for place in named)


def find_or_install() -> str:
    """Return the path of a Chromium, installing one where that is possible.

    `SDC_CHROMIUM` names another. Raises SetupError that says what was tried.
    """
    if path := os.environ.get("SDC_CHROMIUM") or find():
        return path
    with packages.one_at_a_time():
        tried = []
        for install in (None, install_package, install_playwright):
            if install:
                tried.append(install())
            if path := find():
                return path
    raise SetupError(
        "Found no Chromium or Chrome for the browser tests, and could not install one:\n" + "\n".join(tried) + "\n"
        "SDC_CHROMIUM=FILE names one; `python run.py test --ignore=tests/browser` does without."
    )


def find() -> str | None:
    from playwright.sync_api import sync_playwright

    for path in (*map(shutil.which, NAMES), *PLACES):
        if path and Path(path).is_file():
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


def install_package() -> str:
    return packages.install("chromium")


def install_playwright() -> str:
    return packages.run(sys.executable, "-m", "playwright", "install", "chromium")
