"""The small models in memory, by ComfyUI's own loaders, so that it manages them like those of any checkpoint."""

import comfy.controlnet
import comfy.sd
import folder_paths

from ..progress import check_cancel
from .models import checkpoint, controlnet


def load_checkpoint(disable_dynamic: bool = False) -> tuple:
    """(MODEL, CLIP, VAE)."""
    embeddings = folder_paths.get_folder_paths("embeddings")
    return comfy.sd.load_state_dict_guess_config(
        checkpoint(), embedding_directory=embeddings, disable_dynamic=disable_dynamic
    )[:3]


def load_models() -> tuple:
    """(MODEL, CLIP, VAE, CONTROL_NET). Nothing is written anywhere."""
    check_cancel()
    model, clip, vae = load_checkpoint()
    check_cancel()
    # ComfyUI calls these for a second copy of a model, as for another device.
    model.cached_patcher_init = (model_patcher, ())
    clip.patcher.cached_patcher_init = (clip_patcher, ())
    vae.patcher.cached_patcher_init = (vae_patcher, ())
    return model, clip, vae, comfy.controlnet.load_controlnet_state_dict(controlnet())


def model_patcher(disable_dynamic: bool = False):
    return load_checkpoint(disable_dynamic)[0]


def clip_patcher(disable_dynamic: bool = False):
    return load_checkpoint(disable_dynamic)[1].patcher


def vae_patcher(disable_dynamic: bool = False):
    return load_checkpoint(disable_dynamic)[2].patcher
