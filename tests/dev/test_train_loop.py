import signal

import pytest
import torch

from dev.train import loop


def noisy_square(network, step, generator):
    """Fit y = 3 x + 1 from noisy samples."""
    x = torch.randn(16, 1, generator=generator)
    if step == INTERRUPT.get("at"):
        signal.raise_signal(signal.SIGTERM)
    return (network(x) - (3 * x + 1 + 0.1 * torch.randn(x.shape, generator=generator))).square().mean()


INTERRUPT: dict[str, int] = {}


def run(state, steps=400):
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 1)
    return loop.train(network, noisy_square, lambda average: {"weight": average.weight.item()}, steps, state, rate=0.05)


def test_the_average_of_the_last_steps_is_returned_and_fits(tmp_path):
    average = run(tmp_path / "state.pt")
    assert average.weight.item() == pytest.approx(3, abs=0.05)
    assert average.bias.item() == pytest.approx(1, abs=0.05)


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path):
    whole = run(tmp_path / "whole.pt")
    INTERRUPT["at"] = 150
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
    with pytest.raises(FloatingPointError, match="step 1"):
        loop.train(network, lambda net, *_: net.weight.sum() * float("nan"), lambda _: {}, 5, tmp_path / "s.pt", rate=1)
