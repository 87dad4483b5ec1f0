"""What ComfyUI's start spends in this pack: seconds and modules, the first time and later.

The first start after an installation compiles the pack's modules; Python keeps what comes of it. Measured on a copy of
the pack, around ComfyUI's own function that loads it.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev import server
from dev.environment import SetupError

from .harness import startup
from .harness.tables import Table

REPO = Path(__file__).parents[1]
STARTS = 4
QUICK = "--quick-test-for-ci", "--disable-api-nodes", "--database-url", "sqlite:///:memory:"
NOT_COPIED = shutil.ignore_patterns(".git", "__pycache__", "tests", "findings")


def add_arguments(parser):
    parser.add_argument("--starts", type=int, default=STARTS, metavar="N", help="of ComfyUI (default: %(default)s)")


def run(options, measurements) -> list[Table]:
    measurements.get({"what": "start", "starts": options.starts}, lambda: measure(options.comfyui, options.starts))
    return report(measurements.rows)


def measure(comfyui: Path, starts: int) -> dict:
    with tempfile.TemporaryDirectory(prefix="sdc-bench-", ignore_cleanup_errors=True) as scratch:
        pack, base = Path(scratch, "pack"), Path(scratch, "comfyui")
        shutil.copytree(REPO, pack, ignore=NOT_COPIED)
        found = [start(comfyui, pack, base) for _ in range(starts)]
    seconds = [each["seconds"] for each in found]
    own = [name for name in found[-1]["modules"] if server.PACK_NAME in name]
    others = len(found[-1]["modules"]) - len(own)
    return {"first": seconds[0], "later": min(seconds[1:]), "modules": len(own), "others": others}


def start(comfyui: Path, pack: Path, base: Path) -> dict:
    """Start ComfyUI once, without a page, with this pack alone, in the folder `base`.

    Returns
    -------
    dict
        seconds; modules, the names of those imported; files, the paths of those opened

    Raises
    ------
    SetupError
        The pack was not loaded.
    """
    server.make_base(base, pack)
    try:
        python, main, *arguments = server.serve_command(comfyui, Path(sys.executable), base, [], cpu=True)
        command = [python, startup.__file__, server.PACK_NAME, main, *arguments, *QUICK]
        done = subprocess.run(command, capture_output=True, text=True, cwd=base, check=False)
    finally:
        server.unlink_pack(base)
    told = [json.loads(line[len(startup.MARK) :]) for line in done.stdout.splitlines() if line.startswith(startup.MARK)]
    if not told or not told[0]["loaded"]:
        raise SetupError(f"ComfyUI ended with {done.returncode}:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    return told[0]


def report(rows: list[dict]) -> list[Table]:
    ((key, value),) = [(row["key"], row["value"]) for row in rows]
    later = f"the fastest of {key['starts'] - 1} later"
    lines = [["the first", f"{value['first']:.3f}"], [later, f"{value['later']:.3f}"]]
    notes = [f"{value['modules']} modules of the pack, and {value['others']} that ComfyUI had not loaded before."]
    return [Table("Starts of ComfyUI", ["start", "s in this pack"], lines, notes)]
