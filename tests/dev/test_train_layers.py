import pytest
import torch
from torch import nn

from dev.train import layers, loop


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    parts = nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, stride=2, padding=1, bias=False), nn.ReLU()
    return nn.Sequential(*parts, nn.Conv2d(32, 4, 3, padding=1))


def images(seed: int, scale: float) -> torch.Tensor:
    return scale * torch.randn(24, 3, 40, 40, generator=loop.generator(seed, 0))


@pytest.mark.parametrize("scale", [0.05, 20])
def test_layers_learnt_one_by_one_make_the_teachers_network(tmp_path, monkeypatch, scale):
    monkeypatch.setattr(layers, "PATCHES", 2)
    monkeypatch.setattr(loop, "WARM_UP", 20)
    taught, own = network(0).eval().requires_grad_(False), network(1)
    with torch.no_grad():
        for layer in taught:
            if getattr(layer, "bias", None) is not None:
                layer.bias.mul_(scale)  # as matters at this scale
    unseen = images(2, scale)
    before = layers.apart(own(unseen), taught(unseen)).item()
    layers.train(own, taught, images(0, scale), images(1, scale), 150, 0.02, tmp_path)
    assert before > 0.5
    assert layers.apart(own(unseen), taught(unseen)).item() < 0.01
    assert all(value.requires_grad for value in own.parameters())  # it is trained as a whole next

    again = network(1)
    layers.train(again, taught, images(0, scale), images(1, scale), 150, 0.02, tmp_path)  # from what was kept
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), again.parameters(), strict=True))


def test_small_features_give_more_patches_and_strides_larger_ones():
    large, small = torch.zeros(5, 3, 128, 128), torch.zeros(5, 3, 16, 16)
    layer, stride = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, stride=2, padding=1)
    shapes = [
        layers.Patches(x, part).draw(loop.generator(0, 0)).shape for x in (large, small) for part in (layer, stride)
    ]
    assert shapes == [(8, 3, 32, 32), (8, 3, 64, 64), (32, 3, 16, 16), (32, 3, 16, 16)]
