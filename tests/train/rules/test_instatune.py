"""InstaTune: the largest learns from labels and a teacher, sub-networks from the largest."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.nets.elastic import elastic  # noqa: E402
from archip.train.device import mixed_precision  # noqa: E402
from archip.train.losses import distillation  # noqa: E402
from archip.train.rule import Step  # noqa: E402
from archip.train.rules.instatune import InstaTune  # noqa: E402

X, Y = torch.randn(6, 5), torch.arange(6) % 3
LOSS = nn.functional.cross_entropy


def network():
    torch.manual_seed(0)
    return elastic(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), X, shares=(0.25, 0.5, 1.0))


def step(net, done: float) -> Step:
    return Step(net, X, Y, LOSS, np.random.default_rng(1), done)


def test_a_given_teacher_is_learned_from_beside_the_labels():
    net, teacher = network(), nn.Linear(5, 3)
    rule = InstaTune(n_random=2).teach(teacher)
    rule.shared = net
    rule.backward(step(net, 0.0))
    found = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    rng = np.random.default_rng(1)
    outputs = net(X, net.largest)
    with torch.no_grad(), mixed_precision(X.device):
        soft = teacher(X).float()
    total = LOSS(outputs, Y) + distillation(outputs, soft)
    for _ in range(2):
        total = total + distillation(net(X, net.space.sample(rng)), outputs.detach())
    total.backward()
    for a, p in zip(found, net.parameters(), strict=True):
        assert torch.allclose(a, p.grad, atol=1e-6)


def test_without_one_the_largest_is_the_teacher_after_its_time_alone():
    net, rule = network(), InstaTune(alone=0.5)
    scene = type("Scene", (), {"module": net})
    rule.start(scene)
    assert not rule.state()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1)
    rule.backward(step(net, 0.49))
    assert not rule.state()
    rule.backward(step(net, 0.5))
    kept = rule.state()
    assert all(torch.equal(kept[name], tensor) for name, tensor in net.state_dict().items())
    again = InstaTune(alone=0.5)
    again.start(scene)
    again.restore({name: tensor + 1 for name, tensor in kept.items()})
    with torch.no_grad():
        for p in net.parameters():
            p.add_(1)
    again.backward(step(net, 0.7))
    assert all(torch.equal(tensor, kept[name] + 1) for name, tensor in again.state().items())
