"""Everything that can be wrong with a `.sdc` file, or with what it is to be made from.

All are `ValueError`; `except SdcError` catches the whole family. FORMAT.md lists which check gives which.
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
    """The file may be sound but needs a feature that came after this reader; the message names it."""


class SdcLimitError(SdcError):
    """The file asks for more than the reader is willing to spend."""


class SdcCorruptError(SdcError):
    """The file contradicts itself or the specification; always one of the classes below, which say where."""


class SdcHeaderError(SdcCorruptError):
    """A field of the fixed header has a value that no image has."""


class SdcSectionError(SdcCorruptError):
    """A section has no proper tag, stands in the wrong place, is there twice or is missing."""


class SdcPaletteError(SdcCorruptError):
    """The palette has the wrong length or impossible ranges."""


class SdcIndexError(SdcCorruptError):
    """The indices have the wrong length, cannot be inflated, or point beyond the palette."""


class SdcLatentError(SdcCorruptError):
    """What the learned codec has coded ends too early or too late, or is none of its payloads."""


class SdcMetadataError(SdcCorruptError):
    """The metadata cannot be inflated, or are not the JSON that the specification asks for."""
