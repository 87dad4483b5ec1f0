"""Whether the matrix products of this machine are exact, as decoders need them: see `learned.layers`.

Some libraries can be told, or built, to multiply float32 by way of bfloat16 or TF32. A file would decode wrongly then,
and nobody would notice.
"""

import functools
from collections.abc import Callable

import numpy as np

from .errors import SdcUnsupportedError

# Products of a row with a matrix and of matrices go different ways through a library.
ROWS, TERMS, COLUMNS = (1, 200), 576, 64
Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


def is_exact(product: Product, dtype: type, limit: int) -> bool:
    """Whether a matrix product of integers in floating point is right for sums up to just below `limit`."""
    rng = np.random.default_rng(0)
    half = int(limit**0.5)
    for rows in ROWS:
        for terms, largest in ((TERMS, half // 24), (1, half - 1)):  # many terms; one with every bit in use
            x = rng.integers(largest // 2, largest, (rows, terms))
            w = rng.integers(largest // 2, largest, (terms, COLUMNS))
            # The last term brings sums up to the limit: the largest one of them all to 1 below.
            x, w = np.pad(x, ((0, 0), (0, 1)), constant_values=1), np.pad(w, ((0, 1), (0, 0)))
            w[-1] = limit - 1 - (x @ w).max(axis=0)
            if not np.array_equal(product(x.astype(dtype), w.astype(dtype)), (x @ w).astype(dtype)):
                return False
    return True


@functools.cache
def check_products() -> None:
    """Raise SdcUnsupportedError where numpy's matrix products are not exact; the message names its BLAS."""
    for dtype, limit in ((np.float32, 1 << 24), (np.float64, 1 << 53)):
        if not is_exact(np.matmul, dtype, limit):
            raise SdcUnsupportedError(
                f"matrix products of {np.dtype(dtype)} are not exact on this machine (numpy {np.__version__} with "
                f"{blas_name()}), so files would decode wrongly: turn off the fast mode of that "
                "library that rounds to bfloat16 or TF32, or install numpy from PyPI, whose OpenBLAS is exact"
            )


def blas_name() -> str:
    """Name and version of the library that numpy multiplies matrices by."""
    try:
        found = (np.show_config(mode="dicts") or {})["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}"
    except (KeyError, TypeError):  # numpy before 1.25 only prints it
        return "an unknown BLAS"
