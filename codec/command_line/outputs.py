"""Files in, files out: which there are, that none is lost, and what is said about those that fail."""

import glob
import sys
from pathlib import Path

from ..errors import SdcArgumentError, SdcError
from ..files import read_bounded, write_whole

PIPE = "-"
BAR = 30


class UsageError(Exception):
    """The command line asks for something that cannot be done with any file."""


class Outputs:
    """Where results go, and that none of them takes the place of another file."""

    def __init__(self, options, kinds):
        self.output, self.force = options.output, options.force
        self.written = set()
        several = len(expand(options.files, kinds)) > 1
        self.folder = self.output is not None and (several or self.output.is_dir())
        if several and str(self.output) == PIPE:
            raise UsageError("several files do not fit into one pipe; give -o a folder")

    def target(self, name, suffix, number=None):
        """Return the path for the result of the input `name`; `number` tells the images of a batch apart."""
        if str(self.output) == PIPE or (self.output is None and name == PIPE):
            if number is not None:
                raise SdcArgumentError("a batch makes several files, which do not fit into one pipe; give -o a folder")
            return PIPE
        source = Path("stdin" if name == PIPE else name)
        if self.folder:
            path = self.output / f"{source.stem}{suffix}"
        else:
            path = self.output or source.with_suffix(suffix)
        return path if number is None else path.with_name(f"{path.stem}_{number:05}{path.suffix}")

    def write(self, target, data, in_place=False):
        if target in self.written:
            raise SdcArgumentError(f"two inputs would be written to {target}")
        write_to(target, data, self.force, in_place)
        if target != PIPE:
            self.written.add(target)

    def write_encoded(self, target, image):
        self.write(target, image.data)
        if target != PIPE:
            print(f"{target}: {image.num_bytes} bytes, {image.bits_per_pixel:.4f} bits per pixel")


def write_to(target, data, force, in_place=False):
    """Write to a path, or to standard output where it is PIPE; with `in_place` into the file that is there."""
    if target == PIPE:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if in_place and force and target.is_file():
        target.write_bytes(data)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, data, overwrite=force)


def for_each(options, kinds, work, done, talks=False):
    """Do `work` on every file, go on after those that fail, and return the exit status.

    `talks` says that it prints lines; a bar on the same terminal would get between them.
    """
    names = expand(options.files, kinds)
    failed = 0
    bar = len(names) > 1 and sys.stderr.isatty() and not (talks and sys.stdout.isatty())
    clear = f"\r{'':<{BAR + 20}}\r" if bar else ""
    for count, name in enumerate(names):
        if bar:
            full = BAR * count // len(names)
            print(f"\r[{'#' * full}{'.' * (BAR - full)}] {count}/{len(names)}", end="", file=sys.stderr, flush=True)
        try:
            work(name)
        except BrokenPipeError:
            raise
        except (SdcError, OSError) as error:
            failed += 1
            complain(name, error, clear)
    if len(names) != 1:
        print(f"{clear}{len(names)} files: {len(names) - failed} {done}, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


def expand(names, kinds):
    """Put the files of a folder in the place of its name, and those that fit in the place of a pattern."""
    expanded = []
    for name in (match for given in names for match in fitting(given)):
        if name and name != PIPE and Path(name).is_dir():
            expanded += sorted(str(path) for path in Path(name).iterdir() if path.suffix.lower() in kinds)
        else:
            expanded.append(name)
    return expanded


def fitting(name):
    """Names that fit a pattern with * and ?, which Windows hands on as it is; the name itself where none does."""
    if not any(wildcard in name for wildcard in "*?") or Path(name).exists():
        return [name]
    return sorted(glob.glob(name.replace("[", "[[]"))) or [name]


def read_input(name, limited=True):
    """The content of a file or of standard input: of a .sdc file no more than the format allows, a latent whole."""
    if name == PIPE:
        return read_bounded(sys.stdin.buffer) if limited else sys.stdin.buffer.read()
    return read_bounded(name) if limited else Path(name).read_bytes()


def printable(text):
    """A name as it is, unless it holds what could drive a terminal."""
    text = str(text)
    return text if text.isprintable() else repr(text)


def complain(name, error, clear=""):
    print(f"{clear}error: {printable(name)}: {_reason(error, name)}", file=sys.stderr)


def _reason(error, name):
    """What an error says, without the number and the name that the line has already."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return error.strerror if error.filename in (None, name) else f"{error.strerror}: {printable(error.filename)}"
