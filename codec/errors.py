"""Everything that can be wrong with a `.sdc` file, or with what it is to be made from.

All are `ValueError`; `except SdcError` catches the whole family.
"""


class SdcError(ValueError):
    """Base class of every error this package raises on purpose."""


class SdcArgumentError(SdcError):
    """An argument cannot be used; the message names it, says what was found and what would do."""


class SdcSignatureError(SdcError):
    """The data does not start like an SDC file."""


class SdcTruncatedError(SdcError):
    """The data ends before the file does."""


class SdcChecksumError(SdcError):
    """The data is complete but has changed since it was written."""


class SdcUnsupportedError(SdcError):
    """The file is sound but needs a feature that this reader does not have."""


class SdcCorruptError(SdcError):
    """The file contradicts itself or the specification."""


class SdcLimitError(SdcError):
    """The file asks for more than the reader is willing to spend."""
