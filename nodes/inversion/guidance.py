"""The guider of both directions, so that they cannot differ by accident."""

import math

from comfy_extras.nodes_custom_sampler import BasicGuider, CFGGuider


def make_guider(model, positive, negative, cfg: float):
    """GUIDER for eps = w eps(z, t, c) + (1 - w) eps(z, t), below Eq. (1) of the paper.

    At w = 1 the second term vanishes: one model call per step, and no negative is needed.
    Raises ValueError where w needs a negative and there is none.
    """
    if math.isclose(cfg, 1.0):
        return BasicGuider.execute(model, positive).result[0]
    if negative is None:
        raise ValueError(
            f"cfg is {cfg:g}, which needs a negative prompt: connect negative (an empty CLIP Text Encode will do), or "
            "set cfg to 1."
        )
    return CFGGuider.execute(model, positive, negative, cfg).result[0]
