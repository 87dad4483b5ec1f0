"""The files of weights: plain arrays, checked once so that nothing in them can break exactness.

A file of weights is named by the start of its SHA-256, and a `.sdc` file says by which it was written. So weights that
have been shipped stay in the folder for ever, whatever newer ones come beside them.
"""

import functools
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SdcUnsupportedError
from .layers import Conv
from .passes import GROUPS, PASSES
from .rans import Tables

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "learned"
NAME_BYTES = 4
QUALITIES = 256
SCALES = 64  # tables of frequencies
UNIT = 256  # a coefficient is an integer in units of 1 / UNIT
FARTHEST = 1 << 15  # largest magnitude of a coefficient, in those units
SYNTHESIS_BLOCKS, ANALYSIS_BLOCKS = 4, 3
FIGURES = {"largest", "scale"}


@dataclass(frozen=True)
class Weights:
    """What encoder and decoder share, and what the encoder has besides.

    latent_format : str
    channels : int
        Of the latent.
    scale, shift : float32
        From ComfyUI's LATENT to what the encoder takes in, of variance about one: (latent - shift) * scale.
    errors : (256,) float32
        RMS error in the decoded latent at each quality, the mean of photographs.
    convs : dict of Conv
        Decoder: "c0.first" ... "c6.last", "s.head", "s.0.first" ... "s.tail", "s.linear". Their inputs are integers.
    scales : dict of float32
        Units of the integers that a layer takes in, by its name.
    steps : (256, M) int32, in 1 / UNIT
    log_steps : (256, M) float64, the step's logarithm as a number of scales, less that of the first table
    tables : Tables
    silent : int
        Scales below this index are not coded: the coefficient is its mean.
    analysis : dict of Conv in float32, inexact
    gains : (M,) float32
        How much an error of each coefficient weighs in the decoded latent.
    lambdas : (256,) float32
        What an error weighs against a bit at each quality.
    """

    latent_format: str
    channels: int
    scale: np.float32
    shift: np.float32
    errors: np.ndarray
    convs: dict
    scales: dict
    steps: np.ndarray
    log_steps: np.ndarray
    tables: Tables
    bits: np.ndarray
    silent: int
    analysis: dict
    gains: np.ndarray
    lambdas: np.ndarray


def names() -> list[str]:
    """Layers of the decoder."""
    contexts = [f"c{t}.{layer}" for t in range(len(PASSES)) for layer in ("first", "second", "third", "last")]
    blocks = [f"s.{i}.{layer}" for i in range(SYNTHESIS_BLOCKS) for layer in ("first", "second")]
    return [*contexts, "s.head", *blocks, "s.tail", "s.linear"]


@functools.lru_cache(maxsize=4)
def load_weights(name: bytes) -> Weights:
    """The weights that a `.sdc` file names by 4 bytes.

    Raises SdcUnsupportedError where this version does not have them, or has them damaged.
    """
    path = FOLDER / f"{name.hex()}.npz"
    try:
        data = path.read_bytes()
    except OSError:
        raise SdcUnsupportedError(
            f"the file needs the weights {name.hex()} of the learned coder, which this version does not have; update it"
        ) from None
    if name_of(data) != name:
        raise SdcUnsupportedError(f"the weights in {path} are damaged; install this version again")
    return parse_weights(data)


def name_of(data: bytes) -> bytes:
    """What a file of weights is called by what is in it."""
    return hashlib.sha256(data).digest()[:NAME_BYTES]


def parse_weights(data: bytes) -> Weights:
    """Raises ValueError or KeyError where the content is not that of a file of weights, or not exact."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return _build({name: arrays[name] for name in arrays.files})


def _build(arrays) -> Weights:
    total = sum(GROUPS)
    convs, scales = {}, {}
    for name in names():
        kind = np.float32 if arrays[f"{name}.w"].dtype == np.int8 else np.float64
        convs[name] = Conv(
            arrays[f"{name}.w"].astype(kind),
            arrays[f"{name}.m"].astype(kind),
            arrays[f"{name}.b"].astype(kind),
            int(arrays[f"{name}.largest"]),
        )
        if not convs[name].is_exact():
            raise ValueError(f"The sums of the layer {name} could become inexact.")
        scales[name] = np.float32(arrays[f"{name}.scale"])
    lengths = arrays["tables.lengths"]
    tables = Tables(np.split(arrays["tables.frequencies"].astype(np.int64), np.cumsum(lengths)[:-1]))
    steps = arrays["steps"].astype(np.int32)
    if steps.shape != (QUALITIES, total) or steps.min() < 1 or len(lengths) != SCALES:
        raise ValueError("The steps or tables have the wrong shape.")
    analysis = {
        name.removesuffix(".w"): Conv(
            arrays[name].astype(np.float32), np.float32(1), arrays[name[:-1] + "b"].astype(np.float32), 0
        )
        for name in arrays
        if name.startswith("a.") and name.endswith(".w")
    }
    return Weights(
        latent_format=str(arrays["latent_format"]),
        channels=int(arrays["channels"]),
        scale=np.float32(arrays["scale"]),
        shift=np.float32(arrays["shift"]),
        errors=arrays["errors"].astype(np.float32),
        convs=convs,
        scales=scales,
        steps=steps,
        log_steps=arrays["log_steps"].astype(np.float64),
        tables=tables,
        bits=tables.bits(),
        silent=int(arrays["silent"]),
        analysis=analysis,
        gains=arrays["gains"].astype(np.float32),
        lambdas=arrays["lambdas"].astype(np.float32),
    )
