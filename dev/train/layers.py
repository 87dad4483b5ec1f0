"""A student of the teacher's own architecture, taught layer by layer."""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss

from . import data, loop

PATCH = 32  # side of a patch of what a layer gives
PATCHES = 8  # in a step; of features on which no such patch fits, so many more that they come to the same area


def apart(own: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Relative squared distance of features."""
    return mse_loss(own.float(), taught.float()) / taught.float().var()


class Patches:
    """Patches, at random places, of the features (N, C, H, W) that reach a layer."""

    def __init__(self, features: torch.Tensor, layer: nn.Module):
        self.features = features
        self.side = min(PATCH * getattr(layer, "stride", (1, 1))[0], *features.shape[-2:])
        self.count = PATCHES * max(1, PATCH // self.side) ** 2

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        patches = []
        for number in torch.randint(len(self.features), (self.count,), generator=generator).tolist():
            sides = self.features.shape[-2:]
            top, left = (torch.randint(side - self.side + 1, (), generator=generator).item() for side in sides)
            patches.append(self.features[number, :, top : top + self.side, left : left + self.side])
        return torch.stack(patches).to(loop.device(), torch.float32, memory_format=torch.channels_last)


def train(own: nn.Sequential, taught: nn.Sequential, x, held_out, steps: int, rate: float, folder: Path, recipe=""):
    """Teach each layer of `own` to do what the teacher's does with what the teacher makes of `x` before it.

    That takes many times fewer steps than the whole network at once, where most of the work goes into the layers of
    full resolution, and every layer has to wait for those before it.

    Parameters
    ----------
    x, held_out : (N, C, H, W) tensors
        What both networks are given, and what is kept for measuring. As many features as the widest layer gives for
        them must fit into memory twice, in bfloat16.
    steps, rate : int, float
        Of each layer; the learning rate falls all the time.
    folder : Path
        Where the runs of the layers are kept.
    recipe : str
        Names what the runs depend on.
    """
    device = loop.device()
    for number, (layer, teacher) in enumerate(zip(own, taught, strict=True)):
        if any(True for _ in layer.parameters()):
            print(f"layer {number}", flush=True)
            scale = x[::8].float().std().item()  # learned at a deviation of 1, where a step suits every bias
            patches, unseen = Patches(x, layer), Patches(held_out, layer)
            unseen = [unseen.draw(loop.generator(1, part)) for part in range(8)]

            def error(layer, patches, teacher=teacher, scale=scale):
                patches = patches.float()
                with loop.autocast(device):
                    with torch.no_grad():
                        wanted = teacher(patches) / scale
                    return apart(layer(patches / scale), wanted)

            def loss(layer, _step, generator, patches=patches):
                return {"loss": error(layer, patches.draw(generator))}

            @torch.no_grad()
            def measure(layer, unseen=unseen):
                return {"features": sum(error(layer, patches).item() for patches in unseen) / len(unseen)}

            state, own_recipe = folder / f"{number:02}.pt", f"{recipe} layer {number}"
            own[number] = loop.train(layer, loss, measure, steps, state, rate, recipe=own_recipe, cool_down=1)
            # Rectified layers commute with a scale once their biases bear it.
            for name, value in own[number].named_parameters():
                if name.endswith("bias"):
                    value.mul_(scale)
        x, held_out = (run(teacher, features) for features in (x, held_out))
    own.requires_grad_(True).train()


def run(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a layer gives, in bfloat16."""
    return torch.cat([data.run(layer, part, loop.device()).bfloat16() for part in x.split(8)])
