"""The list of Load SDC, in folders of any size, and names that are none."""

import ntpath
import os

import pytest
from sdc_pack.nodes.files import listing, paths
from sdc_pack.nodes.files.listing import files_in, find_listed, list_files, name_in_list
from sdc_pack.nodes.load_sdc import SDCLoad


@pytest.fixture
def looked_into(monkeypatch):
    """The folders whose content is read from now on."""
    found, scandir = [], os.scandir

    def counting(folder):
        found.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counting)
    listing.known.clear()
    return found


def settle(folder):
    """As if nothing had come into it for a minute."""
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        changed = path.stat().st_mtime_ns - 60 * 10**9
        os.utime(path, ns=(changed, changed))


def test_only_folders_that_changed_are_read_again(comfyui_folders, looked_into):
    output = comfyui_folders / "output"
    for number in range(4):
        (output / str(number)).mkdir()
        (output / str(number) / "a.sdc").touch()
    files_in(str(output))
    settle(output)  # which is a change that proves that folders have times
    looked_into.clear()
    expected = [f"{number}/a.sdc" for number in range(4)]
    assert files_in(str(output)) == expected and len(looked_into) == 5
    assert files_in(str(output)) == expected and len(looked_into) == 5
    (output / "2" / "b.sdc").touch()
    assert files_in(str(output)) == sorted([*expected, "2/b.sdc"]) and looked_into[5:] == [str(output / "2")]


def test_a_folder_that_has_just_changed_is_not_trusted(comfyui_folders, looked_into):
    """Else a file that comes within the same tick of the clock would never be seen."""
    for _ in range(2):
        assert files_in(str(comfyui_folders / "output")) == []
    assert len(looked_into) == 2


def test_a_file_system_without_times_of_folders_is_read_again_after_a_moment(comfyui_folders, looked_into, monkeypatch):
    folder = comfyui_folders / "output" / "SDC"
    folder.mkdir()
    settle(folder)
    state = folder.stat()
    looked_into.clear()
    for number in range(3):
        (folder / f"{number}.sdc").touch()
        os.utime(folder, ns=(state.st_mtime_ns, state.st_mtime_ns))
        monkeypatch.setattr(listing, "UNPROVEN", 0)  # the moment has passed
        assert len(files_in(str(folder))) == number + 1 == len(looked_into)
    monkeypatch.setattr(listing, "UNPROVEN", 3600 * 10**9)
    read = len(looked_into)
    assert len(files_in(str(folder))) == len(files_in(str(folder))) == 3 and len(looked_into) == read


def test_folders_that_are_gone_are_forgotten(comfyui_folders):
    output = comfyui_folders / "output"
    for name in ("a", "a/b", "c"):
        (output / name).mkdir()
    files_in(str(output))
    before = len(listing.known)
    (output / "a" / "b").rmdir()
    (output / "a").rmdir()
    files_in(str(output))
    assert len(listing.known) == before - 2
    files_in(str(comfyui_folders / "input"))
    assert (os.path.realpath(output / "c"), listing.SDC) in listing.known


def test_links_in_a_circle_end(comfyui_folders):
    folder = comfyui_folders / "input" / "a"
    folder.mkdir()
    (folder / "a.sdc").touch()
    try:
        (folder / "round").symlink_to(comfyui_folders / "input", target_is_directory=True)
    except OSError:
        pytest.skip("this Windows lets nobody make links")
    assert list_files() == ["a/a.sdc"]


def test_a_file_that_comes_over_a_link_is_checked_when_it_is_there(comfyui_folders):
    assert SDCLoad.validate_inputs(None) is True
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        SDCLoad.execute(None)


FOREIGN = [
    "\\\\server\\share\\a.sdc", "//server/share/a.sdc", "\\/server/a.sdc", "/\\server\\a.sdc", "\\\\?\\C:\\a.sdc",
    "\\\\.\\pipe\\a.sdc", "/etc/a.sdc", "\\a.sdc", "C:\\a.sdc", "c:a.sdc", "//server/share/a.sdc [output]",
    "ö:a.sdc", "%:a.sdc [temp]",
]  # fmt: skip


DEVICES = [
    "con", "nul.sdc", "a/aux.sdc", "com1.sdc [output]", "CONIN$", "lpt¹.sdc", "con [temp]", "aux?[output]", "nul:",
    "a/con:x", "prn::$DATA", "con.\r\na.sdc",
]  # fmt: skip


@pytest.mark.parametrize("file", [*FOREIGN, *DEVICES])
def test_no_question_is_asked_about_foreign_names(file, monkeypatch):
    """Windows would send the user's credentials to the machine that such a name names."""

    def touched(*arguments, **options):
        raise AssertionError(f"the file system was asked about {arguments}")

    with monkeypatch.context() as watched:  # pytest itself asks, once a test has failed
        for module, names in ((os.path, ("realpath", "isdir", "isfile", "exists")), (os, ("stat", "lstat", "open"))):
            for name in names:
                watched.setattr(module, name, touched)
        with pytest.raises(ValueError, match="outside ComfyUI's folders|device"):
            find_listed(file)
        assert isinstance(SDCLoad.validate_inputs(file), str)
        if file.startswith(paths.NETWORK):
            with pytest.raises(ValueError, match="outside ComfyUI's folders"):
                name_in_list(file)


def test_what_is_refused_is_what_windows_takes_for_foreign():
    """By Python's own rules for Windows, wherever this runs."""
    for file in FOREIGN:
        drive, rest = ntpath.splitdrive(file)
        assert drive or rest.startswith(("/", "\\")), file
        if ntpath.splitdrive(file)[0].startswith(("\\\\", "//", "\\/", "/\\")):
            assert file.startswith(paths.NETWORK)


def test_a_full_path_keeps_meaning_the_same_file(comfyui_folders):
    """Also where its own end is one of ComfyUI's marks."""
    for place, name in (("input", "a.sdc"), ("output", "a.sdc"), ("input", "b [output]"), ("output", "b [input]")):
        path = comfyui_folders / place / name
        path.touch()
        assert find_listed(name_in_list(str(path))) == str(path)


def test_ordinary_names_are_found(comfyui_folders):
    for name in ("console.sdc", "a b.sdc", "nullable.sdc", "Ünïcode 狐.sdc"):
        (comfyui_folders / "input" / name).touch()
        assert find_listed(name) == str(comfyui_folders / "input" / name)


def test_only_paths_in_comfyuis_folders_have_a_name(comfyui_folders):
    assert name_in_list("b.sdc [output]") == "b.sdc [output]"
    assert name_in_list(str(comfyui_folders / "input" / "a" / "b.sdc")) == "a/b.sdc"
    with pytest.raises(ValueError, match="choose .sdc to upload"):
        name_in_list(str(comfyui_folders / "elsewhere.sdc"))
