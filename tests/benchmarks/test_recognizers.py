"""Faces and lettering are recognized in what is as good as the original, and not in what has lost them."""

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from benchmarks.harness import recognizers
from benchmarks.harness.recognizers import SAME_PERSON, Recognized

ASTRONAUT = skimage.data.astronaut()[:256, 100:356]


def coarse(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Scaled down and up again."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width // factor, image.height // factor)).resize(image.size))


def test_a_face_is_itself_and_no_other():
    recognized = Recognized(ASTRONAUT)
    (face,) = recognized.faces
    assert 60 < face.width() < 120
    assert recognized.compare(ASTRONAUT, ASTRONAUT, None) == {"distances": [0.0], "found": [True], "lines": []}
    little, much, other = (
        recognized.compare(ASTRONAUT, restored, None)
        for restored in (coarse(ASTRONAUT, 2), coarse(ASTRONAUT, 16), np.ascontiguousarray(ASTRONAUT[::-1]))
    )
    assert 0 < little["distances"][0] < 0.3 < SAME_PERSON < other["distances"][0]
    assert little["found"] == [True] and much["found"] == other["found"] == [False]


def test_lettering_is_read_where_it_was():
    page = Image.new("RGB", (320, 128), "white")
    for top, text in ((8, "Quick brown fox"), (72, "JUMPS 1234")):
        ImageDraw.Draw(page).text((8, top), text, "black", ImageFont.load_default(32))
    pixels = np.asarray(page)
    recognized = Recognized(pixels)
    assert [line.text for line in recognized.lines] == ["quickbrownfox", "jumps1234"] and not recognized.faces
    assert [line[1:] for line in recognized.compare(pixels, pixels, None)["lines"]] == [[13, 0], [9, 0]]
    blank = pixels.copy()
    blank[64:] = 255
    assert [line[1:] for line in recognized.compare(pixels, blank, None)["lines"]] == [[13, 0], [9, 9]]
    assert not Recognized(np.full((64, 64, 3), 128, np.uint8))


@pytest.mark.parametrize(
    ("one", "other", "count"), [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_distance_counts_wrong_characters(one, other, count):
    assert recognizers.distance(one, other) == recognizers.distance(other, one) == count
