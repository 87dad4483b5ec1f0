"""The latent formats a file can hold. Identifiers are part of the file format: add to the table, never change it."""

from dataclasses import dataclass

from .errors import SdcArgumentError, SdcUnsupportedError


@dataclass(frozen=True)
class LatentFormat:
    """One latent format: its byte in the file, and the shape that it gives an image."""

    id: int
    name: str
    channels: int
    spatial_factor: int


LATENT_FORMATS = (
    LatentFormat(1, "SD1.x", 4, 8),
    LatentFormat(2, "SDXL", 4, 8),
    LatentFormat(3, "SD3", 16, 8),
    LatentFormat(4, "Flux", 16, 8),
)


def by_name(name: str) -> LatentFormat:
    """Return the latent format called `name`, or raise `SdcArgumentError`."""
    for latent_format in LATENT_FORMATS:
        if latent_format.name == name:
            return latent_format
    known = ", ".join(latent_format.name for latent_format in LATENT_FORMATS)
    raise SdcArgumentError(f"latent_format is {name!r}; choose one of: {known}")


def by_id(identifier: int) -> LatentFormat:
    """Return the latent format with this byte, or raise `SdcUnsupportedError`."""
    for latent_format in LATENT_FORMATS:
        if latent_format.id == identifier:
            return latent_format
    raise SdcUnsupportedError(
        f"the file uses latent format {identifier}, which came after this reader; "
        f"it knows 1 to {LATENT_FORMATS[-1].id}, update it"
    )
