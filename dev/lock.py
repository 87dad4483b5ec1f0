"""Regenerates dev/locks: exact versions and hashes of everything the development environments install.

One lock a supported ComfyUI would be almost equal files of 3,000 lines, so what all of them share is in common.txt, and
each comfyui-<version>.txt holds the rest. Install the two together; for `run.py bulk` with bulk.txt. What is locked
stays at its version wherever the requirements let it; `--upgrade` takes the newest of everything.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

DEV = Path(__file__).resolve().parent
LOCKS = DEV / "locks"
BULK = LOCKS / "bulk.txt"
HEADER = "# Written by `python run.py lock`; edit dev/requirements.in instead.\n"


def paths(version: str) -> list[Path]:
    return [LOCKS / "common.txt", LOCKS / f"comfyui-{version}.txt"]


def regenerate(uv: Path, comfyuis: dict[str, Path], upgrade: bool):
    """Resolve for each ComfyUI, newest first. With `upgrade`, later ones keep its choices wherever they can."""
    blocks: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "lock.txt")

        def start_from(locks: list[Path]):
            if not upgrade:
                output.write_text("".join(path.read_text("utf-8") for path in locks if path.exists()), "utf-8")

        for version, comfyui in comfyuis.items():
            print(f"resolving for ComfyUI {version}", flush=True)
            start_from(paths(version))
            blocks[version] = compile_lock(uv, [DEV / "requirements.in", comfyui / "requirements.txt"], output)
        print("resolving for run.py bulk", flush=True)
        version = next(iter(comfyuis))
        start_from([*paths(version), BULK])
        bulk = compile_bulk(uv, comfyuis[version], blocks[version], output)
        print("resolving uv itself", flush=True)
        output.unlink()
        start_from([LOCKS / "uv.txt"])
        write(BULK, bulk)
        write(LOCKS / "uv.txt", compile_lock(uv, [DEV / "uv.in"], output))
    shared = set.intersection(*map(set, blocks.values()))
    write(LOCKS / "common.txt", [block for block in next(iter(blocks.values())) if block in shared])
    for version, own in blocks.items():
        write(LOCKS / f"comfyui-{version}.txt", [block for block in own if block not in shared])


def compile_bulk(uv: Path, comfyui: Path, others: list[str], output: Path) -> list[str]:
    """What `run.py bulk` needs besides the `others`, which stay as they are."""
    inputs = [DEV / "requirements.in", comfyui / "requirements.txt", DEV / "bulk.in"]
    return [block for block in compile_lock(uv, inputs, output) if block not in others]


def compile_lock(uv: Path, inputs: list[Path], output: Path) -> list[str]:
    # Universal: one lock for every platform and for Python 3.11 and later. uv prefers the versions that it finds in its
    # output: those locked before, or those of the ComfyUI before.
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    command = [uv, "pip", "compile", "--quiet", "--system-certs", *options, *inputs, "-o", output]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return split(output.read_text(encoding="utf-8"))


def split(lock: str) -> list[str]:
    """One block a requirement: its line and the lines of hashes under it."""
    blocks: list[str] = []
    for line in lock.splitlines(keepends=True):
        if line.startswith("#"):
            continue
        if line[0].isspace():
            blocks[-1] += line
        else:
            blocks.append(line)
    return blocks


def write(path: Path, blocks: list[str]):
    path.write_text(HEADER + "".join(blocks), encoding="utf-8", newline="\n")
    print(f"wrote {path.relative_to(DEV.parent)}: {len(blocks)} packages", flush=True)
