"""One line of text on an image, in letters of any language that a font of this system has."""

import functools

from PIL import ImageFont

# Pillow's own font has those of English alone. Pillow finds these by name where a system keeps its fonts: with Latin,
# Greek and Cyrillic letters, then with Chinese, Japanese and Korean ones, on Linux, Windows and macOS.
SYSTEM_FONTS = (
    "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf", "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "msyh.ttc", "YuGothM.ttc", "msgothic.ttc", "malgun.ttf",
    "Hiragino Sans GB.ttc", "PingFang.ttc",
)  # fmt: skip
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont  # the second where Pillow was built without FreeType
NO_LETTER = "\U0010ffff"  # which no font has: what is drawn for it is drawn for all that a font lacks


def font_for(text: str, size: float) -> Font:
    """Pillow's own font, or the one among those of this system that lacks the fewest of these letters."""
    letters = "".join(sorted({letter for letter in text if not letter.isascii() and letter.isprintable()}))
    return _font_for(letters, size)


@functools.lru_cache(256)
def _font_for(letters: str, size: float) -> Font:
    best: Font = ImageFont.load_default(size)
    fewest = len(letters) + 1
    for name in (None, *SYSTEM_FONTS):
        try:
            font: Font = ImageFont.truetype(name, size) if name else best
        except OSError:  # this system does not have it
            continue
        missing = bytes(font.getmask(NO_LETTER))
        lacking = sum(bytes(font.getmask(letter)) == missing for letter in letters)
        if lacking < fewest:
            best, fewest = font, lacking
        if not fewest:
            break
    return best


def shorten(text: str, font: Font, width: float) -> str:
    """One line of at most `width` pixels."""
    text = " ".join(text.split())[:200]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"
