"""Latents as files: numpy's .npy and the .latent that ComfyUI's SaveLatent and LoadLatent exchange."""

import io

import numpy as np

from ..errors import SdcArgumentError

NPY_MAGIC = b"\x93NUMPY"
TENSOR, UNSCALED = "latent_tensor", "latent_format_version_0"
# Before ComfyUI wrote the mark `latent_format_version_0`, it saved latents times SD 1.x's scale factor.
OLD_SCALE = 0.18215


def parse(data: bytes) -> list[np.ndarray]:
    """Return the latents in the content of a .npy or .latent file: a list of (C, H, W) or (C, T, H, W) arrays.

    Four axes are a batch of images, five a batch of video. One latent of video alone comes as a batch of one.

    Raises
    ------
    SdcArgumentError
        Neither kind of file, or not a latent or a batch of latents of images.
    """
    samples = _from_npy(data) if data.startswith(NPY_MAGIC) else _from_safetensors(data)
    if samples.ndim == 3:
        samples = samples[None]
    if samples.ndim not in (4, 5) or not len(samples):
        raise SdcArgumentError(
            f"the latent has shape {samples.shape}; images are (channels, height, width) or a batch of those, video is "
            "a batch of (channels, frames, height, width)"
        )
    return list(samples)


def npy_bytes(latent: np.ndarray) -> bytes:
    """Return the content of a .npy file of one (C, H, W) latent, or of a batch of one (C, T, H, W)."""
    buffer = io.BytesIO()
    np.save(buffer, latent if latent.ndim == 3 else latent[None], allow_pickle=False)
    return buffer.getvalue()


def latent_bytes(latent: np.ndarray) -> bytes:
    """Return the content of a .latent file, a batch of one."""
    return _safetensors().save({TENSOR: np.ascontiguousarray(latent[None]), UNSCALED: np.zeros(0, np.float32)})


def _from_npy(data: bytes) -> np.ndarray:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise SdcArgumentError(f"not a .npy array: {error}") from None


def _from_safetensors(data: bytes) -> np.ndarray:
    try:
        tensors = _safetensors().load(data)
    except ImportError:
        raise
    except Exception as error:  # the package's own error, or KeyError for a type that numpy has not, such as bfloat16
        raise SdcArgumentError(f"neither a .npy nor a .latent file ({type(error).__name__}: {error})") from None
    if TENSOR not in tensors:
        raise SdcArgumentError(f"a .latent file has a tensor {TENSOR!r}; here are: {', '.join(tensors) or 'none'}")
    samples = tensors[TENSOR]
    return samples if UNSCALED in tensors else samples.astype(np.float32) * np.float32(1 / OLD_SCALE)


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError:
        raise SdcArgumentError("a .latent file needs the safetensors package: pip install safetensors") from None
    return safetensors.numpy
