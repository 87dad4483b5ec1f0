"""The snippets of docs/format-for-tools.md do what is said about them; that in JavaScript in tests/browser."""

import os
import re
from pathlib import Path

import pytest
import sdc_pack.codec as codec

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"


@pytest.fixture(scope="module")
def snippets():
    """What all of the page's Python defines, run block by block; the one that needs the pack's reader comes last."""
    text = (ROOT / "docs/format-for-tools.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    found: dict = {}
    for block in sorted(blocks, key=lambda block: "codec_of_the_pack as" in block):
        if "codec_of_the_pack as" in block:
            found["load_codec"](str(ROOT / "codec"))
        exec(block, found)
    return found


def test_the_header(snippets):
    for path in sorted(FIXTURES.glob("*.sdc")):
        data = path.read_bytes()
        first, *others = codec.load_all(data)
        said = snippets["header"](data[:20])
        assert (said["width"], said["height"]) == (first.width, first.height)
        assert (said["latent_height"], said["latent_width"]) == (first.latent_height, first.latent_width)
        assert said["images"] == 1 + len(others)
    assert snippets["header"](b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)) is None
    assert snippets["header"](data[:19]) is None


def test_about_a_file(snippets, tmp_path):
    path = FIXTURES / "v1_settings_by_dictionary.sdc"
    (image,) = codec.load_all(path.read_bytes())
    assert snippets["about"](path) == [(image.width, image.height, image.metadata["prompt"], 2**64 - 1)]
    (tmp_path / "cut.sdc").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="incomplete"):
        snippets["about"](tmp_path / "cut.sdc")


def test_the_sidecar(snippets, tmp_path):
    file, image = tmp_path / "fox.sdc", tmp_path / "fox.jpg"
    file.touch()
    assert snippets["sidecar"](file) is None
    image.touch()
    assert snippets["sidecar"](file) == image
    os.utime(image, (0, 0))
    assert snippets["sidecar"](file) is None
