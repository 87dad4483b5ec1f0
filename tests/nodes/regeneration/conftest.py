"""What regeneration does around a model is the same for a narrow one, which answers sooner."""

import pytest


@pytest.fixture
def model(small):
    return small.clone()


@pytest.fixture
def control_net(small_control_net):
    return small_control_net
