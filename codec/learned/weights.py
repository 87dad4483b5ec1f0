"""The files of weights: plain arrays, checked once so that nothing in them can break exactness.

A file of weights is named by the start of its SHA-256, and a `.sdc` file says by which it was written. So weights that
have been shipped stay in the folder for ever, whatever newer ones come beside them.
"""

import functools
import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..blas import check_products
from ..errors import SdcUnsupportedError
from ..latent_formats import LATENT_FORMATS
from .layers import Conv
from .passes import NUM_GROUPS, PASSES, known_before, places_of, starts
from .rans import Tables
from .winograd import Places

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "learned"
NAME_BYTES = 4
QUALITIES = 256
SCALES = 64  # tables of frequencies
UNIT = 256  # a coefficient is an integer in units of 1 / UNIT
MAX_COEFFICIENT = 1 << 15  # largest magnitude of a coefficient, in those units
MAX_COEFFICIENTS = 256  # of a patch
MAX_TABLE = 512  # so that a symbol has at most 17 bits
SYNTHESIS_BLOCKS = 4
# Multipliers, biases and scales of a layer are 0 or within these: then nothing overflows, and nothing comes out so
# small that a processor which flushes denormal numbers would differ.
MIN_FACTOR, MAX_FACTOR = 2.0**-60, 2.0**30


@dataclass(frozen=True)
class Weights:
    """What encoder and decoder share, and what the encoder has besides.

    Attributes
    ----------
    latent_format : str
    channels : int
        Of the latent.
    groups : tuple of int
        How many coefficients of a patch each group has, in the order in which they are coded.
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
    bits : float32 array
        What each integer costs by each table, for the encoder.
    zero_rate : int
        Scales below this index are not coded: the coefficient is its mean.
    analysis : ((4 C, M), (M,)) float32
        Weights and bias of the map from patches to coefficients.
    gains : (M,) float32
        How much an error of each coefficient weighs in the decoded latent.
    lambdas : (256,) float32
        What an error weighs against a bit at each quality.
    """

    latent_format: str
    channels: int
    groups: tuple[int, ...]
    scale: np.float32
    shift: np.float32
    errors: np.ndarray
    convs: dict[str, Conv]
    scales: dict[str, np.float32]
    steps: np.ndarray
    log_steps: np.ndarray
    tables: Tables
    bits: np.ndarray
    zero_rate: int
    analysis: tuple[np.ndarray, np.ndarray]
    gains: np.ndarray
    lambdas: np.ndarray

    @functools.cached_property
    def starts(self) -> tuple[int, ...]:
        return starts(self.groups)

    def part(self, group: int) -> slice:
        """Where the coefficients of a group lie."""
        return slice(self.starts[group], self.starts[group + 1])


def layers(channels: int, groups: tuple[int, ...]) -> dict[str, tuple]:
    """Name -> (taps, inputs, outputs, type) of the decoder's layers, in the order in which they are applied.

    Inputs and outputs are None where the weights are free to choose how many.
    """
    total, patch = sum(groups), 4 * channels
    found: dict[str, tuple] = {}
    for number, parts in enumerate(PASSES):
        found[f"c{number}.first"] = (9, total + NUM_GROUPS + 1, None, np.int16)
        found[f"c{number}.second"] = found[f"c{number}.third"] = (9, None, None, np.int8)
        found[f"c{number}.last"] = (1, None, 2 * sum(groups[group] for group, _ in parts), np.int16)
    found["s.head"] = (9, total + 1, None, np.int16)
    for number in range(SYNTHESIS_BLOCKS):
        found[f"s.{number}.first"] = found[f"s.{number}.second"] = (9, None, None, np.int8)
    return found | {"s.tail": (9, None, patch, np.int16), "s.linear": (1, total, patch, np.int16)}


@functools.lru_cache(maxsize=4)
def load_weights(name: bytes) -> Weights:
    """The weights that a `.sdc` file names by 4 bytes.

    Raises SdcUnsupportedError where this version does not have them, or has them damaged, or where this machine would
    decode wrongly by them.
    """
    check_products()
    path = FOLDER / f"{name.hex()}.npz"
    try:
        data = path.read_bytes()
    except OSError:
        raise SdcUnsupportedError(
            f"the file needs the weights {name.hex()} of the learned codec, which this version does not have; update it"
        ) from None
    if name_of(data) != name:
        raise SdcUnsupportedError(f"the weights in {path} are damaged; install this version again")
    try:
        return parse_weights(data)
    except (ValueError, zipfile.BadZipFile) as error:
        raise SdcUnsupportedError(f"the weights in {path} are not for this version, update it: {error}") from None


def name_of(data: bytes) -> bytes:
    """What a file of weights is called by what is in it."""
    return hashlib.sha256(data).digest()[:NAME_BYTES]


def parse_weights(data: bytes) -> Weights:
    """Raises ValueError where the content is not that of a file of weights, or would not be exact."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return build_weights({name: arrays[name] for name in arrays.files})


def build_weights(arrays: dict[str, np.ndarray]) -> Weights:
    """Weights of the arrays of a file, once they have passed every check."""

    def array(name, kind, *shape):
        """One array, which has this type and shape (None is any number)."""
        found = arrays.get(name)
        if found is None:
            raise ValueError(f"{name} is missing")
        fits = len(found.shape) == len(shape) and all(
            size > 0 and want in (None, size) for size, want in zip(found.shape, shape, strict=True)
        )
        if found.dtype != kind or not fits:
            raise ValueError(f"{name} is {found.dtype}{found.shape}, not {np.dtype(kind)}{shape}")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError(f"{name} is not finite")
        return found

    latent_format = str(arrays.get("latent_format"))
    formats = {known.name: known for known in LATENT_FORMATS}
    channels = int(array("channels", np.int32))
    if latent_format not in formats or formats[latent_format].channels != channels:
        raise ValueError(f"{latent_format} with {channels} channels is no latent format")
    groups = _groups(array)
    total = sum(groups)
    convs, scales = _decoder(array, channels, groups)

    lengths, frequencies = array("tables.lengths", np.int32, SCALES), array("tables.frequencies", np.uint16, None)
    if lengths.min() < 2 or lengths.max() > MAX_TABLE or lengths.sum() != len(frequencies):
        raise ValueError("tables.lengths does not fit tables.frequencies")
    tables = Tables(np.split(frequencies, np.cumsum(lengths)[:-1]))
    steps, zero_rate = array("steps", np.uint16, QUALITIES, total), int(array("zero_rate", np.int32))
    errors = array("errors", np.float32, QUALITIES)
    if steps.min() < 1 or errors.min() < 0 or not 0 <= zero_rate <= SCALES:
        raise ValueError("steps, errors or zero_rate are out of bounds")
    linear = array("a.linear.w", np.float16, 4 * channels, total)
    scale = np.float32(array("scale", np.float32))
    if not scale > 0:
        raise ValueError("scale is not above 0")
    return Weights(
        latent_format=latent_format,
        channels=channels,
        groups=groups,
        scale=scale,
        shift=np.float32(array("shift", np.float32)),
        errors=errors,
        convs=convs,
        scales=scales,
        steps=steps.astype(np.int32),
        log_steps=array("log_steps", np.float32, QUALITIES, total).astype(np.float64),
        tables=tables,
        bits=tables.bits(),
        zero_rate=zero_rate,
        analysis=(linear.astype(np.float32), array("a.linear.b", np.float32, total)),
        gains=array("gains", np.float32, total),
        lambdas=array("lambdas", np.float32, QUALITIES),
    )


def _groups(array: Callable) -> tuple[int, ...]:
    groups = tuple(int(size) for size in array("groups", np.int32, NUM_GROUPS))
    if min(groups) < 1 or sum(groups) > MAX_COEFFICIENTS:
        raise ValueError(f"groups of {groups} coefficients are out of bounds")
    return groups


def _decoder(array: Callable, channels: int, groups: tuple[int, ...]) -> tuple[dict[str, Conv], dict[str, np.float32]]:
    """Layers of the decoder and the units of what they take in, by name."""
    convs: dict[str, Conv] = {}
    scales: dict[str, np.float32] = {}
    width = None  # outputs of the layer before
    for name, (taps, inputs, outputs, integers) in layers(channels, groups).items():
        inputs = inputs or width
        weights = array(f"{name}.w", integers, taps * inputs, outputs)
        width = weights.shape[1]
        kind = np.float32 if integers == np.int8 else np.float64
        # What is added is never a negative zero, so no layer gives one and the sign of a zero it takes in is nothing.
        multiplier, bias = array(f"{name}.m", kind, width), array(f"{name}.b", kind, width) + kind(0)
        scales[name] = np.float32(array(f"{name}.scale", np.float32))
        convs[name] = Conv(weights.astype(kind), multiplier, bias, int(array(f"{name}.max_input", np.int32)))
        sees_the_grid = name.endswith(".first") and name.startswith("c") or name in ("s.head", "s.linear")
        least = MAX_COEFFICIENT if sees_the_grid else 1
        if not least <= convs[name].max_input <= MAX_COEFFICIENT or not convs[name].is_exact():
            raise ValueError(f"the sums of the layer {name} could become inexact")
        factors = np.abs(np.concatenate([multiplier, bias, [scales[name]]], dtype=np.float64))
        if not (factors[-1] and np.all((factors == 0) | (factors >= MIN_FACTOR) & (factors <= MAX_FACTOR))):
            raise ValueError(f"the factors of the layer {name} are out of bounds")
        if name.endswith(".first") and name.startswith("c"):
            convs[name] = _first(convs[name], int(name[1]), groups)
        elif name.endswith(".third") and len(places := places_of(int(name[1]))) == 1:
            convs[name] = replace(
                convs[name], places=Places(4 * [convs[name].weights.reshape(taps, -1, width)], places)
            )
    trunk = {convs[f"s.{number}.second"].weights.shape[1] for number in range(SYNTHESIS_BLOCKS)}
    if trunk != {convs["s.head"].weights.shape[1]}:
        raise ValueError("the blocks of the synthesis do not fit each other")
    return convs, scales


def _first(conv: Conv, number: int, groups: tuple[int, ...]) -> Conv:
    """The first layer of a pass, which takes in what `Grid.around` gives, at each place of those known there.

    The file has an input for each group that is UNIT where it is known: those of one place are equal.
    """
    total, ends = sum(groups), starts(groups)
    weights = conv.weights.reshape(9, total + NUM_GROUPS + 1, -1)
    taps = [
        np.concatenate(
            [weights[:, -1:], weights[:, total : total + count].sum(1, keepdims=True), weights[:, : ends[count]]], 1
        )
        for count in known_before(number)
    ]
    return replace(conv, places=Places(taps, range(4)))
