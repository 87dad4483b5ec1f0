"""Everything that can be wrong with a `.sdc` file, or with what one is to be made from.

FORMAT.md lists which check raises which; the messages say what was found and what was expected.
"""


class SdcError(ValueError):
    """Base class of every error that this package raises on purpose."""


class SdcArgumentError(SdcError):
    """An argument cannot be used."""


class SdcFormatError(SdcError):
    """The data is not a `.sdc` file, is cut short, or contradicts itself or the specification."""


class SdcChecksumError(SdcError):
    """The data is complete but has changed since it was written."""


class SdcUnsupportedError(SdcError):
    """The file may be sound but needs a feature that this reader does not have."""


class SdcLimitError(SdcError):
    """The file requests more than the reader is willing to spend."""
