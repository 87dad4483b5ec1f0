"""The fuzzer itself, in a process of its own, so that the memory it measures is that of reading alone."""

import os
import re
import subprocess
import sys

CASES = 100_000


def test_a_hundred_thousand_damaged_files(root):
    command = [sys.executable, root / "dev" / "fuzz.py", "--cases", str(CASES), "--seed", "2024", "--hang", "100"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    print(result.stdout, result.stderr)
    assert result.returncode == 0, result.stdout + result.stderr
    cases, crashes = re.search(r"cases +(\d+).*crashes +(\d+)", result.stdout, re.DOTALL).groups()
    assert int(cases) >= CASES and int(crashes) == 0
    # Mutations that no longer reach every check would be no test.
    kinds = [
        "Checksum",
        "Header",
        "Index",
        "Latent",
        "Limit",
        "Metadata",
        "Palette",
        "Section",
        "Signature",
        "Truncated",
    ]
    seen = {kind: int(re.search(rf"Sdc{kind}Error +(\d+)", result.stdout)[1]) for kind in [*kinds, "Unsupported"]}
    assert min(seen.values()) > 10
    assert int(re.search(r"read +(\d+)", result.stdout)[1]) > CASES / 20
    assert int(re.search(r"read, learned +(\d+)", result.stdout)[1]) > 20
    assert int(re.search(r"read, several +(\d+)", result.stdout)[1]) > 100


def test_ten_thousand_hostile_names(root):
    """Of files to load and to save, against ComfyUI's own folders."""
    command = [sys.executable, root / "dev" / "fuzz.py", "--cases", "10000", "--seed", "2024", "--hang", "100"]
    command += ["--only", "names", "--comfyui", os.environ["SDC_COMFYUI"]]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "crashes       0" in result.stdout, result.stdout + result.stderr
    counted = dict.fromkeys(["loaded", "missing", "refused", "prefix", "no prefix", "listed", "not listed", "saved"], 0)
    for line, count in re.findall(r"^  (.+?) *(\d+)$", result.stdout, re.MULTILINE):
        for outcome in set(line.split(", ")) & set(counted):
            counted[outcome] += int(count)
    # Names that no longer get past a check would be no test of the next one.
    assert min(counted.values()) > 5, counted


def test_a_case_is_the_same_every_time(root):
    import fuzz_inputs

    paths = sorted((root / "tests" / "fixtures").glob("*.sdc"))
    first, second = fuzz_inputs.Inputs(paths), fuzz_inputs.Inputs(paths)
    cases = [first.make(3, case) for case in range(500)]
    assert cases == [second.make(3, case) for case in range(500)] and len(set(cases)) > 450
    assert cases != [second.make(4, case) for case in range(500)]
