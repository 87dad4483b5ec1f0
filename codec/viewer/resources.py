"""What the page brings along to decode by: weights and dictionaries, as small as a script can hold them."""

import base64
import functools
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zstandard

from ..dictionaries import FOLDER as DICTIONARIES
from ..learned.weights import FOLDER as LEARNED

DECODER = LEARNED.parent / "sdc_tiny_vae_decoder.safetensors"
FORMAT = "SD1.x"  # the latent format that the small decoder knows
# Of a file of weights that shows no image: what the checks of a file need.
STUB = ("latent_format", "channels", "groups", "code")
LEVEL = 3  # of zstd; higher ones take longer, and give weights no fewer bytes
ENCODER_ALONE = ("errors", "scale", "shift", "gains", "lambdas")


def pack_arrays(arrays: Mapping[str, np.ndarray | str]) -> bytes:
    """One zstd frame of an index and the arrays, each split into the planes of its bytes; arrays.js reads it."""
    index: list[tuple[str, str, object]] = []
    planes = []
    for name, value in arrays.items():
        if isinstance(value, str):
            index.append((name, "text", value))
            continue
        value = value.astype(value.dtype.newbyteorder("<"), copy=False)
        index.append((name, value.dtype.str[1:], list(value.shape)))
        planes.append(np.ascontiguousarray(value.reshape(-1)).view(np.uint8).reshape(-1, value.itemsize).T.tobytes())
    head = json.dumps(index, separators=(",", ":")).encode()
    content = b"".join([len(head).to_bytes(4, "little"), head, *planes])
    # A window of 8 MiB, which the page's reader allows at most.
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=23)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


def read_learned(path: Path) -> dict[str, np.ndarray | str]:
    """The arrays of a file of weights, without those of the encoder alone."""
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name[:2] != "a." and name not in ENCODER_ALONE}
    return {name: str(value) if value.dtype.kind == "U" else value for name, value in arrays.items()}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file of float16."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for name, about in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        if about["dtype"] != "F16":
            raise ValueError(f"{path.name}: {name} is {about['dtype']}, not F16")
        first, last = about["data_offsets"]
        found[name] = np.frombuffer(data[start + first : start + last], "<f2").reshape(about["shape"])
    return found


def everything() -> dict[str, dict[str, np.ndarray | str]]:
    """All arrays that a reader can have, by "learned/ID", "metadata/ID" and "decoder/SD1.x"."""
    found = {f"learned/{path.stem}": read_learned(path) for path in sorted(LEARNED.glob("*.npz"))}
    for path in sorted(DICTIONARIES.glob("*.zdict")):
        found[f"metadata/{path.stem}"] = {"content": np.frombuffer(path.read_bytes(), np.uint8)}
    found[f"decoder/{FORMAT}"] = dict(read_safetensors(DECODER))
    return found


def for_page() -> dict[str, dict[str, np.ndarray | str]]:
    """The same without weights that lead to no image: of those the page knows only whose they are.

    The small decoder takes latents of SD1.x. Weights with a code in common read each other's files, so all of those
    are shown by the weights for SD1.x.
    """
    found = everything()
    learned = {name: arrays for name, arrays in found.items() if name.startswith("learned/")}
    codes = {name: _code(name, arrays) for name, arrays in learned.items()}
    shown = {codes[name] for name, arrays in learned.items() if arrays["latent_format"] == FORMAT}
    for name, arrays in learned.items():
        if arrays["latent_format"] == FORMAT:
            continue
        kept = dict(arrays) if name in shown else {key: arrays[key] for key in STUB if key in arrays}
        if name in shown:  # the code that those for SD1.x share, but not the synthesis
            kept = {key: value for key, value in kept.items() if not key.startswith("s.")}
        found[name] = kept
    return found


def _code(name: str, arrays: Mapping[str, np.ndarray | str]) -> str:
    code = arrays.get("code")
    return name if code is None else f"learned/{np.asarray(code).tobytes().hex()}"


@functools.cache
def packed(complete: bool = False) -> dict[str, str]:
    """Those of `for_page`, or of `everything`, packed, in base64."""
    arrays = everything() if complete else for_page()
    return {name: base64.b64encode(pack_arrays(own)).decode("ascii") for name, own in arrays.items()}
