"""Metrics of an image against its original, without ComfyUI.

All take two images of one size, each an (H, W, 3) array or tensor: uint8, or float in 0..1, which is rounded to
8 bits first, like the files of the baselines. Figures are means over the three channels.
"""

import functools
import warnings
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from ...codec.interruption import poll
from ..images.opencv import filter_rows_and_columns

# Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment" (2003), section 3.2.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_MS_SSIM = 11 * 2 ** (len(SCALE_WEIGHTS) - 1)  # the 11x11 window has to fit into the coarsest scale

# LPIPS networks and how torchvision names the file of their ImageNet weights.
LPIPS_WEIGHTS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


# Key -> its usual name, and the digits that mean anything.
COLUMNS = {"psnr": ("PSNR", ".2f"), "ssim": ("SSIM", ".3f"), "ms_ssim": ("MS-SSIM", ".3f"), "lpips": ("LPIPS", ".3f")}


class MetricUnavailable(Exception):
    """The metric needs something that is not installed, or does not apply to this image; the message says which."""


def to_pixels(image) -> np.ndarray:
    """(H, W, 3) uint8 of an image, its values rounded to the nearest of 256 levels."""
    if isinstance(image, torch.Tensor):  # numpy has no bfloat16
        image = (image.float() if image.is_floating_point() else image).cpu().numpy()
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"An image has shape {tuple(pixels.shape)}; (height, width, 3) is needed.")
    if pixels.dtype == np.uint8:
        return pixels
    return np.rint(np.nan_to_num(pixels).clip(0, 1) * 255).astype(np.uint8)


def measure(original, restored, lpips=None) -> dict[str, float | None]:
    """Every metric by its key in COLUMNS; None for one that does not apply to this image.

    `lpips` is the function of `load_lpips`; without it that metric is None.
    """
    found: dict[str, float | None] = {"psnr": psnr(original, restored)}
    for name, metric in (("ssim", ssim), ("ms_ssim", ms_ssim), ("lpips", lpips)):
        poll()
        try:
            found[name] = metric and metric(original, restored)
        except MetricUnavailable:
            found[name] = None
    return found


def psnr(original, restored) -> float:
    """Peak signal-to-noise ratio in dB, infinite for equal images."""
    a, b = _pair(original, restored)
    error = np.square(a - b).mean(dtype=np.float64)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(original, restored) -> float:
    """Structural similarity as scikit-image has it by default: flat 7x7 window, sample covariance. At most 1.

    Raises MetricUnavailable below 7x7 pixels.
    """
    a, b = _pair(original, restored)
    if min(a.shape[:2]) < 7:
        raise MetricUnavailable("SSIM needs images of at least 7x7.")
    similarity, _ = _similarity(a, b, lambda x: filter_rows_and_columns(x, np.full(7, 1 / 7)), 49 / 48)
    return float(similarity.mean())


def ms_ssim(original, restored) -> float:
    """Multi-scale structural similarity: five scales, an 11x11 Gaussian window of 1.5 pixels. 1 for equal images.

    Wang, Simoncelli and Bovik, 2003. Raises MetricUnavailable below 176x176 pixels.
    """
    a, b = _pair(original, restored)
    if min(a.shape[:2]) < MIN_MS_SSIM:
        raise MetricUnavailable(f"MS-SSIM needs images of at least {MIN_MS_SSIM}x{MIN_MS_SSIM}.")
    window = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    window /= window.sum()
    result = np.ones(3)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            a, b = _halved(a), _halved(b)
        similarity, contrast = _similarity(a, b, lambda x: filter_rows_and_columns(x, window), 1)
        last = scale == len(SCALE_WEIGHTS) - 1  # only there does luminance count
        result *= np.maximum((similarity if last else contrast).mean((0, 1)), 0) ** weight
    return float(result.mean())


def load_lpips(folders, net: str = "alex"):
    """The function (original, restored) -> learned perceptual distance, version 0.1, 0 for equal images.

    Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018. The function raises
    MetricUnavailable below 64x64 pixels.

    Parameters
    ----------
    folders : iterable of Path
        Where torchvision's ImageNet weights of the network are looked for, as a .pth or .safetensors file, whole or
        only their `features.` part. They are read as tensors and nothing else. Nothing is downloaded.
    net : str
        One of LPIPS_WEIGHTS. Figures of different networks cannot be compared.

    Raises
    ------
    MetricUnavailable
        The package is not installed, there are no weights, or they are not those of the network.
    """
    folders = [Path(folder) for folder in folders]
    found = [path for folder in folders for path in sorted(folder.glob(f"{LPIPS_WEIGHTS[net]}*"))]
    found = [path for path in found if path.suffix in (".pth", ".safetensors")]
    if not found:
        raise MetricUnavailable(
            f"LPIPS needs torchvision's ImageNet weights of its network: put {LPIPS_WEIGHTS[net]}-*.pth, which "
            f"download.pytorch.org/models offers, into {' or '.join(map(str, folders))}."
        )
    network = lpips_network(found[0], net)

    def lpips(original, restored) -> float:
        a, b = _pair(original, restored)
        if min(a.shape[:2]) < 64:
            raise MetricUnavailable("LPIPS needs images of at least 64x64.")
        with torch.inference_mode():
            return network(*(torch.from_numpy(x).permute(2, 0, 1)[None] / 127.5 - 1 for x in (a, b))).item()

    return lpips


@functools.lru_cache(maxsize=1)
def lpips_network(weights: Path, net: str):
    try:
        from lpips import LPIPS
    except ImportError as error:
        raise MetricUnavailable(
            "LPIPS needs the package lpips: pip install lpips, with the Python that runs ComfyUI, and restart."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how lpips calls torchvision
        # pnet_rand: it would otherwise download what is loaded here. Its linear heads come with the package.
        network = LPIPS(net=net, pnet_rand=True, verbose=False)
    if weights.suffix == ".safetensors":
        tensors = safetensors.torch.load_file(weights)
    else:
        tensors = torch.load(weights, map_location="cpu", weights_only=True)
    # features.3.weight is net.slice2.3.weight in the package, which deals torchvision's layers out to slices.
    features = {name: tensors.get(f"features.{name.partition('.')[2]}") for name in network.net.state_dict()}
    try:
        network.net.load_state_dict({name: value for name, value in features.items() if value is not None})
    except RuntimeError as error:
        raise MetricUnavailable(f"{weights} does not hold torchvision's {LPIPS_WEIGHTS[net]}: {error}") from error
    for layer in network.modules():
        layer.register_forward_pre_hook(lambda *_: poll())
    return network


def _pair(original, restored) -> tuple[np.ndarray, np.ndarray]:
    a, b = to_pixels(original), to_pixels(restored)
    if a.shape != b.shape:
        raise ValueError(
            f"The images are {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}; they must have one size."
        )
    return a.astype(np.float32), b.astype(np.float32)


def _similarity(a, b, mean, sample_factor) -> tuple[np.ndarray, np.ndarray]:
    """Maps of SSIM and of its contrast and structure part, one value a window and channel; C1, C2 as in Wang et al."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    poll()  # each of these lines takes a second for an image of 36 megapixels
    variances = (mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2) * sample_factor
    poll()
    covariance = (mean(a * b) - mean_a * mean_b) * sample_factor
    contrast = (2 * covariance + c2) / (variances + c2)
    return (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1) * contrast, contrast


def _halved(x: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in x.shape[:2])
    return x[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
