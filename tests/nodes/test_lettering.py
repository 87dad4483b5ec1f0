"""Names on sheets: in letters that are drawn, and in their column."""

from pathlib import Path

import matplotlib
import pytest
from PIL import ImageFont
from sdc_pack.nodes.images import lettering

DEJAVU = str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


@pytest.fixture
def fonts(monkeypatch):
    """Have these fonts on the system."""

    def have(*names):
        monkeypatch.setattr(lettering, "SYSTEM_FONTS", names)
        lettering._font_for.cache_clear()

    yield have
    lettering._font_for.cache_clear()


def lacks(font, letter: str) -> bool:
    return bytes(font.getmask(letter)) == bytes(font.getmask(lettering.NO_LETTER))


def test_letters_that_pillows_font_lacks_are_drawn_by_another(fonts):
    fonts("no such font.ttf", DEJAVU)
    own = ImageFont.load_default(20)
    for text in ("Größe", "piñata", "a → b", "∞", "Жук", "Ωmega"):
        assert any(lacks(own, letter) for letter in text)
        font = lettering.font_for(text, 20)
        assert not any(lacks(font, letter) for letter in text) and font.size == 20


def test_english_is_drawn_as_before_and_so_is_what_no_font_has(fonts):
    own = ImageFont.load_default(20).getname()
    fonts(DEJAVU)
    assert lettering.font_for("A kiss · 0.153 bpp…", 20).getname() == own
    fonts("no such font.ttf")
    assert lettering.font_for("Größe", 20).getname() == own


def test_a_long_name_is_cut_off_at_the_end_of_its_column(fonts):
    fonts(DEJAVU)
    font = lettering.font_for("Größe", 20)
    assert lettering.shorten("Größe\n  42", font, 400) == "Größe 42"
    cut = lettering.shorten("Größe " * 50, font, 100)
    assert cut.startswith("Größe") and cut.endswith("…") and font.getlength(cut) <= 100
