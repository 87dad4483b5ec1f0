"""Matrix products that are not exact are noticed before anything is decoded by them."""

import numpy as np
import pytest
import sdc_codec as codec
import torch
from sdc_codec import blas
from sdc_codec.learned import weights

KINDS = [(np.float32, 1 << 24), (np.float64, 1 << 53)]


@pytest.mark.parametrize(("dtype", "limit"), KINDS)
def test_exact_products_pass(dtype, limit):
    assert blas.is_exact(np.matmul, dtype, limit)


@pytest.mark.parametrize(("dtype", "limit"), KINDS)
@pytest.mark.parametrize("narrower", [torch.bfloat16, torch.float32])
def test_products_of_rounded_factors_do_not(dtype, limit, narrower):
    def product(x, w):
        x, w = (torch.from_numpy(each).to(narrower).to(torch.float64) for each in (x, w))
        return (x @ w).numpy().astype(dtype)

    exact = narrower == torch.float32 and dtype == np.float32
    assert blas.is_exact(product, dtype, limit) == exact


def test_a_machine_that_would_decode_wrongly_says_so_and_names_its_library(monkeypatch):
    def rounding(x, w):
        return (torch.from_numpy(x).bfloat16() @ torch.from_numpy(w).bfloat16()).to(torch.float64).numpy()

    weights.load_weights.cache_clear()
    blas.check_products.cache_clear()
    monkeypatch.setattr(np, "matmul", rounding)
    latent = np.zeros((4, 8, 8), np.float32)
    with pytest.raises(
        codec.SdcUnsupportedError, match=f"not exact.*numpy {np.__version__} with .*(?i:blas|accelerate)"
    ):
        codec.encode([latent], quality=50)
    monkeypatch.undo()
    (image,) = codec.encode([latent], quality=50)
    assert codec.decode(image).shape == latent.shape
