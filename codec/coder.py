"""The interface of a coder: what turns latents into the payloads of a file, and payloads back into latents.

A new coder is a module with two classes like these and a line in `registry`. It knows nothing of the file around its
payloads.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

Payloads = dict[str, bytes]  # by the tag of their section, in file order


class StoredLatent(Protocol):
    """A latent as a coder stores it, checked as far as possible without decoding it. Immutable.

    Attributes
    ----------
    coder : str
        One of the names in the coder's `ids`.
    """

    @property
    def coder(self) -> str: ...

    def describe(self) -> str:
        """Say in words how the latent is stored: "64 colors"."""

    def details(self) -> dict[str, Any]:
        """Say the same for programs, as JSON values: {"colors": 64}."""

    def decode(self) -> np.ndarray:
        """Return the latent, a new float32 array of the shape that it was encoded from.

        Raises SdcFormatError where the payload is damaged.
        """

    def estimate_error(self) -> float:
        """Return the RMS error that coding probably made, in units of the latent."""

    def check_relabel(self, latent_format: str) -> None:
        """Raise SdcArgumentError if the payload cannot be that of another latent format."""


class Coder(Protocol):
    """One way to store latents.

    Attributes
    ----------
    name : str
        What presets call it.
    ids : mapping of int to str
        Each byte that stands for it in the header, and the name of that variant.
    sections : mapping of str to str
        Tag of each section that it requires, in file order, and what it holds, in words.
    video : bool
        Whether it stores latents (C, T, H, W) of several frames. Those of one frame come to every coder as (C, H, W).
    """

    name: str
    ids: Mapping[int, str]
    sections: Mapping[str, str]
    video: bool

    def can_encode(self, latent_format: str) -> bool:
        """Return whether new files of this latent format can be written."""

    def encode(
        self,
        latents: Sequence[np.ndarray],
        latent_format: str,
        settings: Mapping[str, Any],
        max_payload: int | None,
        step: Callable[[], object],
    ) -> list[tuple[int, Payloads]]:
        """Encode latents of one shape.

        Parameters
        ----------
        latents : sequence of (C, H, W) float64 arrays, or (C, T, H, W) with T above 1 for coders of video
            Finite, within the float16 range.
        latent_format : str
        settings : mapping of str to Any
            Every setting that the presets of this coder have, checked by nobody yet.
        max_payload : int, optional
            Most bytes of the payloads of each latent together. A coder that cannot get below it returns the fewest
            bytes that it can; one whose presets have no rate never gets it.
        step : callable
            To be called without arguments after each latent; what it raises ends the work.

        Returns
        -------
        list of (int, Payloads)
            Byte of the header and payloads of each latent.

        Raises
        ------
        SdcArgumentError
            A setting or latent that cannot be used.
        """

    def parse(
        self, coder_id: int, payloads: Mapping[str, Any], shape: tuple[int, ...], latent_format: str
    ) -> StoredLatent:
        """Parse the payloads (bytes-like) of the required sections; `shape` is that of the latent, as for `encode`.

        Raises
        ------
        SdcFormatError
            The payloads contradict FORMAT.md.
        SdcUnsupportedError
            They need something that this version does not have.
        """
