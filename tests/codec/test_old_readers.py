"""What a reader says of a file that came after it: by name what it lacks, and nothing else goes wrong."""

import importlib.util
import io
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
import sdc_codec as codec
from sdc_codec import container

ROOT = Path(__file__).parents[2]
LEARNED = sorted((ROOT / "tests" / "fixtures").glob("v1_learned_*.sdc"))
ALBUMS = sorted((ROOT / "tests" / "fixtures").glob("v1_album_*.sdc"))
PALETTES = sorted(set((ROOT / "tests" / "fixtures").glob("v1_*.sdc")) - set(LEARNED) - set(ALBUMS))


@pytest.fixture
def load_reader(monkeypatch):
    """Load a copy of the package beside the real one."""

    def load(folder: Path):
        name = "sdc_codec_of_another_time"
        for module in [module for module in sys.modules if module.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    yield load
    for module in [module for module in sys.modules if module.startswith("sdc_codec_of_another_time.")]:
        del sys.modules[module]


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def before_coder_2(tmp_path_factory) -> Path:
    """The package as it was before it had the learned coder."""
    try:
        first = git("log", "--diff-filter=A", "--format=%H", "--", "codec/learned/__init__.py").split()[-1].decode()
        archive = git("archive", f"{first}^", "codec")
    except (OSError, IndexError, subprocess.CalledProcessError):
        pytest.skip("this checkout has no history to take an older reader from")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder / "codec"


def test_a_reader_from_before_coder_2_names_what_it_lacks(before_coder_2, load_reader):
    old = load_reader(before_coder_2)
    assert not hasattr(old, "encode_learned")
    for path in LEARNED:
        with pytest.raises(old.SdcUnsupportedError, match=r"section 'L', which came after this reader.*update it"):
            old.load(path.read_bytes())


def test_it_says_that_it_reads_one_picture_a_file(before_coder_2, load_reader):
    old = load_reader(before_coder_2)
    for path in ALBUMS:
        with pytest.raises(old.SdcUnsupportedError, match=r"holds [45] pictures, which came after this reader.*update"):
            old.load(path.read_bytes())


def test_it_still_reads_what_is_written_without_coder_2(before_coder_2, load_reader, smooth_latent):
    old = load_reader(before_coder_2)
    written = [codec.encode(smooth_latent(), **codec.PAPER_PRESET, metadata={"prompt": "a fox"}).data]
    for data in [*(path.read_bytes() for path in PALETTES), *written]:
        ours, theirs = codec.load(data), old.load(data)
        assert codec.decode(ours).tobytes() == old.decode(theirs).tobytes()
        if "d" not in container.split(data, 1 << 30)[1]:  # metadata by a dictionary came later
            assert ours.metadata == theirs.metadata


@pytest.mark.parametrize("path", LEARNED, ids=lambda path: path.stem)
def test_a_reader_without_the_weights_names_them(path, tmp_path, load_reader):
    shutil.copytree(ROOT / "codec", tmp_path / "codec", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "weights" / "learned").mkdir(parents=True)
    reader = load_reader(tmp_path / "codec")
    name = codec.load(path.read_bytes()).quantised.weights.hex()
    with pytest.raises(reader.SdcUnsupportedError, match=f"needs the weights {name} .*does not have; update it"):
        reader.load(path.read_bytes())
    shutil.copy(ROOT / "weights" / "learned" / f"{name}.npz", tmp_path / "weights" / "learned")
    assert reader.decode(reader.load(path.read_bytes())).shape[0] == 4


@pytest.mark.parametrize("coder", [4, 200, 255])
def test_a_coder_to_come_is_named(coder):
    data = bytearray(LEARNED[0].read_bytes()[:-4])
    data[19] = coder
    with pytest.raises(
        codec.SdcUnsupportedError, match=f"coder {coder}, which came after this reader.*2 .learned. and 3 .several."
    ):
        codec.load(bytes(data) + struct.pack("<I", zlib.crc32(bytes(data))))


def test_a_section_to_come_beside_the_learned_latent_is_named():
    for path in LEARNED:
        header, sections = container.split(path.read_bytes(), 1 << 30)
        with pytest.raises(codec.SdcUnsupportedError, match="section 'X', which came after this reader"):
            codec.load(container.join(header, {**sections, "X": b"needed"}))
        skipped = codec.load(container.join(header, {**sections, "x": b"optional"}))
        assert codec.decode(skipped).tobytes() == codec.decode(codec.load(path.read_bytes())).tobytes()
