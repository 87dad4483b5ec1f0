"""What goes wrong in the codec, as a person reads it on a node."""

from contextlib import contextmanager

from ... import codec


@contextmanager
def plain_errors():
    """Hand the codec's errors on as ValueError: before its message ComfyUI shows the full name of an error's class."""
    try:
        yield
    except codec.SdcError as error:
        raise ValueError(str(error)) from error
