"""`python -m codec`: the format at the command line, and what needs Pillow or other kinds of file."""

import io
import os
import sys

from .arguments import make_parser
from .outputs import UsageError


def main(arguments=None):
    """Run one command and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a prompt may hold letters that the terminal has not
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options)
    except UsageError as error:
        parser.error(str(error))
    except BrokenPipeError:
        # Whoever read the output has closed it, as `head` does. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
