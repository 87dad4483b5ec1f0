"""What `dev/fuzz.py` gives to the rules for names in nodes/files: names as a hostile workflow would bring them.

They meet ComfyUI's own folder_paths and a real folder, with links out of it. What is accepted is held against Python's
own rules for Windows (ntpath, PureWindowsPath) and for this machine.
"""

import importlib.util
import json
import ntpath
import os
import posixpath
import random
import shutil
import sys
import unicodedata
import warnings
from pathlib import Path, PureWindowsPath

ROOT = Path(__file__).resolve().parents[1]
SAVED = 50  # one name in so many is really saved under
SEPARATORS = ("/", "/", "/", "\\", "\\", "//", "\\\\", "/\\", "/./", "/../", "\\..\\")
STARTS = (
    "",
    "",
    "",
    "",
    "/",
    "\\",
    "//",
    "\\\\",
    "\\/",
    "/\\",
    "\\\\?\\",
    "\\\\.\\",
    "//./",
    "C:",
    "c:\\",
    "Z:/",
    "~",
    "%",
)
DEVICES = ("con", "PRN", "aux", "Nul", "com1", "LPT9", "com¹", "lpt³", "CONIN$", "conout$")
AROUND = ("", "", "", " ", ".", ". .", ".sdc", " .txt", ":", ":x", "::$DATA", "x", "\t", "\u200b", "$")
ORDINARY = (
    "a",
    "a.sdc",
    "inner",
    "b.sdc",
    "out",
    "secret.sdc",
    "file.sdc",
    "round",
    "..",
    "..",
    ".",
    "...",
    "名前",
    "ö" * 90,
)
STRANGE = (
    "\0",
    "\x01",
    "\x7f",
    "\ud800",
    "\udc80",
    "\u202e",
    "／",
    "＼",
    "：",
    "∕",
    "․․",
    "\ufeff",
    "*",
    "?",
    '"',
    "<",
    "|",
)
STRANGE += ("%year%", "%width%", "%date:yyyy/MM%", "%date:..%", "%date:%", "%2e%2e", "%date:/%", "x" * 300, "\r\n", "'")
THERE = ("a.sdc", "inner/b.sdc", "inner\\b.sdc", "round/a.sdc", "./a.sdc", "inner/../a.sdc", "con.sdc", "file.sdc")
MARKS = ("", "", "", "", " [output]", " [input]", " [temp]", "[output]", "x[output]", " [temp] [output]", " [Output]")


class Names:
    """Makes name after name, and tries each; the same seed and number give the same name."""

    title = "names"

    def __init__(self, comfyui: Path, folder: Path):
        """`folder` is empty, and cleared later by whoever made it."""
        sys.path.append(str(comfyui))
        import folder_paths

        spec = importlib.util.spec_from_file_location(
            "sdc_pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        sys.modules["sdc_pack"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["sdc_pack"])
        from sdc_pack.nodes.files import listing, paths

        self.folder_paths, self.listing, self.paths = folder_paths, listing, paths
        # Links that people have made themselves lead on; what lies behind them is out of reach all the same.
        self.folder = folder.resolve()
        self.inside = [self.folder / kind for kind in ("input", "output", "temp")]
        set_folder = (
            folder_paths.set_input_directory,
            folder_paths.set_output_directory,
            folder_paths.set_temp_directory,
        )
        self.outside = self.folder / "outside"
        self.put(self.outside / "secret.sdc")
        for place, setter in zip(self.inside, set_folder, strict=True):
            setter(str(place))
            self.fill(place)
        self.random = random.Random()

    @staticmethod
    def put(path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"secret" if path.name == "secret.sdc" else b"")

    def fill(self, place: Path):
        for name in ("a.sdc", "inner/b.sdc", "con.sdc", "aux"):
            self.put(place / name)
        try:
            (place / "out").symlink_to(self.outside, target_is_directory=True)
            (place / "file.sdc").symlink_to(self.outside / "secret.sdc")
            (place / "round").symlink_to(place, target_is_directory=True)
        except OSError:  # this Windows lets nobody make links
            pass

    def make(self, seed: int, case: int) -> str:
        rng = self.random
        rng.seed(~(seed << 64 | case))
        if rng.random() < 0.05:
            return rng.choice(THERE) + rng.choice(MARKS)
        start = str(rng.choice((*self.inside, self.outside, self.folder))) + "/" if rng.random() < 0.05 else ""
        name = start or rng.choice(STARTS)
        for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
            kind = rng.random()
            if kind < 0.55:
                part = rng.choice(ORDINARY)
            elif kind < 0.75:
                part = rng.choice(DEVICES) + rng.choice(AROUND)
            elif kind < 0.95:
                part = rng.choice(STRANGE) + rng.choice(ORDINARY)
            else:
                part = chr(rng.randrange(0x110000))
            name += part + rng.choice(AROUND if rng.random() < 0.3 else SEPARATORS)
        if rng.random() < 0.3:
            name = name.rstrip("/\\")
        return name + rng.choice(MARKS)

    def spell(self, name: str) -> tuple[str, bytes]:
        """Ending and content of a file that tells of a finding."""
        return ".json", json.dumps(name).encode()

    def attempt(self, name: str, case: int) -> tuple[str, int, float]:
        """Ask every rule about a name; return what came of it, and as for files the room and time that it may take."""
        found = [self.load(name), self.prefix(name), self.in_list(name)]
        if case % SAVED == 0:
            found.append(self.save(name))
        return ", ".join(found), 0, 1

    def load(self, name: str) -> str:
        path = None
        try:
            path = self.listing.find_listed(name)
        except FileNotFoundError:  # the file system was asked, so the name must have been harmless
            pass
        except ValueError:
            return "refused"
        plain, _ = self.folder_paths.annotated_filepath(name)
        drive, rest = ntpath.splitdrive(plain)
        assert not drive and not rest.startswith(("/", "\\")), f"{plain!a} is another machine's or a full path"
        assert not is_device(plain), f"{plain!a} names a device"
        if path is None:
            return "missing"
        assert self.is_inside(path) and os.path.isfile(path), f"{path!a} was given out"
        return "loaded"

    def prefix(self, name: str) -> str:
        try:
            prefix = self.paths.check_prefix(name)
        except ValueError:
            return "no prefix"
        prefix.encode()
        for module, output in ((ntpath, "C:\\output"), (os.path, "/output")):
            whole = module.normpath(module.join(output, prefix))
            assert module.commonpath((whole, output)) == output and whole != output, f"{prefix!a} leads to {whole!a}"
        assert not is_device(prefix), f"{prefix!a} names a device"
        assert not [letter for letter in prefix if unicodedata.category(letter) == "Cc" or letter in '<>:"|?*']
        folders = posixpath.normpath(prefix).split("/")[:-1]
        assert not any(part[-1] in ". " for part in folders), f"Windows would drop the end of a folder of {prefix!a}"
        return "prefix"

    def in_list(self, name: str) -> str:
        try:
            listed = self.listing.name_in_list(name)
        except ValueError:
            return "not listed"
        if listed != name:
            plain, folder = self.folder_paths.annotated_filepath(listed)
            path = os.path.join(folder or self.inside[0], plain)
            assert os.path.realpath(path) == os.path.realpath(name), f"{name!a} became {listed!a}"
            assert self.is_inside(os.path.join(path, "x")), f"{name!a} became {listed!a}"
        assert not name.startswith(("//", "\\\\", "/\\", "\\/")), f"{name!a} is another machine's"
        return "listed"

    def save(self, name: str) -> str:
        output = self.inside[1]
        try:
            path, filename, subfolder = self.paths.save_under(name, 64, 64, b"saved")
        except (ValueError, OSError):
            outcome = "not saved"
        else:
            assert self.is_inside(path) and Path(path).read_bytes() == b"saved"
            assert os.path.samefile(os.path.join(output, subfolder, filename), path)
            outcome = "saved"
        assert [path.name for path in self.outside.rglob("*")] == ["secret.sdc"], f"{name!a} wrote outside"
        assert {path.name for path in self.folder.iterdir()} == {"input", "output", "temp", "outside"}
        assert not list(output.rglob("*.part"))
        shutil.rmtree(output)
        self.fill(output)
        return outcome

    def is_inside(self, path) -> bool:
        real = Path(os.path.realpath(path))
        return any(place in real.parents for place in self.inside)


def is_device(name: str) -> bool:
    """Whether Windows takes a part of a name for a device."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if hasattr(ntpath, "isreserved"):  # Python 3.13; it takes more for reserved than devices alone
        return any(
            ntpath.isreserved(part.rstrip(". ").replace(":", ".")) for part in parts if not set(part) & set('*?"<>|')
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return any(PureWindowsPath("folder", "./" + part).is_reserved() for part in parts)
