"""Checks of arguments that more than one part of the codec makes."""

import math
import operator
from typing import Any

from .errors import SdcArgumentError


def checked_integer(name: str, value: Any, lowest: int, highest: float) -> int:
    """Return `value` as an int from `lowest` to `highest` (which may be infinity), or raise SdcArgumentError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise SdcArgumentError(f"{name} is {value!r}; pass an integer") from None
    if not lowest <= number <= highest:
        allowed = f"{lowest} to {highest}" if highest < math.inf else f"{lowest} or more"
        raise SdcArgumentError(f"{name} is {number}; it must be {allowed}")
    return number


def checked_number(name: str, value: Any, lowest: float, highest: float) -> float:
    """Return `value` as a float from `lowest` to `highest`, or raise SdcArgumentError."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not lowest <= number <= highest:
        raise SdcArgumentError(f"{name} is {value!r}; it must be a number from {lowest:g} to {highest:g}")
    return number
