"""The guider of both directions, so that they cannot differ by accident."""

import math

from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider


def make_guider(model, positive, negative, cfg: float):
    """GUIDER for eps = w eps(z, t, c) + (1 - w) eps(z, t), below Eq. (1) of the paper.

    At w = 1 the second term vanishes: one model call per step, and no negative is needed unless a node on the model
    asks for it (Self-Attention Guidance).
    Raises ValueError where a negative is needed and there is none.
    """
    if negative is not None:
        return CFGGuider.execute(model, positive, negative, cfg).result[0]
    if not math.isclose(cfg, 1.0):
        raise ValueError(
            f"cfg is {cfg:g}, which needs a negative prompt: connect negative (an empty CLIP Text Encode will do), or "
            "set cfg to 1."
        )
    if model.model_options.get("disable_cfg1_optimization"):
        raise ValueError(
            "A node on the model (such as Self-Attention Guidance) needs a negative prompt even at cfg 1: connect "
            "negative (an empty CLIP Text Encode will do), or remove that node."
        )
    return BasicGuider.execute(model, positive).result[0]
