"""`python -m codec`, or `python FOLDER`, which works from anywhere."""

import importlib
import sys
from pathlib import Path

if not __package__:
    # Python has put this folder on its path, where modules of common names would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
main = importlib.import_module(f"{__package__ or 'codec'}.command_line").main

if __name__ == "__main__":
    sys.exit(main())
