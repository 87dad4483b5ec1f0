"""Packages of Debian and Ubuntu that tests need: installed where we are root (a container, a fresh virtual machine)."""

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

from .environment import SetupError, say

ALONE = "--no-install-recommends"


def one_at_a_time() -> FileLock:
    """Hold this while installing: an installer that meets another one's lock fails."""
    return FileLock(Path(tempfile.gettempdir(), f"sdc-install-{getpass.getuser()}.lock"))


def need(programs: dict[str, str]):
    """Install what is missing of {name of a program or path of a file: its package}.

    Raises SetupError that says what to do where that is impossible.
    """
    with one_at_a_time():
        tried = ""
        if missing := _missing(programs):
            tried = install(ALONE, *dict.fromkeys(missing.values()))
        if missing := _missing(programs):
            raise SetupError(
                f"Found no {', '.join(missing)} for the tests. Install {' '.join(dict.fromkeys(missing.values()))}; "
                f"tried was:\n{tried}"
            )


def _missing(programs: dict[str, str]) -> dict[str, str]:
    there = {program for program in programs if shutil.which(program) or Path(program).is_file()}
    return {program: package for program, package in programs.items() if program not in there}


def install(*packages: str) -> str:
    """Install packages of Debian or Ubuntu, and say what came of it."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return "apt-get: only as root on Debian or Ubuntu"
    wait = ["-o", "DPkg::Lock::Timeout=600"]  # for another installer
    return "\n".join(run("apt-get", *wait, *arguments) for arguments in (["update"], ["install", "-y", *packages]))


def run(*command: str) -> str:
    """Run a command that installs something, and return its last words."""
    say(f"Installing: {' '.join(command)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    return f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-1000:]}"
