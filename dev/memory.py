"""The most memory that this process has held, by the system's own high-water mark."""

import contextlib
import sys
from pathlib import Path


def reset_high_water() -> bool:
    """Put the mark back to what is held now; only Linux can, and some containers forbid it."""
    with contextlib.suppress(OSError):
        if sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5")
            return True
    return False


def high_water() -> int:
    """Bytes, whoever allocated them: since the last reset, else since the process started."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
