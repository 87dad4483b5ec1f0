"""The progress bar of a node, and Cancel: what takes more than a moment looks up every now and then."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import comfy.model_management
from comfy.utils import ProgressBar

from .. import codec

T = TypeVar("T")


def check_cancel(*_):
    """End the node if its run was canceled, by ComfyUI's own exception."""
    # By its module, as ComfyUI has it at that moment.
    comfy.model_management.throw_exception_if_processing_interrupted()


def steps(items: Sequence[T]) -> Iterator[T]:
    """Go through items with a progress bar; Cancel ends it between two of them."""
    progress = ProgressBar(len(items))
    for item in items:
        check_cancel()
        yield item
        progress.update(1)


@contextmanager
def cancelable():
    """What the codec does within ends a moment after Cancel, however large an image is."""
    with codec.interruptible(check_cancel):
        yield
