"""The coders that there are. A new one is added here, and nowhere else but in `presets`."""

from .archive import ArchiveCoder
from .coder import Coder
from .errors import SdcArgumentError
from .learned import LearnedCoder
from .palette import PaletteCoder

CODERS: tuple[Coder, ...] = (PaletteCoder(), LearnedCoder(), ArchiveCoder())
BY_ID: dict[int, Coder] = {coder_id: coder for coder in CODERS for coder_id in coder.ids}


def coder_by_name(name: str) -> Coder:
    """Return the coder of this name, or raise SdcArgumentError."""
    for coder in CODERS:
        if coder.name == name:
            return coder
    raise SdcArgumentError(f"coder is {name!r}; choose one of: {', '.join(coder.name for coder in CODERS)}")
