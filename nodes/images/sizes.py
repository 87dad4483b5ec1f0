"""An IMAGE in the size of its latent, and back in its true size; `codec.geometry` says which pixels those are."""

import torch

from ... import codec
from ...codec.geometry import restored, trimmed

MULTIPLE = 8  # of the sides of what is scaled: VAE Encode then crops nothing


def size_within(width: int, height: int, megapixels: float) -> tuple[int, int]:
    """The size of an image of at most so many times 1024x1024 pixels; its own where it is no larger, and for 0."""
    share = (megapixels * 1024 * 1024 / (width * height)) ** 0.5
    if not megapixels or share >= 1:
        return width, height
    width, height = (max(MULTIPLE, round(side * share / MULTIPLE) * MULTIPLE) for side in (width, height))
    return width, height


def restore_size(image: torch.Tensor, encoded_images: list[codec.EncodedImage]) -> torch.Tensor:
    """Give decoded images (B, H, W, C) the size that their files name.

    Every decoded pixel stays where it was in the original. Images of another size than their latents have, and batches
    of several true sizes, are returned as they are.
    """
    sizes = {(encoded.height, encoded.width) for encoded in encoded_images}
    if len(sizes) > 1:
        return image
    first = encoded_images[0]
    factor = codec.by_name(first.latent_format).spatial_factor
    if image.shape[1:3] != (first.latent_height * factor, first.latent_width * factor):
        return image
    for axis, size in ((1, first.height), (2, first.width)):
        pixels = torch.from_numpy(restored(image.shape[axis], size)).to(image.device)
        image = image.index_select(axis, pixels)
    return image


def trim_to_latent(image: torch.Tensor, samples: torch.Tensor, factor: int, name: str = "image") -> torch.Tensor:
    """Trim an image (B, H, W, C) exactly as VAE Encode does, so that edges lie where the latent has them.

    A ControlNet would otherwise crop the hint about its center by aspect ratio and shift it. An image of
    another size but the same shape is left for ComfyUI to scale.

    Parameters
    ----------
    samples : torch.Tensor
        (B, C, [T,] h, w) of the latent.
    factor : int
        Pixels per place of the latent, each way.
    name : str
        The input that the image comes from, for the error.

    Raises
    ------
    ValueError
        Image and latent differ in shape.
    """
    height, width = image.shape[1:3]
    latent_height, latent_width = samples.shape[-2:]
    if height // factor * latent_width != width // factor * latent_height or height < factor:
        raise ValueError(
            f"{name} is {width}x{height}, but the latent is of an image of {latent_width * factor}x"
            f"{latent_height * factor}, which has another aspect ratio. Connect the image that VAE Decode made of it."
        )
    return image[:, trimmed(height, factor), trimmed(width, factor)]
