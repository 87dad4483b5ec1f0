"""Denoisers known in closed form, put in a model's place through ComfyUI's own wrapper: ground truth to invert."""

import comfy.model_sampling
import torch


def use_gaussian(model, mean: float = 0.3, deviation: float = 0.9):
    """Make `model` the exact denoiser of data drawn from N(mean, deviation^2), on the way to noise of its family.

    With x = share x0 + gain n: for EPS and V models share 1 and gain sigma, so eps = s (x - m) / (d^2 + s^2); for flow
    models share 1 - sigma and gain sigma times its noise_scale.
    Returns the function that says where the probability flow takes a clean x at sigma.
    """
    sampling = model.get_model_object("model_sampling")
    flow, noise_scale = isinstance(sampling, comfy.model_sampling.CONST), getattr(sampling, "noise_scale", 1.0)

    def path(sigma):
        share, gain = (1 - sigma, sigma * noise_scale) if flow else (1.0, sigma)
        return share, (share**2 * deviation**2 + gain**2) ** 0.5

    def wrapper(_, options):
        share, spread = path(options["timestep"].view(-1, *[1] * (options["input"].ndim - 1)))
        return mean + share * (deviation / spread) ** 2 * (options["input"] - share * mean)

    def exact(x, sigma):
        share, spread = path(sigma)
        return share * mean + (x - mean) * spread / deviation

    model.set_model_unet_function_wrapper(wrapper)
    return exact


def use_patch_mixture(model, modes: int = 6, deviation: float = 0.15, side: int = 1, channels: int = 4, seed: int = 1):
    """Make `model` the exact denoiser of images whose patches come from one of a few Gaussians each.

    Between two modes it decides steeply, as trained models do and random ones do not.
    Returns the function that draws `count` such images, (count, channels, height, width).
    """
    random = torch.Generator().manual_seed(seed)
    means = torch.randn(modes, channels * side**2, generator=random, dtype=torch.float64)

    def to_patches(x):
        batch, _, height, width = x.shape
        x = x.view(batch, channels, height // side, side, width // side, side).permute(0, 2, 4, 1, 3, 5)
        return x.reshape(batch, -1, channels * side**2)

    def to_images(patches, height, width):
        x = patches.view(-1, height // side, width // side, channels, side, side).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(-1, channels, height, width).float()

    def wrapper(_, options):
        # On the CPU: not every device has float64.
        x, variance = options["input"], options["timestep"].cpu().double().view(-1, 1, 1) ** 2
        patches, total = to_patches(x.cpu().double()), deviation**2 + variance
        distances = torch.cdist(patches, means.to(patches).expand(len(x), -1, -1)) ** 2
        mean = torch.softmax(-distances / (2 * total), dim=-1) @ means.to(patches)
        return to_images(mean + (patches - mean) * (deviation**2 / total), *x.shape[-2:]).to(x.device)

    def draw(count: int, height: int, width: int) -> torch.Tensor:
        chosen = torch.randint(modes, (count, height * width // side**2), generator=random)
        noise = torch.randn(*chosen.shape, channels * side**2, generator=random, dtype=torch.float64)
        return to_images(means[chosen] + deviation * noise, height, width)

    model.set_model_unet_function_wrapper(wrapper)
    return draw
