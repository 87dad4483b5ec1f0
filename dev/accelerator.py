"""Which graphics card torch computes on, and why none: in this process, or in another Python, which runs this file.

Standard library and torch only.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

NAMES = {"cuda": "CUDA", "hip": "ROCm", "xpu": "XPU", "mps": "MPS"}


def kind() -> str | None:
    """torch's word for the card that it computes on: "cuda" (NVIDIA, and AMD by ROCm), "xpu" (Intel) or "mps" (Apple);
    None where it has the processor alone."""
    import torch

    for name in ("cuda", "xpu"):
        part = getattr(torch, name, None)
        if part is not None and part.is_available():
            return name
    return "mps" if torch.backends.mps.is_available() else None


def look() -> dict:
    """What this Python's torch is, and the cards that it computes on."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = kind()
    cards = []
    if found in ("cuda", "xpu"):
        part = getattr(torch, found)
        cards = [part.get_device_name(number) for number in range(part.device_count())]
    elif found:
        cards = ["this Mac's graphics"]
    by = "hip" if found == "cuda" and torch.version.hip else found
    reasons = [str(warning.message).splitlines()[0] for warning in said]
    return {"kind": by, "cards": cards, "torch": torch.__version__, "cuda": torch.version.cuda, "reasons": reasons}


@functools.lru_cache(maxsize=4)
def look_from(python: Path) -> dict:
    """`look` in another Python; {} where that cannot tell, as without torch."""
    try:
        done = subprocess.run([str(python), __file__], capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return {}


def nvidia_cards() -> list[str] | None:
    """NVIDIA cards by what their driver says; None without a driver. An entry that is no card says what is wrong."""
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [str(error)]
    lines = [line.partition(" (UUID")[0] for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines or ["no card"]


def explain(python: Path) -> list[str]:
    """Lines for the person at the terminal: what `python` computes on, and where an NVIDIA card is not used, why."""
    found = look_from(python)
    if not found:
        return []
    if found["cards"]:
        return [f"ComfyUI computes on {', '.join(found['cards'])} ({NAMES[found['kind']]}, torch {found['torch']})."]
    lines = [
        f"ComfyUI computes on the processor, slowly: torch {found['torch']} finds no graphics card that it can use."
    ]
    cards = nvidia_cards()
    if cards is None:
        return lines
    if not any(card.startswith("GPU ") for card in cards):
        return [*lines, f"nvidia-smi says: {cards[0]}. Install NVIDIA's driver anew, or restart the machine."]
    lines.append(f"There is {', '.join(card for card in cards if card.startswith('GPU '))}.")
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not hidden.strip("-1 "):
        lines.append(f"CUDA_VISIBLE_DEVICES is {hidden!r}, which hides it: unset that variable.")
    elif found["cuda"] is None:
        lines.append(f"But the torch of {python} was made without CUDA. Take a ComfyUI whose torch was made for it:")
        lines.append(
            "--comfyui PATH, with --python EXE where its Python is not found; pytorch.org says how to install it."
        )
    else:
        reason = f" It says: {found['reasons'][0]}" if found["reasons"] else ""
        lines.append(f"But torch, made for CUDA {found['cuda']}, cannot use it.{reason} Update NVIDIA's driver.")
    return lines


if __name__ == "__main__":
    # This folder's modules are nobody else's business.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
    print(json.dumps(look()))
