"""Browsers for the browser tests: those that are installed, else the system's packages, else Playwright's Chromium."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from . import packages
from .environment import SetupError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
FIREFOX_NAMES = ("firefox", "firefox-esr")
FIREFOX_PLACES = (
    "/Applications/Firefox.app/Contents/MacOS/firefox",
    r"C:\Program Files\Mozilla Firefox\firefox.exe",
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
    return _find_or_install("Chromium or Chrome", "SDC_CHROMIUM", find, [install_package, install_playwright])


def find_or_install_firefox() -> str:
    """The same for a Firefox, which `SDC_FIREFOX` names. Playwright's is another: one with a protocol of its own."""
    return _find_or_install(
        "Firefox", "SDC_FIREFOX", find_firefox, [lambda: packages.install(packages.ALONE, "firefox-esr")]
    )


def _find_or_install(
    name: str, variable: str, find: Callable[[], str | None], installers: list[Callable[[], str]]
) -> str:
    if path := os.environ.get(variable) or find():
        return path
    with packages.one_at_a_time():
        tried = []
        for install in (None, *installers):
            if install:
                tried.append(install())
            if path := find():
                return path
    raise SetupError(
        f"Found no {name} for the browser tests, and could not install one:\n" + "\n".join(tried) + "\n"
        f"{variable}=FILE names one; `python run.py test --ignore=tests/browser` does without."
    )


def find() -> str | None:
    from playwright.sync_api import sync_playwright

    if path := _first_of(NAMES, PLACES):
        return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


def find_firefox() -> str | None:
    return _first_of(FIREFOX_NAMES, FIREFOX_PLACES)


def _first_of(names: tuple[str, ...], places: tuple[str, ...]) -> str | None:
    return next((path for path in (*map(shutil.which, names), *places) if path and Path(path).is_file()), None)


def install_package() -> str:
    return packages.install("chromium")


def install_playwright() -> str:
    return packages.run(sys.executable, "-m", "playwright", "install", "chromium")
