"""Names of files as a hostile workflow would bring them, to load and to save under.

They meet a real folder with links out of it. What is accepted is held against Python's own rules for Windows (ntpath,
PureWindowsPath) and for this machine.
"""

import ntpath
import os
import posixpath
import shutil
import unicodedata
import warnings
from collections import Counter
from pathlib import Path, PureWindowsPath

import folder_paths
import pytest
from hypothesis import strategies as st
from sdc_pack.nodes.files import listing, paths

SEPARATORS = ["/", "/", "/", "\\", "\\", "//", "\\\\", "/\\", "/./", "/../", "\\..\\"]
STARTS = [*[""] * 4, *r"/ \ // \\ \/ /\ \\?\ \\.\ //./ C: c:\ Z:/ ~ %".split()]
DEVICES = "con PRN aux Nul com1 LPT9 com¹ lpt³ CONIN$ conout$".split()
AROUND = ["", "", "", " ", ".", ". .", ".sdc", " .txt", ":", ":x", "::$DATA", "x", "\t", "\u200b", "$"]
ORDINARY = [*"a a.sdc inner b.sdc out secret.sdc file.sdc round .. .. . ... 名前".split(), "ö" * 90]
STRANGE = ["\0", "\x01", "\x7f", "\ud800", "\udc80", "\u202e", "\ufeff", "\r\n", "x" * 300, *"／＼：∕․*?\"<>|'"]
STRANGE += "%year% %width% %date:yyyy/MM% %date:..% %date:% %2e%2e %date:/%".split()
THERE = r"a.sdc inner/b.sdc inner\b.sdc round/a.sdc ./a.sdc inner/../a.sdc con.sdc file.sdc out/new".split()
MARKS = [*[""] * 4, " [output]", " [input]", " [temp]", "[output]", "x[output]", " [temp] [output]", " [Output]"]


def texts(*choices):
    return st.tuples(*map(st.sampled_from, choices)).map("".join)


PARTS = st.one_of(texts(ORDINARY), texts(DEVICES, AROUND), texts(STRANGE, ORDINARY), st.characters(codec=None))
PIECES = st.tuples(PARTS, texts(SEPARATORS) | texts(AROUND)).map("".join)


def names(folders):
    """Of files that are there, and of others; those in a full path begin with one of `folders`."""
    starts = st.sampled_from(STARTS * 3 + [f"{folder}/" for folder in folders])
    built = st.builds(lambda start, pieces: start + "".join(pieces), starts, st.lists(PIECES, min_size=1, max_size=4))
    name = st.one_of(texts(THERE), built, built, built, built.map(lambda name: name.rstrip("/\\")))
    return st.tuples(name, st.sampled_from(MARKS)).map("".join)


class Folders:
    """ComfyUI's folders, full of traps, and one outside of them."""

    def __init__(self, base):
        self.base = base.resolve()  # links on the way there lead on as well
        self.inside = [self.base / kind for kind in ("input", "output", "temp")]
        self.outside = self.base / "outside"
        self.outside.mkdir()
        (self.outside / "secret.sdc").write_bytes(b"secret")
        for place in self.inside:
            self.fill(place)

    def fill(self, place):
        (place / "inner").mkdir(parents=True)
        for name in ("a.sdc", "inner/b.sdc", "con.sdc", "aux"):
            (place / name).touch()
        try:
            (place / "out").symlink_to(self.outside, target_is_directory=True)
            (place / "file.sdc").symlink_to(self.outside / "secret.sdc")
            (place / "round").symlink_to(place, target_is_directory=True)
        except OSError:  # this Windows lets nobody make links
            pass

    def hold(self, path):
        real = Path(os.path.realpath(path))
        return any(place in real.parents for place in self.inside)


def load(name, folders):
    path = None
    try:
        path = listing.find_listed(name)
    except FileNotFoundError:  # the file system was asked, so the name must have been harmless
        pass
    except ValueError:
        return "refused"
    plain, _ = folder_paths.annotated_filepath(name)
    drive, rest = ntpath.splitdrive(plain)
    assert not drive and not rest.startswith(("/", "\\")), "another machine's, or a full path"
    assert not is_device(plain)
    if path is None:
        return "missing"
    assert folders.hold(path) and os.path.isfile(path)
    return "loaded"


def check_prefix(name, _folders):
    try:
        prefix = paths.check_prefix(name)
    except ValueError:
        return "no prefix"
    prefix.encode()
    for module, output in ((ntpath, "C:\\output"), (os.path, "/output")):
        whole = module.normpath(module.join(output, prefix))
        assert module.commonpath((whole, output)) == output and whole != output
    assert not is_device(prefix)
    assert not [letter for letter in prefix if unicodedata.category(letter) == "Cc" or letter in '<>:"|?*']
    parents = posixpath.normpath(prefix).split("/")[:-1]
    assert not any(part[-1] in ". " for part in parents), "Windows would drop the end of a folder"
    return "prefix"


def find_in_list(name, folders):
    try:
        listed = listing.name_in_list(name)
    except ValueError:
        return "not listed"
    if listed != name:
        plain, folder = folder_paths.annotated_filepath(listed)
        path = os.path.join(folder or folders.inside[0], plain)
        assert os.path.realpath(path) == os.path.realpath(name) and folders.hold(os.path.join(path, "x"))
    assert not name.startswith(("//", "\\\\", "/\\", "\\/")), "another machine's"
    return "listed"


def save(name, folders):
    output = folders.inside[1]
    try:
        path, filename, subfolder = paths.save_under(name, 64, 64, b"saved")
    except (ValueError, OSError):
        outcome = "not saved"
    else:
        assert folders.hold(path) and Path(path).read_bytes() == b"saved"
        assert os.path.samefile(os.path.join(output, subfolder, filename), path)
        outcome = "saved"
    assert [path.name for path in folders.outside.rglob("*")] == ["secret.sdc"]
    assert {path.name for path in folders.base.iterdir()} == {"input", "output", "temp", "outside"}
    assert not list(output.rglob("*.sdc-part"))
    shutil.rmtree(output)
    folders.fill(output)
    return outcome


def is_device(name):
    """Whether Windows takes a part of a name for a device."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if hasattr(ntpath, "isreserved"):  # Python 3.13; it takes more for reserved than devices alone
        plain = [part.rstrip(". ").replace(":", ".") for part in parts if not set(part) & set('*?"<>|')]
        return any(map(ntpath.isreserved, plain))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return any(PureWindowsPath("folder", "./" + part).is_reserved() for part in parts)


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("attempts", "count"), [((load, check_prefix, find_in_list), 1000), ((save,), 100)], ids=["check", "save"]
)
def test_hostile_names(fuzz, comfyui_folders, attempts, count):
    folders, outcomes = Folders(comfyui_folders), Counter()

    def check(name):
        outcomes.update(attempt(name, folders) for attempt in attempts)

    fuzz(count, check, names([*folders.inside, folders.outside, folders.base]))
    # Names that no longer get past a check would be no test of the next one.
    assert len(outcomes) == (2 if attempts == (save,) else 7) and min(outcomes.values()) > 5, outcomes
