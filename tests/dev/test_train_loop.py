import signal

import pytest
import torch

from dev.train import loop


def noisy_square(network, step, generator):
    """Fit y = 3 x + 1 from noisy samples."""
    x = torch.randn(16, 1, generator=generator)
    if step == INTERRUPT.get("at"):
        signal.raise_signal(signal.SIGTERM)
    error = network(x) - (3 * x + 1 + 0.1 * torch.randn(x.shape, generator=generator))
    return {"loss": error.square().mean()}


INTERRUPT: dict[str, int] = {}


def wide_network():
    """A layer for each kind of optimizer."""
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3, padding=1)
    return torch.nn.Sequential(*layers).to(memory_format=torch.channels_last)


def noisy_copy(network, step, generator):
    """Repeat the three colors of noise over 32 channels."""
    x = torch.randn(2, 3, 8, 8, generator=generator)
    if step == INTERRUPT.get("at"):
        signal.raise_signal(signal.SIGTERM)
    return {"loss": (network(x) - x.repeat(1, 11, 1, 1)[:, :32]).square().mean()}


def run_wide(state, steps=40):
    return loop.train(wide_network(), noisy_copy, lambda _: {}, steps, state, rate=0.01)


def run(state, steps=400):
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)
    return loop.train(network, noisy_square, lambda average: {"weight": average.weight.item()}, steps, state, rate=0.05)


def test_the_average_of_the_last_steps_is_returned_and_fits(tmp_path):
    average = run(tmp_path / "state.pt")
    assert average.weight.item() == pytest.approx(3, abs=0.05)
    assert average.bias.item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("run", "at"), [(run, 150), (run_wide, 15)])
def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path, run, at):
    whole = run(tmp_path / "whole.pt")
    INTERRUPT["at"] = at
    try:
        with pytest.raises(SystemExit) as stopped:
            run(tmp_path / "parts.pt")
    finally:
        INTERRUPT.clear()
    assert stopped.value.code == 128 + signal.SIGTERM
    parts = run(tmp_path / "parts.pt")
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_a_finished_run_is_not_trained_further(tmp_path):
    first = run(tmp_path / "state.pt")
    second = run(tmp_path / "state.pt")
    assert torch.equal(first.weight, second.weight)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    network = torch.nn.Linear(1, 1)

    def loss(network, *_):
        return {"loss": network.weight.sum() * float("nan")}

    with pytest.raises(FloatingPointError, match="step 1"):
        loop.train(network, loss, lambda _: {}, 5, tmp_path / "s.pt", rate=1)


def test_wide_layers_take_steps_of_equal_size_in_every_direction():
    network = wide_network()
    before = [parameter.clone() for parameter in network.parameters()]
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator) * 10.0 ** -torch.arange(3).repeat(11)[
            : parameter.shape[0]
        ].view(-1, *[1] * (parameter.ndim - 1))
    rate = 1e-2
    loop.Optimizer(network).step(rate)
    steps = [old - new for old, new in zip(before, network.parameters(), strict=True)]
    # Muon's step, about orthogonal, scaled as torch documents "match_rms_adamw"; its momentum starts at nothing.
    singular = torch.linalg.svdvals(steps[2].flatten(1)) / (0.2 * rate * (32 * 9) ** 0.5)
    assert 0.5 < singular.min() and singular.max() < 1.5
    for small in (0, 1, 3):  # AdamW's first step
        torch.testing.assert_close(steps[small].abs(), torch.full_like(steps[small], rate), rtol=0.05, atol=0)


def test_a_state_of_another_run_is_not_gone_on_with(tmp_path):
    run_wide(tmp_path / "state.pt", steps=1)
    with pytest.raises(ValueError, match=r"state\.pt holds a run of another kind\. Delete it"):
        loop.train(torch.nn.Linear(1, 1), noisy_square, lambda _: {}, 1, tmp_path / "state.pt", rate=0.05)
    with pytest.raises(ValueError, match="Delete it"):
        loop.train(wide_network(), noisy_copy, lambda _: {}, 1, tmp_path / "state.pt", rate=0.01, recipe="other")
