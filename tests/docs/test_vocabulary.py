"""One name for one thing, in ComfyUI's and the field's own words and in US spelling: retired ones do not come back."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The word to use: what it replaces, as a regular expression that finds parts of names too.
RETIRED = {
    "image": "picture",
    "image sequence": r"\balbum",
    "learned codec": r"(learned|trained)[ _](image )?coder",
    "cfg": "guidance_scale",
    "baseline": r"rival",
    "random models": "stand-?in",
    "baseline samplers": r"\bpeers?\b",
    "t, toast, chooseDialog, forwardFiles in i18n.js": r"words\.js|handOn",
    "MAX_, MIN_, NUM_": r"(?-i:\b(MOST|LARGEST|LONGEST|FARTHEST|KEPT|NEAR|FEWEST)_|\b(FARTHEST|THRIFT|KEPT)\b)",
    "the six errors": "Sdc(Corrupt|Header|Index|Latent|Metadata|Palette|Section|Signature|Truncated)Error",
    "encode": "encode_(learned|together)",
    "US spelling: -or": r"(behavi|col|fav|hon|lab|neighb|flav)our",
    "US spelling: -er, -ense, -og, -act": r"centre|\b(kilo|centi|milli)?metres?\b|licence|catalogue|dialogue|artefact",
    "US spelling: gray": r"\bgrey",
    "US spelling: one l": r"(cancel|label|model|travel|level|channel|signal)l(ed|ing)",
    "US spelling: -ize": r"(quant|general|initial|minim|maxim|normal|optim|organ|real|recogn|regular|serial|standard|"
    r"summar|synthes|token|visual)is(e|ed|es|er|ing|ation)(?![a-z])",
    "US spelling: -yze": r"analys(ed|ing)|\banalyse\b",
}
EXCEPTIONS = {
    "tests/codec/test_golden.py": ["picture"],  # the prompts in a golden file
    "tests/docs/test_vocabulary.py": ["."],
}
# Not ours to word: what others have written or measured, and drawings.
SKIPPED = re.compile(r"uv\.lock|(.*/)?LICENSE|.*\.svg|dev/tools\.txt|weights/CREDITS\.md")


@pytest.fixture(scope="module")
def texts():
    """Each line of text in the repository, as (file:line, line); the files' own names too."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = []
    for name in filter(None, names.split("\0")):
        if SKIPPED.fullmatch(name) or not (ROOT / name).is_file():
            continue
        lines.append((name, name, name))
        try:
            text = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:  # an image, weights ...
            continue
        lines += [(name, f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    assert len(lines) > 10_000
    return lines


@pytest.mark.parametrize("instead", RETIRED)
def test_retired_words_do_not_come_back(texts, instead):
    retired = re.compile(RETIRED[instead], re.IGNORECASE)
    found = {}
    for name, place, line in texts:
        for match in retired.finditer(line):
            if not any(re.search(exception, match[0], re.IGNORECASE) for exception in EXCEPTIONS.get(name, [])):
                found[place] = match[0]
    assert not found, f"now: {instead}"
