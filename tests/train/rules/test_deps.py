"""Delayed eps-shrinking: beta before, on and behind the ramp; whose gradients are scaled by it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from archip.core.errors import UserError  # noqa: E402
from archip.testing.elastic import elastic_net, gradients, scene_of, step_of  # noqa: E402
from archip.train.losses import distillation  # noqa: E402
from archip.train.rules.deps import Deps  # noqa: E402


def started(net=None, rule=None, **scene):
    rule = rule or Deps(delay=0.5, ramp=0.2)
    rule.start(scene_of(net or elastic_net(), **scene))
    return rule


def test_beta_is_nothing_then_a_ramp_then_one():
    rule = started()
    usual = rule.scene.usual
    assert [rule.beta(done) for done in (0.0, 0.2, 0.3)] == [0, 0, 0]
    at_ramp = [rule.beta(done) * usual(done) for done in (0.35, 0.4, 0.45)]  # rate of the small networks
    assert at_ramp == pytest.approx([share * usual(0.5) for share in (0.25, 0.5, 0.75)])
    assert rule.beta(0.5 - 1e-6) == pytest.approx(1, abs=1e-4)
    assert [rule.beta(done) for done in (0.5, 0.7, 0.99)] == [1, 1, 1]


def test_shrinking_from_the_start_and_without_a_ramp():
    assert started(rule=Deps(delay=0, ramp=0)).beta(0.0) == 1
    abrupt = started(rule=Deps(delay=0.5, ramp=0))
    assert [abrupt.beta(done) for done in (0.49, 0.5)] == [0, 1]
    with pytest.raises(UserError, match="at most the delay"):
        Deps(delay=0.1, ramp=0.2)


@pytest.mark.parametrize("done", [0.1, 0.4, 0.8])
def test_gradients_of_all_but_the_largest_are_scaled(done):
    net = elastic_net()
    rule = started(net)
    step = step_of(net, done, seed=2)
    rule.backward(step)
    found = gradients(net)
    outputs = net(step.x, net.largest)
    step.loss(outputs, step.y).backward()
    beta, rng = rule.beta(done), np.random.default_rng(2)
    assert (beta > 0) == (done > 0.3)
    for genotype in [net.smallest, *(net.space.sample(rng) for _ in range(2))] if beta else []:
        (beta * distillation(net(step.x, genotype), outputs.detach())).backward()
    for a, b in zip(found, gradients(net), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_channels_are_sorted_once_when_shrinking_begins():
    net, calls = elastic_net(), []
    rule = started(net, sort=lambda: calls.append(1))
    seen = []
    for done in (0.2, 0.35, 0.4, 0.9):
        rule.backward(step_of(net, done))
        seen.append(len(calls))
    assert seen == [0, 1, 1, 1]
    resumed = started(net, sort=lambda: calls.append(1))
    resumed.restore(rule.state())
    resumed.backward(step_of(net, 0.9))
    assert len(calls) == 1
