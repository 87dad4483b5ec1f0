"""How whoever waits for long work can end it, and see how far it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[float | None], object]

_check: ContextVar[Check | None] = ContextVar("check", default=None)


@contextmanager
def interruptible(check: Check) -> Iterator[None]:
    """Have `encode` and `decode` call back several times a second.

    Parameters
    ----------
    check : callable
        Given the share of the image at hand that is decoded, 0 to 1, or None where nothing is known about that. What it
        raises ends the work. It counts for this thread, until the `with` block ends.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def poll(share: float | None = None) -> None:
    """Call back; cheap where nobody waits. `share` is as for `interruptible`."""
    check = _check.get()
    if check is not None:
        check(share)
