"""Second family of coders: a learned transform of the latent, and a learned model of what is likely.

The latent is cut into patches of 2x2, each turned into a few coefficients; these are rounded and coded in passes, each
of which sees what the passes before it gave. Trained by the project; the weights come with the pack. The ideas are
those of Balle et al., "Variational image compression with a scale hyperprior" (2018), He et al., "ELIC" (2022), and Li,
Li and Lu, "Neural video compression with diverse contexts" (2023); that integers make it exact on every machine is from
Balle, Johnston and Minnen, "Integer networks for data compression with latent-variable models" (2019).
"""

from dataclasses import dataclass

import numpy as np

from ..errors import SdcArgumentError, SdcLatentError
from .decoder import LARGEST_SIDE, decode_payload
from .encoder import encode_to_quality, encode_to_size
from .weights import NAME_BYTES, QUALITIES, load_weights

__all__ = ["CODER", "LEARNED_FORMATS", "QUALITIES", "LearnedLatent", "encode_latent", "parse_section"]

CODER = 2
HEADER_BYTES = NAME_BYTES + 1  # weights and quality, before the payload
# Latent format -> the weights that new files are written with. Older ones stay in the folder for the files that name
# them.
NEWEST = {
    "SD1.x": bytes.fromhex("c581c165"),
    "SDXL": bytes.fromhex("8fa7c970"),
    "SD3": bytes.fromhex("78710928"),
    "Flux": bytes.fromhex("eee66463"),
}
LEARNED_FORMATS = tuple(NEWEST)


@dataclass(frozen=True)
class LearnedLatent:
    """A latent as it is stored; it is not decoded before it is asked for.

    Attributes
    ----------
    weights : bytes
        Name of the weights it was coded with.
    quality : int
        0, coarse, to 255, fine.
    payload : bytes
    shape : (int, int, int)
        Of the latent.
    """

    weights: bytes
    quality: int
    payload: bytes
    shape: tuple[int, int, int]

    coder = "learned"
    colors = None  # there is no palette

    @property
    def summary(self):
        """For people: how the latent is stored."""
        return f"learned · quality {self.quality}"

    def dequantize(self):
        """Return the latent, (C, H, W) float32, or raise `SdcLatentError`."""
        return decode_payload(self.payload, *self.shape[1:], self.quality, load_weights(self.weights))

    def estimate_error(self):
        """RMS error that coding made, in units of the latent: the mean of photographs at this quality."""
        return float(load_weights(self.weights).errors[self.quality])


def encode_latent(latent, latent_format, *, quality=None, size=None, mask=None):
    """Return the payload of section L.

    Parameters
    ----------
    latent : (C, H, W) float64 array
        Finite, sides at most 2048.
    latent_format : str
        One of NEWEST.
    quality : int, optional
        0 to 255.
    size : int, optional
        Most bytes of the section's payload, instead of a quality; met within 2 % as a rule, and passed only where the
        lowest quality does.
    mask : (H, W) array, optional
        0 to 1: where it is 1 errors count four times as much as where it is 0.

    Raises
    ------
    SdcArgumentError
        No weights for this latent format, or a side above 2048.
    """
    if latent_format not in NEWEST:
        raise SdcArgumentError(
            f"the learned codec has no weights for {latent_format}, only for {', '.join(NEWEST)}; use a palette"
        )
    if max(latent.shape[1:]) > LARGEST_SIDE:
        raise SdcArgumentError(f"latent has shape {latent.shape}; the learned codec takes sides up to {LARGEST_SIDE}")
    name = NEWEST[latent_format]
    weights = load_weights(name)
    latent = latent.astype(np.float32)
    if size is None:
        payload = encode_to_quality(latent, quality, weights, mask)
    else:
        quality, payload = encode_to_size(latent, size - HEADER_BYTES, weights, mask)
    return name + bytes([quality]) + payload


def parse_section(section, shape, latent_format):
    """Parse the payload of section L; what is coded is looked at when it is decoded.

    Raises
    ------
    SdcUnsupportedError
        Weights that this version does not have.
    SdcLatentError
        Too short, weights of another latent format, or a latent larger than the coder takes.
    """
    section = bytes(section)
    if len(section) < HEADER_BYTES:
        raise SdcLatentError(f"section L has {len(section)} bytes; weights and quality take {HEADER_BYTES}")
    name, quality = section[:NAME_BYTES], section[NAME_BYTES]
    weights = load_weights(name)
    if weights.latent_format != latent_format:
        raise SdcLatentError(f"the weights {name.hex()} are those for {weights.latent_format}, not for {latent_format}")
    if max(shape[1:]) > LARGEST_SIDE:
        raise SdcLatentError(f"the latent is {shape[2]} x {shape[1]}; the learned codec has sides up to {LARGEST_SIDE}")
    return LearnedLatent(name, quality, section[HEADER_BYTES:], shape)
