"""Metrics against scikit-image, closed forms and a plain second computation."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from sdc_pack.nodes.comparison import metrics
from sdc_pack.nodes.images import opencv
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

LPIPS_FOLDER = Path(os.environ["SDC_SHARED"]) / "models" / "lpips"
needs_weights = pytest.mark.skipif(not LPIPS_FOLDER.is_dir(), reason="no models/lpips under SDC_SHARED")


@pytest.fixture
def pair():
    original = skimage.data.astronaut()[100:300, 150:361]
    noise = np.random.default_rng(3).normal(0, 20, original.shape)
    return original, (original + noise).clip(0, 255).astype(np.uint8)


def test_psnr_and_ssim_are_those_of_scikit_image(pair):
    assert metrics.psnr(*pair) == pytest.approx(peak_signal_noise_ratio(*pair), abs=1e-9)
    assert metrics.ssim(*pair) == pytest.approx(structural_similarity(*pair, channel_axis=2), abs=1e-9)


def test_ms_ssim_is_that_of_its_definition(pair):
    """The paper's formula by plain convolutions in torch."""
    x = torch.arange(11.0, dtype=torch.float64) - 5
    window = torch.exp(-(x**2) / (2 * 1.5**2))
    window = torch.outer(window, window) / window.sum() ** 2
    a, b = (torch.from_numpy(image).double().permute(2, 0, 1)[:, None] for image in pair)
    expected = torch.ones(3, dtype=torch.float64)
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mean = lambda x: torch.nn.functional.conv2d(x, window[None, None])  # noqa: E731
        ma, mb = mean(a), mean(b)
        cs = (2 * (mean(a * b) - ma * mb) + 58.5225) / (mean(a * a) - ma**2 + mean(b * b) - mb**2 + 58.5225)
        if scale == 4:
            cs = cs * (2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025)
        expected *= cs.mean((1, 2, 3)) ** weight
        a, b = (torch.nn.functional.avg_pool2d(x, 2) for x in (a, b))
    assert metrics.ms_ssim(*pair) == pytest.approx(expected.mean().item(), abs=1e-5)


def test_equal_images_are_perfect_and_opposites_are_not(pair):
    original, _ = pair
    assert metrics.psnr(original, original) == math.inf
    assert metrics.ssim(original, original) == metrics.ms_ssim(original, original) == 1
    assert metrics.ms_ssim(original, 255 - original) < 0.1


def test_comfyui_images_are_rounded_as_a_saved_file_is(pair):
    images = [torch.from_numpy(image.astype(np.float32) / 255) + 0.001 for image in pair]
    assert metrics.psnr(*images) == metrics.psnr(*pair)
    assert metrics.to_pixels(torch.tensor([[[-1.0, 2.0, float("nan")]]])).tolist() == [[[0, 255, 0]]]


def test_images_that_do_not_fit_are_refused(pair):
    original, restored = pair
    with pytest.raises(ValueError, match="211x200 and 210x200"):
        metrics.psnr(original, restored[:, :-1])
    with pytest.raises(ValueError, match=r"\(200, 211, 4\)"):
        metrics.psnr(np.zeros((200, 211, 4)), restored)


@pytest.mark.parametrize(("metric", "side"), [("ssim", 7), ("ms_ssim", 176)])
def test_small_images_say_so(metric, side):
    small = np.zeros((side - 1, side, 3), np.uint8)
    with pytest.raises(metrics.MetricUnavailable, match=f"at least {side}x{side}"):
        getattr(metrics, metric)(small, small)
    whole = np.zeros((side, side, 3), np.uint8)
    assert getattr(metrics, metric)(whole, whole) == 1


def test_lpips_says_what_to_put_where(tmp_path):
    (tmp_path / "alexnet.txt").touch()
    with pytest.raises(metrics.MetricUnavailable, match=f"alexnet-.*{tmp_path}"):
        metrics.load_lpips([tmp_path])


@pytest.mark.parametrize("tensors", [{}, {"features.0.weight": torch.zeros(64, 3, 3, 3)}])
def test_lpips_refuses_weights_of_another_network(tmp_path, tensors):
    torch.save(tensors, tmp_path / "alexnet.pth")
    with pytest.raises(metrics.MetricUnavailable, match="alexnet.pth does not hold"):
        metrics.load_lpips([tmp_path / "gone", tmp_path])


@needs_weights
@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_lpips_ranks_and_prints_nothing(pair, net, capfd):
    original, noisy = pair
    lpips = metrics.load_lpips([LPIPS_FOLDER], net)
    assert lpips(original, original) == 0
    assert 0 < lpips(original, original // 4 * 4) < lpips(original, noisy) < 1
    assert metrics.measure(original, noisy, lpips)["lpips"] == lpips(original, noisy)
    assert capfd.readouterr() == ("", "")


def test_all_figures_at_once(pair):
    assert metrics.measure(*pair) == {
        "psnr": metrics.psnr(*pair), "ssim": metrics.ssim(*pair), "ms_ssim": metrics.ms_ssim(*pair), "lpips": None
    }  # fmt: skip
    small = np.zeros((8, 8, 3), np.uint8)
    assert metrics.measure(small, small) == {"psnr": math.inf, "ssim": 1, "ms_ssim": None, "lpips": None}


def test_without_opencv_the_figures_are_the_same(pair, monkeypatch):
    figures = metrics.ssim(*pair), metrics.ms_ssim(*pair)
    monkeypatch.setattr(opencv, "cv2", None)
    assert (metrics.ssim(*pair), metrics.ms_ssim(*pair)) == pytest.approx(figures, abs=1e-9)
