"""Sandwich rule: which networks a step trains, on what, and that their gradients are summed up."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from archip.nets.supernet import SuperNet  # noqa: E402
from archip.spaces.pooling_resnet import PoolingResNet  # noqa: E402
from archip.spaces.resnet9 import ResNet9  # noqa: E402
from archip.train.losses import distillation  # noqa: E402
from archip.train.rule import Step  # noqa: E402
from archip.train.rules.sandwich import Sandwich  # noqa: E402

SPACE = ResNet9(stem=(4, 8), filters=(4, 8), skips=(0, 1), blocks=1)


@pytest.fixture
def net():
    return SuperNet(SPACE, (1, 8, 8), 3, 0)


@pytest.mark.parametrize("distil", [True, False])
def test_gradients_are_the_sum_over_largest_smallest_and_random(net, distil):
    x, y = torch.randn(6, 1, 8, 8), torch.arange(6) % 3
    loss = nn.functional.cross_entropy
    rule = Sandwich(n_random=2, distil=distil)
    rule.shared = net
    shown = rule.backward(Step(net, x, y, loss, np.random.default_rng(1)))
    found = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    rng = np.random.default_rng(1)
    drawn = [SPACE.sample(rng) for _ in range(2)]
    largest = {"fn0": 8, "fn1": 8, "sk1": 1}
    smallest = {"fn0": 4, "fn1": 4, "sk1": 0}
    outputs = net(x, largest)
    losses = [loss(outputs, y)]
    for genotype in (smallest, *drawn):
        small = net(x, genotype)
        losses.append(distillation(small, outputs.detach()) if distil else loss(small, y))
    sum(losses).backward()
    assert shown.item() == pytest.approx(losses[0].item(), rel=1e-6)
    for a, p in zip(found, net.parameters(), strict=True):
        assert torch.allclose(a, p.grad, atol=1e-6)


def test_the_rate_falls_exponentially_to_a_floor():
    rule = Sandwich()
    rates = [rule.rate(done, 0.5, False) for done in (0.0, 0.25, 0.5, 0.75, 0.9)]
    assert rates[0] == 1
    assert rates[1] / rates[0] == pytest.approx(rates[2] / rates[1])
    assert rates[3:] == pytest.approx([0.05, 0.05])
    assert rule.rate(0.01, 0.2, True) == 0.2
    assert Sandwich(exponential=False).rate(0.9, 0.3, False) == 0.3


@pytest.mark.parametrize("zero_gamma", [False, True])
def test_residual_blocks_begin_as_their_skip_connection_if_that_is_wanted(zero_gamma):
    space = PoolingResNet(filters=(4, 4, 4), halvings=1)
    net = Sandwich(zero_gamma=zero_gamma).network(lambda number: SuperNet(space, (1, 8, 8), 3, number))
    assert net.get_parameter("block2_2_norm.weight").any() != zero_gamma
    assert net.get_parameter("block2_1_norm.weight").all()
