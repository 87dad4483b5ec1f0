"""The small models in memory, by ComfyUI's own loaders, so that it manages them like those of any checkpoint."""

import comfy.controlnet
import comfy.sd
import folder_paths

from ..progress import check_cancel
from .models import checkpoint, controlnet, exact_outputs

EXACT = "sdc_exact_pair"  # attachment of a ControlNet's model: its other weights


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
    return model, clip, vae, load_controlnet()


def load_controlnet():
    """CONTROL_NET for what Eq. (1) has inverted, which `for_exact_pair` turns into that for the exact pair."""
    control_net = comfy.controlnet.load_controlnet_state_dict(controlnet())
    control_net.control_model_wrapped.set_attachments(EXACT, exact_outputs())
    return control_net


def knows_exact_pair(control_net) -> bool:
    """Whether a CONTROL_NET was trained for the exact pair as well: the pack's own, loaded by its node."""
    model = getattr(control_net, "control_model_wrapped", None)
    return model is not None and model.get_attachment(EXACT) is not None


def for_exact_pair(control_net, *conditionings):
    """The CONTROL_NET for what the exact pair has inverted: another one of the pack's, or the same one of others'.

    `conditionings` are those it will be added to, each CONDITIONING or None.
    """
    if not knows_exact_pair(control_net):
        return control_net
    made = control_net.copy()  # shares its network; ComfyUI sets these weights when it is this one's turn
    if any(patcher.is_clone(made.control_model_wrapped) for patcher in patchers_of(conditionings)):
        other = load_controlnet()  # in one sampling it is the turn of both, so they cannot share
        made.control_model, made.control_model_wrapped = other.control_model, other.control_model_wrapped
    made.control_model_wrapped = made.control_model_wrapped.clone()
    outputs = made.control_model_wrapped.get_attachment(EXACT)
    made.control_model_wrapped.add_patches({name: ("set", (value,)) for name, value in outputs.items()})
    return made


def patchers_of(conditionings) -> list:
    """ModelPatchers of the ControlNets that conditionings hold already."""
    controls = [entry[1].get("control") for each in conditionings for entry in each or ()]
    return [patcher for control in controls if control is not None for patcher in control.get_models()]


def model_patcher(disable_dynamic: bool = False):
    return load_checkpoint(disable_dynamic)[0]


def clip_patcher(disable_dynamic: bool = False):
    return load_checkpoint(disable_dynamic)[1].patcher


def vae_patcher(disable_dynamic: bool = False):
    return load_checkpoint(disable_dynamic)[2].patcher
