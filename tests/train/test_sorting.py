"""Sorting in the middle of a training: outputs stay, and all that belongs to a weight follows it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
import copy  # noqa: E402

from archip.testing.elastic import elastic_net, step_of  # noqa: E402
from archip.train.sorting import sort_along  # noqa: E402


def test_moments_and_averages_move_with_their_weights():
    net = elastic_net()
    step = step_of(net, 0.5)
    optimiser = torch.optim.AdamW(net.parameters(), fused=True)
    step.loss(net(step.x, net.largest), step.y).backward()
    optimiser.step()
    average = copy.deepcopy(net)
    with torch.no_grad():
        for parameter, mean in zip(net.parameters(), average.parameters(), strict=True):
            state = optimiser.state.get(parameter)
            if state:
                state["exp_avg"].copy_(2 * parameter)
                state["exp_avg_sq"].copy_(parameter**2)
            mean.copy_(parameter + 1)
    before, outputs = [p.clone() for p in net.parameters()], net(step.x, net.largest)
    sort_along(net, average, optimiser)
    assert any(not a.equal(p) for a, p in zip(before, net.parameters(), strict=True))
    assert torch.allclose(net(step.x, net.largest), outputs, atol=1e-5)
    for parameter, mean in zip(net.parameters(), average.parameters(), strict=True):
        state = optimiser.state[parameter]
        assert state["exp_avg"].equal(2 * parameter)
        assert state["exp_avg_sq"].equal(parameter**2)
        assert mean.equal(parameter + 1)


def test_an_optimiser_that_has_not_begun_is_left_as_it_is():
    net = elastic_net()
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    sort_along(net, copy.deepcopy(net), optimiser)
    assert not optimiser.state
