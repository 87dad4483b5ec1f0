"""What ComfyUI's own nodes put on a MODEL that makes it another function at every call, and what is done about it.

An inversion solves for the latent from which sampling leads back, so both directions have to ask one and the same
function. docs/inversion.md lists which nodes keep it so.
"""

from contextlib import contextmanager

import comfy.patcher_extension
import torch
from comfy.patcher_extension import WrappersMP

CACHES = {"easycache": "EasyCache", "lazycache": "LazyCache"}  # key of their wrappers, and the node's name
SEED = 0


def without_caches(model) -> tuple[object, list[str]]:
    """The MODEL without EasyCache and LazyCache, which answer with the output of another step, and notes about it."""
    notes = []
    for key, name in CACHES.items():
        if not any(key in kinds for kinds in model.wrappers.values()):
            continue
        model = model.clone()
        for kind in (*model.wrappers,):
            model.remove_wrappers_with_key(kind, key)
        model.model_options["transformer_options"].pop("easycache", None)  # of both
        notes.append(f"{name} is not used here: it repeats answers of other steps, so the image would not come back.")
    return model, notes


def refuse_caches(model_options: dict):
    """Raise ValueError where a sampler is about to ask a model that EasyCache or LazyCache answers for."""
    if holder := model_options.get("transformer_options", {}).get("easycache"):
        raise ValueError(
            f"The model has {holder.name}, which repeats answers of other steps, so the image would not come back. "
            f"Connect the model as it is before {holder.name}."
        )


@contextmanager
def same_draws(device: torch.device):
    """Let whatever draws from torch's global generators draw the same each time, and leave them as they were.

    ToMe and HyperTile draw at every call of the model where they merge or cut.
    """
    on_cpu = device.type == "cpu" or not hasattr(torch, device.type)  # DirectML has no generator of its own
    kind = "cuda" if on_cpu else device.type
    with torch.random.fork_rng([] if on_cpu else [device], device_type=kind):
        torch.default_generator.manual_seed(SEED)
        if not on_cpu:
            getattr(torch, kind).manual_seed(SEED)
        yield


def with_same_draws(model):
    """A clone of the MODEL that draws the same at every call, for stock samplers."""

    def predict(execute, x, *arguments, **options):
        with same_draws(x.device):
            return execute(x, *arguments, **options)

    model = model.clone()
    comfy.patcher_extension.add_wrapper(WrappersMP.PREDICT_NOISE, predict, model.model_options, is_model_options=True)
    return model
