#!/usr/bin/env python3
"""The developer's entry: sets up what is needed, then runs the demo, ComfyUI or the tests. See dev/commands.py."""

import os
import sys

# Older Pythons have to understand this file, down to here.
if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed, and this is %d.%d: start run.py with another one." % sys.version_info[:2])  # noqa: UP031

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # Windows' embedded Python leaves it out

from dev.commands import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
