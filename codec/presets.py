"""The presets: what each is coded by, with which settings. Node, API, command line and benchmarks read them here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import SdcArgumentError
from .registry import coder_by_name

EFFORTS = FAST, THOROUGH = "fast", "thorough"  # of whoever has the pixels: see `autoencoder.refinement`
RATES = ("bits_per_pixel", "max_bytes", "quality")  # of which one is used at a time


@dataclass(frozen=True)
class Preset:
    """A coder with settings.

    Attributes
    ----------
    name : str
    coder : str
        Name of the coder in `registry`.
    fixed : mapping of str to Any
        Settings that make it what it is.
    defaults : mapping of str to Any
        Settings that can be chosen, and what they are unless they are; None for none.
    """

    name: str
    coder: str
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def settle(self, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Return every setting of the coder: those fixed, those chosen, and the defaults of the others.

        Raises
        ------
        SdcArgumentError
            A setting that this preset does not use, or more than one of RATES.
        """
        ignored = [name for name in chosen if name not in self.defaults]
        if ignored:
            raise SdcArgumentError(
                f"the preset {self.name} does not use {', '.join(ignored)}; it uses {', '.join(self.defaults)}"
            )
        rates = [name for name in RATES if name in chosen]
        if len(rates) > 1:
            raise SdcArgumentError(f"{' and '.join(rates)} exclude each other; give one of {', '.join(RATES)}")
        defaults = {name: None if rates and name in RATES else value for name, value in self.defaults.items()}
        return {**self.fixed, **defaults, **chosen}


_PALETTE = {"seed": 0, "shared_palette": False}
_ALL = (
    Preset("best", "learned", {}, {"bits_per_pixel": 0.095, "max_bytes": None, "quality": None, "mask": None}),
    Preset("fine", "palette", {"colors": 256, "dither": "none", "dither_strength": 0.0}, _PALETTE),
    Preset("clean", "palette", {"colors": 64, "dither": "none", "dither_strength": 0.0}, _PALETTE),
    # 64 x 64 indices of 6 bits and 64 entries of 4 bytes are the 3.4 kB of the paper's Table 1.
    Preset("paper", "palette", {"colors": 64, "dither": "floyd-steinberg", "dither_strength": 1.0}, _PALETTE),
    Preset("archive", "archive", {}, {"precision": None}),
    Preset("custom", "palette", {}, {"colors": 64, "dither": "floyd-steinberg", "dither_strength": 1.0, **_PALETTE}),
)
PRESETS = {preset.name: preset for preset in _ALL}
DEFAULT, DEFAULT_FORMAT = "best", "SD1.x"
FALLBACK = "fine"  # for latent formats that the coder of a preset has no weights for


def find_preset(name: str) -> Preset:
    """Return the preset of this name, or raise SdcArgumentError."""
    if name not in PRESETS:
        raise SdcArgumentError(f"preset is {name!r}; choose one of: {', '.join(PRESETS)}")
    return PRESETS[name]


def usable_preset(name: str, latent_format: str) -> tuple[Preset, str | None]:
    """Return the preset to encode a latent format by, and a note if it is not the one of this name.

    Raises
    ------
    SdcArgumentError
        There is no preset of this name.
    """
    preset = find_preset(name)
    if coder_by_name(preset.coder).can_encode(latent_format):
        return preset, None
    note = f"the preset {name} cannot encode {latent_format} latents; {FALLBACK} was used instead"
    return PRESETS[FALLBACK], note


def settle(name: str, latent_format: str, chosen: Mapping[str, Any]) -> tuple[Preset, dict[str, Any], str | None]:
    """Return the preset to encode a latent format by, every setting of its coder, and a note as `usable_preset`.

    Raises
    ------
    SdcArgumentError
        There is no preset of this name, or it does not use one of the `chosen` settings.
    """
    preset, note = usable_preset(name, latent_format)
    try:
        return preset, preset.settle(chosen), note
    except SdcArgumentError as error:
        if note is None:
            raise
        raise SdcArgumentError(f"{note}: {error}") from None
