"""ComfyUI on one side, the codec on the other. A node is a schema and a short `execute`.

Every `.py` file in this folder is one node; what nodes share is here and in the folders.
"""

from contextlib import contextmanager

from .. import codec

CATEGORY = "model/latent/SDC"
ADVANCED = f"{CATEGORY}/advanced"


def file_name(path: str) -> str:
    """The name of a file without its folders, however a system writes them."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def never_equal() -> float:
    """A fingerprint for a node that has to run. ComfyUI takes what is the same object for unchanged, as math.nan is."""
    return float("nan")


@contextmanager
def plain_errors():
    """Raise the codec's errors as ValueError, since ComfyUI shows the full class name in front of the message."""
    try:
        yield
    except codec.SdcError as error:
        raise ValueError(str(error)) from error
