"""The true size of an image that VAE Encode has trimmed, or that was padded, before it became a latent."""

import torch

from ... import codec


def restore_size(image: torch.Tensor, encoded_images: list[codec.EncodedImage]) -> torch.Tensor:
    """Give decoded images (B, H, W, C) the size that their files name.

    What is there stays where it was, pixel for pixel: rows and columns that VAE Encode has cut off, half of them on
    each side, are filled with those beside them; padding, which lies below and on the right, is cut off. Images of
    another size than their latents have, and batches of several true sizes, are returned as they are.
    """
    sizes = {(encoded.height, encoded.width) for encoded in encoded_images}
    if len(sizes) > 1:
        return image
    first = encoded_images[0]
    factor = codec.by_name(first.latent_format).spatial_factor
    if image.shape[1:3] != (first.latent_height * factor, first.latent_width * factor):
        return image
    for axis, size in ((1, first.height), (2, first.width)):
        image = image.narrow(axis, 0, min(size, image.shape[axis]))
        missing = size - image.shape[axis]
        places = torch.arange(size, device=image.device) - missing // 2
        image = image.index_select(axis, places.clamp(0, image.shape[axis] - 1))
    return image
