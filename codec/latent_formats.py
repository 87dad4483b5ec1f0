"""The latent formats a file can hold. Identifiers are part of the file format: add to the table, never change it."""

from dataclasses import dataclass

from .errors import SdcArgumentError, SdcUnsupportedError


@dataclass(frozen=True)
class LatentFormat:
    """One latent format: its byte in the file, and the shape that it gives an image.

    Attributes
    ----------
    id : int
    name : str
        That of ComfyUI's class, but for SD1.x.
    channels : int or None
        C of a latent, as the autoencoder gives it; None for any number of them.
    spatial_factor : int
        Pixels per latent element, each way.
    dimensions : int
        2 for images: (C, H, W). 3 for autoencoders of video, which have frames between: (C, T, H, W), with one frame
        for an image.
    """

    id: int
    name: str
    channels: int | None
    spatial_factor: int
    dimensions: int = 2

    def takes(self, channels: int) -> bool:
        """Whether a latent of this format can have so many channels."""
        return channels == self.channels or (self.channels is None and 1 <= channels <= MAX_CHANNELS)


MAX_CHANNELS = 256
UNKNOWN = LatentFormat(0, "unknown", None, 8)  # of which a file knows nothing but the shape
LATENT_FORMATS = (
    LatentFormat(1, "SD1.x", 4, 8),
    LatentFormat(2, "SDXL", 4, 8),
    LatentFormat(3, "SD3", 16, 8),
    LatentFormat(4, "Flux", 16, 8),
    LatentFormat(5, "Flux2", 128, 16),
    LatentFormat(6, "Wan21", 16, 8, 3),
    LatentFormat(7, "Wan22", 48, 16, 3),
    LatentFormat(8, "HunyuanVideo", 16, 8, 3),
    LatentFormat(9, "HunyuanVideo15", 32, 16, 3),
    LatentFormat(10, "HunyuanImage21", 64, 32),
    LatentFormat(11, "HunyuanImage21Refiner", 32, 16, 3),
    LatentFormat(12, "LTXV", 128, 32, 3),
    LatentFormat(13, "LTXAV", 128, 32, 3),
    LatentFormat(14, "Mochi", 12, 8, 3),
    LatentFormat(15, "Cosmos1CV8x8x8", 16, 8, 3),
    LatentFormat(16, "CogVideoX", 16, 8, 3),
    LatentFormat(17, "SeedVR2", 16, 8, 3),
    LatentFormat(18, "MiniMaxH3Video", 24, 16, 3),
    LatentFormat(19, "SC_Prior", 16, 42),
    LatentFormat(20, "SC_B", 4, 4),
    LatentFormat(21, "SD_X4", 4, 4),
)


def by_name(name: str) -> LatentFormat:
    """Return the latent format called `name`, or raise `SdcArgumentError`."""
    for latent_format in (*LATENT_FORMATS, UNKNOWN):
        if latent_format.name == name:
            return latent_format
    known = ", ".join(latent_format.name for latent_format in (*LATENT_FORMATS, UNKNOWN))
    raise SdcArgumentError(f"latent_format is {name!r}; choose one of: {known}")


def by_id(identifier: int) -> LatentFormat:
    """Return the latent format with this byte, or raise `SdcUnsupportedError`."""
    for latent_format in (*LATENT_FORMATS, UNKNOWN):
        if latent_format.id == identifier:
            return latent_format
    raise SdcUnsupportedError(
        f"the file uses latent format {identifier}, which came after this reader; "
        f"it knows 0 to {LATENT_FORMATS[-1].id}, update it"
    )
